"""Markov chains as matrices (V, V): row i holds the probabilities of what follows state i."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def two_state(p: float, q: float) -> Floats:
    """The chain [[1 - p, p], [q, 1 - q]]: it leaves state 0 with probability p and state 1 with probability q."""
    return np.array([[1 - p, p], [q, 1 - q]])


def stationary(transitions: Floats) -> Floats:
    """Stationary laws (..., V) of chains (..., V, V) that have one each.

    Raises:
        ValueError: the rows are no probabilities.
    """
    transitions = np.asarray(transitions, dtype=np.float64)
    if (transitions < 0).any() or not np.allclose(transitions.sum(-1), 1):
        raise ValueError("transitions: expected rows of probabilities, found others")
    states = transitions.shape[-1]
    balance = np.swapaxes(transitions, -1, -2) - np.eye(states)
    balance[..., -1, :] = 1  # one equation follows from the others, and makes room for the sum
    law: Floats = np.linalg.solve(balance, np.broadcast_to(np.eye(states)[-1][:, None], (*balance.shape[:-1], 1)))[..., 0]
    return law
