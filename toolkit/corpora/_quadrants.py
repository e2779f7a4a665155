"""One or two points in a square whose quadrants are filled by turns as a number goes from 0 to 1 (Letzelter et al. 2023).

"Resilient multiple choice learning", the synthetic experiment and its released code (after Rupprecht et al. 2017).  The square
reaches from -1 to 1 on both axes.  Given t, a point lies in the lower left and in the upper right quadrant with probability
(1 - t) / 2 each, in the two others with t / 2 each, and uniformly inside.  There are two independent points with probability
|1 - 2t|, otherwise one.  The released code draws every sample anew whenever it is asked for, so that no epoch of training, nor
of validation, sees a sample of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Seed = int | Sequence[int]

TRAIN, VALID = 100_000, 25_000  # samples of an epoch
INPUTS, SAMPLES = 50, 1_000  # of the evaluation: values of t, and samples given each
TARGETS = 2  # at most


class Draws(NamedTuple):
    """Samples of a joint distribution of a number and some points.

    Attributes:
        t: (N), float32, 0 to 1.
        targets: (N, n, 2), float32; 0 where there is none.
        mask: (N, n), bool, true where there is a target; the first there always is.
    """

    t: Floats
    targets: Floats
    mask: NDArray[np.bool_]


def draw(count: int, seed: Seed) -> Draws:
    """Samples whose t is drawn uniformly.

    Args:
        count: N.
        seed: a number, or several such as a seed and an epoch.
    """
    rng = np.random.default_rng(seed)
    return _draw(rng.random(count, dtype=np.float32), rng)


def draw_given(t: float, count: int, seed: Seed) -> Draws:
    """Samples whose t is given.

    Args:
        t: 0 to 1.
        count: N.
        seed: a number, or several such as a seed and the number of the t.

    Raises:
        ValueError: t is out of its range.
    """
    if not 0 <= t <= 1:
        raise ValueError(f"t: expected 0 to 1, found {t}")
    return _draw(np.full(count, t, np.float32), np.random.default_rng(seed))


def inputs(count: int = INPUTS) -> Floats:
    """Equally spaced t from 0 to 1, (count): where the hypotheses are evaluated, each t against samples given it."""
    return np.linspace(0, 1, count, dtype=np.float32)


def points(draws: Draws) -> Floats:
    """All targets that there are, (M, 2), a sample of two points giving both: what the hypotheses are held against."""
    return draws.targets[draws.mask]


def probabilities(t: float) -> NDArray[np.float64]:
    """How probable it is that a point lies lower left, upper left, lower right and upper right, given t: (4)."""
    return np.array([1 - t, t, t, 1 - t]) / 2


def _draw(t: Floats, rng: np.random.Generator) -> Draws:
    size = (len(t), TARGETS)
    second = rng.random(len(t)) < np.abs(1 - 2 * t)
    mask = np.stack([np.ones_like(second), second], axis=1)
    across = rng.random(size) < t[:, None]  # upper left or lower right
    right = rng.random(size) < 0.5
    corner = np.stack([right, right ^ across], axis=-1) - np.float32(1)
    targets = corner + rng.random((*size, 2), dtype=np.float32)
    return Draws(t, targets * mask[..., None], mask)
