"""SpecAugment: bands and stretches of a picture are hidden while training."""

import torch
from torch import Tensor

from toolkit.blocks.tagging import Frontend


class SpecAugment(Frontend):
    """A front end whose pictures lose one band of rows and one stretch of frames each, while training (Park et al. 2019).

    Args:
        frontend: makes the pictures.
        rows: widths of a hidden band are below this, uniformly.
        frames: lengths of a hidden stretch are below this, uniformly.
        value: what stands there.
    """

    def __init__(self, frontend: Frontend, rows: int = 48, frames: int = 192, value: float = 0.0) -> None:
        super().__init__()
        self.bins = frontend.bins
        self.frontend = frontend
        self.rows, self.frames, self.value = rows, frames, value

    def forward(self, inputs: Tensor) -> Tensor:
        """The front end's pictures (B, 1, F, L), masked while training."""
        picture = self.frontend(inputs)
        if not self.training:
            return picture
        batch, _, rows, frames = picture.shape
        hidden = stretch(batch, rows, self.rows)[:, None, :, None] | stretch(batch, frames, self.frames)[:, None, None, :]
        return picture.masked_fill(hidden.to(picture.device), self.value)


def stretch(batch: int, size: int, limit: int) -> Tensor:
    """Which of `size` places lie in a stretch shorter than `limit`, (batch, size), drawn by torch's generator of the CPU."""
    with torch.device("cpu"):
        lengths, starts = torch.rand(2, batch, 1)
        lengths = lengths * min(limit, size)
        starts = (starts * (size - lengths)).long()
        places = torch.arange(size)
        return (places >= starts) & (places < starts + lengths.long())
