"""The convolutional recurrent network of Choi et al."""

import math

from torch import Tensor, nn

from toolkit.blocks.auto_taggers import layers
from toolkit.blocks.auto_taggers.layers import ConvolutionalBackbone

POOLS = [2, 3, 4, 4]


class CRNN(ConvolutionalBackbone):
    """Four 3x3 convolutions with maxima, and gated recurrent units over the frames that are left (Choi et al. 2017,
    "Convolutional recurrent neural networks for music classification", with the sizes of Won et al. 2020).

    The published model is pooled by `LastFrame`.

    Args:
        bins: F, rows of the spectrogram, 96 to 191.
        width: channels of the first layer; the others have twice as many.
        hidden: units of each recurrent layer.
    """

    def __init__(self, bins: int, width: int = 64, hidden: int = 32) -> None:
        channels = [1, width, 2 * width, 2 * width, 2 * width]
        size = math.prod(POOLS)
        super().__init__(bins, layers.pooled_blocks(channels, POOLS), hidden, layers.pool_rows(size), size)
        self.gru = nn.GRU(channels[-1], hidden, 2, batch_first=True)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, L // 96)."""
        return self.gru(super().forward(spectrogram).mT)[0].mT
