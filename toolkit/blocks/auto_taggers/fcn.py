"""The fully convolutional network of Choi et al."""

import math

from toolkit.blocks.auto_taggers import layers
from toolkit.blocks.auto_taggers.layers import ConvolutionalBackbone

POOLS = [(2, 4), (2, 4), (2, 4), (3, 5), (4, 4)]  # (frequency, time)


class FCN(ConvolutionalBackbone):
    """Five 3x3 convolutions, maxima of large blocks after each (Choi, Fazekas & Sandler 2016, "Automatic tagging using deep
    convolutional neural networks", with the sizes of Won et al. 2020).

    29 s at 16 kHz leave one frame.

    Args:
        bins: F, rows of the spectrogram, 96 to 191.
        width: channels of the first and the last layer; the others have twice as many.
    """

    def __init__(self, bins: int, width: int = 64) -> None:
        channels = [1, width, 2 * width, 2 * width, 2 * width, width]
        rows, frames = (math.prod(sizes) for sizes in zip(*POOLS, strict=True))
        super().__init__(bins, layers.pooled_blocks(channels, POOLS), width, layers.pool_rows(rows), frames)
