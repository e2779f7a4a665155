"""Attention that is made local by what it hears: every query says how fast its sight fades."""

import math

import torch
from torch import Tensor, nn

SELF = -100.0  # the score of a frame with itself: others count, unless there are none


class LocalAttention(nn.Module):
    """Attention without positions, with a penalty on distance that each query sets anew.

    Défossez 2021, "Hybrid spectrogram and waveform source separation", "Local attention".

    For head and query, gates g_1 … g_D between 0 and 1 come from the query's frame; a key n frames away loses
    n · Σ_d d · g_d / (2 √D) of its score.  A frame does not look at itself.  What is found is projected and added to the input.

    Args:
        channels: C, a multiple of `heads`.
        heads: of the attention.
        decays: D, gates of a head.

    Raises:
        ValueError: the channels cannot be shared among the heads.
    """

    def __init__(self, channels: int, heads: int = 4, decays: int = 4) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"LocalAttention: expected channels that {heads} heads can share, found {channels}")
        self.heads, self.decays = heads, decays
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.content = nn.Conv2d(channels, channels, 1)
        self.decay = nn.Conv2d(channels, heads * decays, 1)
        self.projection = nn.Conv2d(channels, channels, 1)
        with torch.no_grad():  # gates nearly closed: everything is in sight at first
            self.decay.weight.mul_(0.01)
            assert self.decay.bias is not None
            self.decay.bias.fill_(-2.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map sequences (N, C, 1, L) to the same shape."""
        query, key, content = (self._split(conv(x)) for conv in (self.query, self.key, self.content))
        scores = query @ key.mT / math.sqrt(query.shape[-1])
        scores = scores - self._slope(x) * _distances(x.shape[-1], x)
        itself = torch.eye(x.shape[-1], device=x.device, dtype=torch.bool)
        weights = scores.masked_fill(itself, SELF).softmax(-1)
        found = (weights @ content).permute(0, 1, 3, 2).flatten(1, 2)
        return x + self.projection(found.unsqueeze(2))

    def _split(self, x: Tensor) -> Tensor:
        """(N, C, 1, L) to (N, heads, L, C / heads)."""
        return x.squeeze(2).unflatten(1, (self.heads, -1)).mT

    def _slope(self, x: Tensor) -> Tensor:
        """What a frame of distance costs each query, (N, heads, L, 1)."""
        gates = self._split(self.decay(x)).sigmoid()
        steps = torch.arange(1, self.decays + 1, device=x.device, dtype=gates.dtype) / (2 * math.sqrt(self.decays))
        return (gates @ steps).unsqueeze(-1)


def _distances(frames: int, like: Tensor) -> Tensor:
    """Frames between any two of `frames`, (L, L)."""
    index = torch.arange(frames, device=like.device)  # whole numbers: in half precision far frames would fall together
    return (index[:, None] - index).abs().to(like.dtype)
