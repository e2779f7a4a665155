"""Short-chunk CNN."""

from toolkit.blocks.auto_taggers import layers
from toolkit.blocks.auto_taggers.layers import ConvolutionalBackbone

DEPTH = 7


class ShortChunkCNN(ConvolutionalBackbone):
    """Seven layers of 3x3 convolutions, each of which halves frequency and time (Won et al. 2020, section on short-chunk CNN).

    The published models are pooled by `MaxPooling`.

    Args:
        bins: F, rows of the spectrogram: at most 128 with shortcuts, 128 to 255 without.
        width: channels of the first two layers; four have twice as many, the last one has four times as many.
        residual: whether a layer is two convolutions, the first of stride 2, beside a shortcut, or one with maxima of 2x2.
    """

    def __init__(self, bins: int, width: int = 128, residual: bool = True) -> None:
        channels = [1, *(factor * width for factor in (1, 1, 2, 2, 2, 2, 4))]
        size = 2**DEPTH
        if residual:
            super().__init__(bins, layers.strided_blocks(channels, [2] * DEPTH), channels[-1], layers.stride_rows(size), 1)
        else:
            super().__init__(bins, layers.pooled_blocks(channels, [2] * DEPTH), channels[-1], layers.pool_rows(size), size)
