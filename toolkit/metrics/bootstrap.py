"""The bootstrap (Efron 1979): how far a figure would have come out otherwise on other items of the same kind."""

from __future__ import annotations

import torch
from torch import Tensor


def counts(items: int, resamples: int, seed: int) -> Tensor:
    """How often each of the items is drawn in samples of as many items with replacement: (resamples, items), float64."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(items, (resamples, items), generator=generator)
    return torch.zeros(resamples, items).scatter_add_(1, drawn, torch.ones(resamples, items)).double()


def interval(figures: Tensor, level: float) -> list[float]:
    """The bounds between which the middle of resampled figures (resamples,) lies; those that are NaN are left out.

    Args:
        figures: one a resample.
        level: the share of them in the middle: 0.95.
    """
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=figures.dtype)
    return torch.nanquantile(figures, tails).tolist()
