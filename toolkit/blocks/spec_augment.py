"""SpecAugment: bands and stretches of a spectrogram are hidden while training."""

import torch
from torch import Tensor

from toolkit.blocks.tagging import Frontend


class SpecAugment(Frontend):
    """A front end whose spectrograms lose one band of rows and one stretch of frames each, while training (Park et al. 2019).

    Args:
        frontend: makes the spectrograms.
        freq_mask: widths of a hidden band are below this, uniformly.
        time_mask: lengths of a hidden stretch are below this, uniformly.
        value: what stands there.
    """

    def __init__(self, frontend: Frontend, freq_mask: int = 48, time_mask: int = 192, value: float = 0.0) -> None:
        super().__init__()
        self.bins = frontend.bins
        self.frontend = frontend
        self.freq_mask, self.time_mask, self.value = freq_mask, time_mask, value

    def forward(self, inputs: Tensor) -> Tensor:
        """The front end's spectrograms (B, 1, F, L), masked while training."""
        spectrogram = self.frontend(inputs)
        if not self.training:
            return spectrogram
        batch, _, rows, frames = spectrogram.shape
        hidden = (
            stretch(batch, rows, self.freq_mask)[:, None, :, None] | stretch(batch, frames, self.time_mask)[:, None, None, :]
        )
        return spectrogram.masked_fill(hidden.to(spectrogram.device), self.value)


def stretch(batch: int, size: int, limit: int) -> Tensor:
    """Which of `size` places lie in a stretch shorter than `limit`, (batch, size), drawn by torch's generator of the CPU."""
    with torch.device("cpu"):
        lengths, starts = torch.rand(2, batch, 1)
        lengths = lengths * min(limit, size)
        starts = (starts * (size - lengths)).long()
        places = torch.arange(size)
        return (places >= starts) & (places < starts + lengths.long())
