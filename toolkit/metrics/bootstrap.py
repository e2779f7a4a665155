"""The bootstrap (Efron 1979): how far a figure would have come out otherwise on other items of the same kind."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

FEWEST = 6  # items: even if all differ in the same direction, chance alone does that to five in 2 * 0.5 ** 5 > 5 % of all cases
RESAMPLES = 9999
AT_ONCE = 400_000  # values that are drawn before they are reduced: few enough to stay near the processor


class Apart(NamedTuple):
    """How far one figure lies from another over the same items.

    Attributes:
        items: that both have.
        difference: the one figure less the other.
        low: of the interval that the difference would lie in on other items of the same kind.
        high: of it.
    """

    items: int
    difference: float
    low: float
    high: float

    @property
    def surely(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def counts(items: int, resamples: int, seed: int) -> Tensor:
    """How often each of the items is drawn in samples of as many items with replacement: (resamples, items), float64."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(items, (resamples, items), generator=generator)
    return torch.zeros(resamples, items).scatter_add_(1, drawn, torch.ones(resamples, items)).double()


def interval(figures: Tensor, figure: float, level: float) -> list[float]:
    """The bounds between which the middle of resampled figures lies, moved so that their mean is the figure itself.

    Resampling has a bias: of few items, those that are drawn twice raise an average precision so much that the figure may lie
    below all of its resamples.

    Args:
        figures: one a resample (resamples,); those that are NaN are left out.
        figure: of all items, each once; from 0 to 1, as the bounds are.
        level: the share of the resamples in the middle: 0.95.
    """
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=figures.dtype)
    return (torch.nanquantile(figures, tails) - figures.nanmean() + figure).clamp(0, 1).tolist()


def paired(one: np.ndarray, other: np.ndarray, statistic: Literal["mean", "median"], level: float = 0.95) -> Apart | None:
    """The difference of two figures of the same items, and its interval: both are taken of the same items drawn again.

    The interval of means is bias-corrected and accelerated (BCa, Efron 1987); that of medians, for which the jackknife behind
    BCa's acceleration fails, has the percentiles of the resampled differences.

    Args:
        one: values of each run, source and item (R, S, N); NaN where undefined.
        other: of the same sources and items, perhaps of another number of runs.
        statistic: taken over the items of each run and source; the figure is the mean over these.
        level: of confidence.

    Returns:
        The difference over the items that both have; None if there are fewer than `FEWEST`, of which no sample says enough.
    """
    from scipy import stats

    undefined = np.isnan(one).any(0) | np.isnan(other).any(0)
    items = ~undefined.all(0)
    if items.sum() < FEWEST:
        return None
    both = [np.where(undefined, np.nan, values)[:, :, items] for values in (one, other)]
    reduce: Callable[..., Any] = getattr(np, f"nan{statistic}" if undefined.any() else statistic)
    if statistic == "mean":  # whose difference is the mean of the items' differences
        both = [(both[0].mean(0) - both[1].mean(0))[None]]

    def difference(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        first, *second = (reduce(np.take(values, drawn, axis=-1), axis=-1).mean((0, 1)) for values in both)
        return first - second[0] if second else first

    places = np.arange(both[0].shape[-1])
    found = float(difference(places))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a resample without any value of a source, which makes the interval NaN
        drawn = stats.bootstrap(
            (places,),
            difference,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=max(1, AT_ONCE // sum(values.size for values in both)),
            confidence_level=level,
            method="BCa" if statistic == "mean" else "percentile",
            rng=np.random.default_rng(0),
        )
    low, high = (float(bound) for bound in drawn.confidence_interval)
    if np.allclose(drawn.bootstrap_distribution, found, rtol=1e-9, atol=0):  # all items differ by the same: BCa divides by 0
        low = high = found
    return Apart(int(items.sum()), found, low, high)
