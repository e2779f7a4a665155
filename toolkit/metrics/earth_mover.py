"""Earth mover's distance of weighted points: the least mean way that the mass of one set goes to become the other.

The exact optimum of the transport problem, by the simplex method (HiGHS through SciPy): about 0.6 s for 20 points and 1,500.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def earth_movers_distance(
    points: ArrayLike, others: ArrayLike, weights: ArrayLike | None = None, other_weights: ArrayLike | None = None
) -> float:
    """Earth mover's distance under the Euclidean distance (Rubner, Tomasi & Guibas 2000; Wasserstein-1).

    Args:
        points: (K, D), e.g. hypotheses.
        others: (N, D), e.g. samples of what they stand for.
        weights: (K), how much each point weighs; all alike if not given.  Scaled to a sum of 1.
        other_weights: (N), the same of the others.

    Raises:
        ValueError: there are no points, shapes do not fit, or weights are negative, all 0 or not finite.
    """
    first, second = (np.asarray(x, dtype=np.float64) for x in (points, others))
    if not (first.ndim == second.ndim == 2 and first.shape[1] == second.shape[1] and len(first) and len(second)):
        raise ValueError(f"expected points (K, D) and (N, D), at least one of each, found {first.shape} and {second.shape}")
    mass, other_mass = _normalized("weights", weights, len(first)), _normalized("other_weights", other_weights, len(second))
    first, mass, second, other_mass = first[mass > 0], mass[mass > 0], second[other_mass > 0], other_mass[other_mass > 0]
    cost = scipy.spatial.distance.cdist(first, second)
    return _least_transport(cost, mass, other_mass)


def _least_transport(cost: Floats, mass: Floats, other_mass: Floats) -> float:
    """The least cost of carrying `mass` (K) to `other_mass` (N), given the cost (K, N) of a unit of it."""
    count, other_count = cost.shape
    leaving = scipy.sparse.kron(scipy.sparse.eye_array(count), np.ones((1, other_count)))
    arriving = scipy.sparse.kron(np.ones((1, count)), scipy.sparse.eye_array(other_count))
    rows: Any = scipy.sparse.vstack([leaving, arriving]).tocsr()[:-1]  # the last row follows from the others
    found = scipy.optimize.linprog(cost.ravel(), A_eq=rows, b_eq=np.concatenate([mass, other_mass])[:-1], method="highs-ds")
    if found.status != 0:
        raise RuntimeError(f"the transport problem was not solved: {found.message}")
    return max(float(found.fun), 0.0)


def _normalized(name: str, weights: ArrayLike | None, count: int) -> Floats:
    if weights is None:
        return np.full(count, 1 / count)
    mass = np.asarray(weights, dtype=np.float64)
    if mass.shape != (count,):
        raise ValueError(f"{name}: expected one for each of {count} points, found shape {mass.shape}")
    if not (np.isfinite(mass).all() and (mass >= 0).all() and mass.sum() > 0):
        raise ValueError(f"{name}: expected finite numbers of at least 0, one of them above, found others")
    return mass / mass.sum()
