"""Normalisation layers by their short names, for features (batch, channels, *).

The layer norms compute in float32 also under autocast: the variance of a quiet signal underflows in half precision.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from toolkit.blocks.slots import check_shape

Norm = Literal["gLN", "cLN", "cgLN", "BN", "GN"]
CAUSAL: tuple[Norm, ...] = ("cLN", "cgLN", "BN")
EPS = 1e-8


class GlobalLayerNorm(nn.GroupNorm):
    """gLN: statistics over all channels and frames of a signal (Luo & Mesgarani 2019, "Conv-TasNet", section II.C).

    Args:
        channels: size of axis 1, each with its own gain and bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels, eps=EPS)  # one group: the same thing, in one fused kernel

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (batch, channels, *)."""
        return super().forward(_full(x))


class ChannelLayerNorm(nn.LayerNorm):
    """cLN: statistics over the channels of each frame (Ba et al. 2016, "Layer normalization").

    Args:
        channels: size of axis 1, each with its own gain and bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (batch, channels, *)."""
        return super().forward(_full(x).movedim(1, -1)).movedim(-1, 1)


class CumulativeLayerNorm(nn.Module):
    """cgLN: statistics over all channels of the frames so far, for causal networks (cLN in Luo & Mesgarani 2019, Conv-TasNet).

    Args:
        channels: size of axis 1, each with its own gain and bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (batch, channels, frames)."""
        check_shape(x, "input of cgLN", batch=None, channels=len(self.weight), frames=None)
        x = _full(x)
        count = x.shape[1] * torch.arange(1, x.shape[-1] + 1, device=x.device)
        mean = x.sum(1, keepdim=True).cumsum(-1) / count
        power = x.square().sum(1, keepdim=True).cumsum(-1) / count
        deviation = (power - mean.square()).clamp(min=0) + EPS  # rounding may leave a negative variance
        return (x - mean) * deviation.rsqrt() * self.weight[:, None] + self.bias[:, None]


class BatchNorm(nn.BatchNorm1d):
    """BN: statistics over batch and frames for each channel (Ioffe & Szegedy 2015).

    Args:
        channels: size of axis 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (batch, channels, *)."""
        return super().forward(x.flatten(2)).view_as(x)


class GroupNorm(nn.GroupNorm):
    """GN: statistics over the frames of groups of 16 channels (Wu & He 2018, section 4.1).

    Args:
        channels: size of axis 1, a multiple of 16 (or less than 16: then one group).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(max(1, channels // 16), channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (batch, channels, *)."""
        return super().forward(_full(x))


NORMS: dict[str, type[nn.Module]] = {
    "gLN": GlobalLayerNorm,
    "cLN": ChannelLayerNorm,
    "cgLN": CumulativeLayerNorm,
    "BN": BatchNorm,
    "GN": GroupNorm,
}


def build(name: Norm, channels: int) -> nn.Module:
    """The norm of that name over features (batch, channels, *).

    Raises:
        ValueError: there is no such norm.
    """
    if name not in NORMS:
        raise ValueError(f"norm: expected one of {', '.join(get_args(Norm))}, found {name!r}")
    return NORMS[name](channels)


def check_causal(name: Norm) -> None:
    """See that a norm looks back only.

    Raises:
        ValueError: it looks ahead.
    """
    if name not in CAUSAL:
        raise ValueError(f"norm: a causal network takes one of {', '.join(CAUSAL)}, found {name!r}")


def features_last(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a norm to features (batch, *, channels)."""
    return norm(x.movedim(-1, 1)).movedim(1, -1)


def frames_first(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a norm to sequences (frames, batch, channels)."""
    return norm(x.permute(1, 2, 0)).permute(2, 0, 1)


def _full(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
