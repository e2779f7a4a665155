"""Recurrence over overlapping stretches of a long sequence, all of them at once."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks.recurrent import LSTM


class FramedBLSTM(nn.Module):
    """LSTMs in both directions over stretches that overlap by half; the middle of each is kept, and the input is added.

    The recurrence within Hybrid Demucs (Défossez 2021, "Compressed residual branches").  Stretches are independent of each
    other, so a sequence of any length takes as many steps as one stretch.

    Args:
        channels: C, also the units of each layer and direction.
        layers: how many LSTMs.
        steps: frames of a stretch, a multiple of 4; a sequence of no more frames is one stretch.

    Raises:
        ValueError: the steps are no multiple of 4.
    """

    def __init__(self, channels: int, layers: int = 2, steps: int = 200) -> None:
        super().__init__()
        if steps % 4:
            raise ValueError(f"FramedBLSTM: expected a multiple of 4 steps, found {steps}")
        self.steps = steps
        self.lstm = LSTM(channels, channels, layers)
        self.projection = nn.Linear(self.lstm.channels_out, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map sequences (N, C, 1, L) to the same shape."""
        sequence = x.squeeze(2).permute(2, 0, 1)  # (L, N, C)
        if len(sequence) <= self.steps:
            found = self.projection(self.lstm(sequence))
        else:
            stretches = self._cut(sequence)
            found = self._join(self.projection(self.lstm(stretches.flatten(1, 2))).view_as(stretches), len(sequence))
        return x + found.permute(1, 2, 0).unsqueeze(2)

    def _cut(self, sequence: Tensor) -> Tensor:
        """(L, N, C) to stretches (steps, K, N, C), the last ones filled up with zeros."""
        hop = self.steps // 2
        count = -(-len(sequence) // hop)
        padded = F.pad(sequence, (0, 0, 0, 0, 0, (count + 1) * hop - len(sequence)))
        return padded.unfold(0, self.steps, hop).permute(3, 0, 1, 2)

    def _join(self, stretches: Tensor, length: int) -> Tensor:
        """The middle halves of stretches (steps, K, N, C), one after another, as (length, N, C)."""
        quarter = self.steps // 4
        middles = stretches[quarter : 3 * quarter].transpose(0, 1).flatten(0, 1)
        return torch.cat([stretches[:quarter, 0], middles])[:length]
