"""Masks that are estimated from magnitudes alone, for the short-time Fourier transform as a filterbank."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from toolkit.blocks.slots import Separator, check_shape
from toolkit.blocks.tcn import TCN

FLOOR = 1e-4  # of a magnitude: about -80 dB below a loud bin of a frame


class MagnitudeMasks(Separator):
    """Real masks from log-magnitudes, the same for the real and the imaginary part (Kolbæk et al. 2017, uPIT, section III).

    Takes the features of `STFTFilterbank`.  Any separator may stand inside; it sees one feature per bin, each brought to zero
    mean and unit variance by what it was over the training so far.

    Args:
        channels: features per frame: real parts, then imaginary parts.
        sources: masks to estimate.
        separator: log-magnitudes to masks, built as ``separator(bins, sources)``; a TCN when not given.

    Raises:
        ValueError: the number of features is odd.
    """

    def __init__(self, channels: int, sources: int, separator: Callable[[int, int], Separator] | None = None) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(f"channels: expected real and imaginary parts, an even number of features, found {channels}")
        self.channels = channels
        self.norm = nn.BatchNorm1d(channels // 2, affine=False)
        self.separator = (separator or TCN)(channels // 2, sources)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, N, L) to masks (B, S, N, L)."""
        check_shape(features, "features", batch=None, channels=self.channels, frames=None)
        real, imaginary = features.chunk(2, dim=1)
        magnitudes = torch.hypot(real, imaginary)
        masks = self.separator(self.norm(torch.log(magnitudes + FLOOR)))
        return torch.cat([masks, masks], dim=2)
