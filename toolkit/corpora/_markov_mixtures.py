"""Sequences that one of two Markov chains has drawn, without saying which (Letzelter et al. 2025, "LoRA-MCL", the toy data)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.dsp.chains import stationary, two_state

MIXTURES = {
    "transition1": np.stack([two_state(0.2, 0.9), two_state(0.8, 0.25)]),
    "transition2": np.stack([two_state(0.7, 0.8), two_state(0.8, 0.25)]),
}
BEGINNINGS = ("stationary", "uniform")


class Sequences(NamedTuple):
    """N sequences of T tokens.

    Attributes:
        tokens: (N, T), int64, states.
        chains: (N,), int64, which chain drew each of them.
    """

    tokens: NDArray[np.int64]
    chains: NDArray[np.int64]


def first_token_law(transitions: NDArray[np.float64], beginning: str = "stationary") -> NDArray[np.float64]:
    """Probabilities (C, V) of the first token: each chain's stationary law, or all states alike.

    The lines of the published figure are computed for the former, the data of the released code are drawn by the latter.

    Raises:
        ValueError: there is no such beginning.
    """
    if beginning not in BEGINNINGS:
        raise ValueError(f"beginning: expected one of {', '.join(BEGINNINGS)}, found {beginning!r}")
    laws = stationary(transitions)
    return laws if beginning == "stationary" else np.full_like(laws, 1 / laws.shape[-1])


def draw(
    transitions: NDArray[np.float64], count: int, length: int, seed: int, beginning: str = "stationary", split: int = 0
) -> Sequences:
    """Draw sequences, each from a chain that is drawn for it, all chains alike.

    Args:
        transitions: (C, V, V), row i holding what follows state i.
        count: N.
        length: T.
        seed: with `split`, of the random numbers; the first sequences of a longer draw are not those of a shorter one.
        beginning: law of the first token, see `first_token_law`.
        split: number of the split, so that one seed serves all of them.
    """
    return draw_from(transitions, first_token_law(transitions, beginning), count, length, (seed, split))


def draw_from(transitions: ArrayLike, initial: ArrayLike, count: int, length: int, seeds: Sequence[int]) -> Sequences:
    """Draw sequences, each from a chain that is drawn for it, all chains alike.

    Args:
        transitions: (C, V, V), row i holding what follows state i.
        initial: (C, V), laws of the first token.
        count: N.
        length: T.
        seeds: of the random numbers.
    """
    matrices = np.asarray(transitions, np.float64)
    generator = np.random.default_rng(list(seeds))
    chains = generator.integers(len(matrices), size=count)
    ends = np.cumsum(matrices, axis=-1)[..., :-1]  # the last state is what no other is
    tokens = np.empty((count, length), dtype=np.int64)
    uniform = generator.random((count, length))
    bounds = np.cumsum(np.asarray(initial, np.float64), axis=-1)[chains, :-1]
    for place in range(length):
        tokens[:, place] = (uniform[:, place, None] >= bounds).sum(1)
        bounds = ends[chains, tokens[:, place]]
    return Sequences(tokens, chains)
