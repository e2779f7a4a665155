"""Points of three normal distributions, fixed or moving apart as a number goes from 0 to 1 (Perera, Letzelter et al. 2024).

"Annealed multiple choice learning", figures 1, 2 and 4, and its released code.  The three are equally likely and round.  The
moving ones have their means and their deviations multiplied by t: all of the picture grows from a point.  (The released code
trains on that, but draws the points of its pictures with a deviation of 0.1 whatever t is.)  Each sample has one target.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.corpora._quadrants import Draws, Floats, Seed

MEANS = np.array([[-0.5, -0.5], [0.0, 0.5], [0.5, -0.5]])
SIGMA = 0.1
MOVING_SIGMA = 0.3  # at t = 1
NOTEBOOK_MEANS = np.array([[-2.0, 2.0], [0.0, -2.0], [2.0, 2.0]])  # with the same deviation
NOTEBOOK_EACH = 1_000


class Size(NamedTuple):
    """Samples of an epoch, drawn anew each time as in `toolkit.corpora._quadrants`, and of a batch.

    Attributes:
        train: samples to train on.
        valid: samples to validate on.
        batch: samples of a batch.
    """

    train: int
    valid: int
    batch: int


PAPER = Size(100_000, 25_000, 65_536)
FAST = Size(10_000, 1_000, 1_000)  # of the released scripts called fast, fixed
FAST_MOVING = Size(1_000, 1_000, 1_000)


def draw(count: int, seed: Seed, moving: bool = False) -> Draws:
    """Samples whose t is drawn uniformly; where the distributions are fixed, it says nothing of the target.

    Args:
        count: N.
        seed: a number, or several such as a seed and an epoch.
        moving: whether the distributions move with t.

    Returns:
        t (N), targets (N, 1, 2), mask (N, 1).
    """
    rng = np.random.default_rng(seed)
    return _draw(rng.random(count, dtype=np.float32), rng, moving)


def draw_given(t: float, count: int, seed: Seed, moving: bool = False) -> Draws:
    """Samples whose t is given, 0 to 1; otherwise as `draw`.

    Raises:
        ValueError: t is out of its range.
    """
    if not 0 <= t <= 1:
        raise ValueError(f"t: expected 0 to 1, found {t}")
    return _draw(np.full(count, t, np.float32), np.random.default_rng(seed), moving)


def notebook(seed: Seed, each: int = NOTEBOOK_EACH) -> Draws:
    """The fixed set of the released notebook: as many points of each of three distributions further apart, one after the other.

    Args:
        seed: a number, or several.
        each: points of each distribution.

    Returns:
        t (3 each), all 0, targets (3 each, 1, 2), mask (3 each, 1).
    """
    means = NOTEBOOK_MEANS.repeat(each, axis=0)
    targets = means + SIGMA * np.random.default_rng(seed).standard_normal(means.shape)
    return Draws(np.zeros(len(means), np.float32), targets[:, None].astype(np.float32), np.ones((len(means), 1), bool))


def covariance(t: float = 1.0, moving: bool = False) -> NDArray[np.float64]:
    """The covariance (2, 2) of the mixture given t, in closed form.

    That of the fixed one is diagonal, 0.1767 and 0.2322, which makes its first critical temperature 0.4644
    (`toolkit.metrics.hypotheses.critical_temperature`).
    """
    return _covariance(t * MEANS, MOVING_SIGMA * t) if moving else _covariance(MEANS, SIGMA)


def notebook_covariance() -> NDArray[np.float64]:
    """The same of the notebook's mixture; its first critical temperature is 7.131."""
    return _covariance(NOTEBOOK_MEANS, SIGMA)


def _draw(t: Floats, rng: np.random.Generator, moving: bool) -> Draws:
    means = MEANS[rng.integers(len(MEANS), size=len(t))]
    noise = rng.standard_normal(means.shape)
    targets = t[:, None] * (means + MOVING_SIGMA * noise) if moving else means + SIGMA * noise
    return Draws(t, targets[:, None].astype(np.float32), np.ones((len(t), 1), bool))


def _covariance(means: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    return np.cov(means.T, bias=True) + sigma**2 * np.eye(2)
