"""What is changed at random in single spectra, so that a model of pitch learns not to mind it (Riou et al. 2023, PESTO)."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn


class FrameAugmentation(nn.Module, ABC):
    """Slot: a random change of log spectra.

    Args:
        share: of the spectra that are changed, drawn for each.

    Raises:
        ValueError: the share is not one of 0 to 1.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise ValueError(f"share: expected 0 to 1, found {share}")
        self.share = share

    def forward(self, spectra: Tensor) -> Tensor:
        """Change some of (B, F)."""
        chosen = torch.rand(len(spectra), 1, device=spectra.device) < self.share
        return torch.where(chosen, self.change(spectra), spectra)

    @abstractmethod
    def change(self, spectra: Tensor) -> Tensor:
        """Change all of (B, F)."""


class SpectrumNoise(FrameAugmentation):
    """White noise is added to the decibels, in proportion to how far they spread.

    Args:
        low: smallest standard deviation of the noise, as a multiple of that of the spectrum's bins.
        high: largest.
        share: see `FrameAugmentation`.  The released code calls 0.7 its `p`, but leaves that share as it is and changes 0.3.
    """

    def __init__(self, low: float = 0.1, high: float = 2.0, share: float = 0.7) -> None:
        super().__init__(share)
        self.low, self.high = low, high

    def change(self, spectra: Tensor) -> Tensor:
        """Change all of (B, F)."""
        level = torch.empty(len(spectra), 1, device=spectra.device).uniform_(self.low, self.high)
        return spectra + level * spectra.std(-1, keepdim=True) * torch.randn_like(spectra)


class SpectrumGain(FrameAugmentation):
    """The decibels are multiplied, as the released code does it (in the paper they are moved by -6 to 3).

    A layer norm right behind it, as PESTO's encoder has it, makes both of no effect.

    Args:
        low: smallest factor.
        high: largest.
        share: see `FrameAugmentation` and `SpectrumNoise`.
    """

    def __init__(self, low: float = 0.5, high: float = 1.5, share: float = 0.7) -> None:
        super().__init__(share)
        self.low, self.high = low, high

    def change(self, spectra: Tensor) -> Tensor:
        """Change all of (B, F)."""
        return spectra * torch.empty(len(spectra), 1, device=spectra.device).uniform_(self.low, self.high)


class BackgroundLevel:
    """How loud the accompaniment is that is mixed with each frame: β (Riou et al. 2023, section 4.4 and Table 2).

    Args:
        kind: `constant`, always `scale`; `uniform`, 0 to `scale`; `normal`, around 0 with the standard deviation `scale`.
        scale: see there.
    """

    def __init__(self, kind: Literal["constant", "uniform", "normal"] = "constant", scale: float = 1.0) -> None:
        self.kind, self.scale = kind, scale

    def draw(self, count: int, device: torch.device) -> Tensor:
        """Factors of the accompaniment's waveform (or spectrum), (count,)."""
        if self.kind == "constant":
            return torch.full((count,), self.scale, device=device)
        drawn = torch.rand(count, device=device) if self.kind == "uniform" else torch.randn(count, device=device)
        return self.scale * drawn
