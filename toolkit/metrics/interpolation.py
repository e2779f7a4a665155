"""How attributes move when one dimension of a code does: monotonicity and smoothness (Watcharasupat 2021, as Latte has them).

Letters of the shapes: N codes, A attributes, K steps along the dimension that belongs to an attribute.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from toolkit.metrics.dependence import Floats


def monotonicity(latents: ArrayLike, attributes: ArrayLike, threshold: float = 1e-3) -> Floats:
    """Share of the steps that an attribute rises at, less those that it falls at: the mean over the codes, (A), -1 to 1.

    Args:
        latents: (N, A, K), values of the dimension of each attribute.
        attributes: (N, A, K), of what was decoded.
        threshold: slopes below it do not count.

    Returns:
        (A); NaN where nothing moves.

    Raises:
        ValueError: shapes differ, there are fewer than two steps, or a dimension does not move.
    """
    steps, values = _steps(latents, attributes, 2)
    slopes = np.diff(values) / np.diff(steps)
    signs = np.sign(slopes) * (np.abs(slopes) > threshold)
    moving = (signs != 0).sum(-1)
    shares = np.divide(signs.sum(-1), moving, out=np.full(moving.shape, np.nan), where=moving > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # attributes that never move
        return np.nanmean(shares, 0)


def smoothness(latents: ArrayLike, attributes: ArrayLike, power: float = 2.0) -> Floats:
    """One minus the change of an attribute's slope in relation to the range of its slopes: the mean over the codes, (A).

    The change is the Lehmer mean of its amounts at all steps, which is near the greatest.  Where a slope never changes it is 1
    (Latte: only if that is so of all codes).

    Args:
        latents: (N, A, K), values of the dimension of each attribute, equally far from each other.
        attributes: (N, A, K), of what was decoded.
        power: of the Lehmer mean.

    Raises:
        ValueError: shapes differ, there are fewer than three steps, or they are not equally wide.
    """
    steps, values = _steps(latents, attributes, 3)
    if not np.allclose(np.diff(steps, n=2), 0):
        raise ValueError("latents: expected steps of one width")
    width = steps[..., 1] - steps[..., 0]
    slopes = np.diff(values) / width[..., None]
    changes = np.abs(np.diff(slopes) / width[..., None])
    weights = changes ** (power - 1)
    bends = weights.sum(-1) > 0
    change = np.divide((changes * weights).sum(-1), weights.sum(-1), out=np.zeros(width.shape), where=bends)
    relative = np.divide(change * width, np.ptp(slopes, -1), out=np.zeros(width.shape), where=bends)
    return (1 - relative).mean(0)


def _steps(latents: ArrayLike, attributes: ArrayLike, fewest: int) -> tuple[Floats, Floats]:
    steps, values = np.asarray(latents, np.float64), np.asarray(attributes, np.float64)
    if steps.ndim != 3 or steps.shape != values.shape or steps.shape[-1] < fewest:
        raise ValueError(
            f"latents and attributes: expected one shape (N, A, K), K at least {fewest}, found {steps.shape} and {values.shape}"
        )
    if (np.diff(steps) == 0).any():
        raise ValueError("latents: expected each step to move the dimension")
    return steps, values
