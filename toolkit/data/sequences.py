"""Token sequences as examples: each is a list of numbers, and in a batch the shorter ones are filled up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolkit.data.examples import ExampleSource

FILLING = 0


class TokenBatch(NamedTuple):
    """B sequences of up to L tokens.

    Attributes:
        tokens: (B, L), int64.
        mask: (B, L), true for the tokens that count, which are not filling.
        ids: of the sequences.
    """

    tokens: Tensor
    mask: Tensor
    ids: list[str]


def batch_of(sequences: Sequence[NDArray[np.int64]], ids: list[str]) -> TokenBatch:
    """Put sequences (l,) into one batch (B, L), as long as the longest of them."""
    longest = max(map(len, sequences))
    tokens = np.full((len(sequences), longest), FILLING, np.int64)
    mask = np.zeros((len(sequences), longest), bool)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)], mask[row, : len(sequence)] = sequence, True
    return TokenBatch(torch.from_numpy(tokens), torch.from_numpy(mask), ids)


def whole(tokens: Tensor, ids: list[str]) -> TokenBatch:
    """A batch of sequences of one length, (B, L)."""
    return TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool), ids)


def pieces(tokens: NDArray[np.int64], context: int) -> list[NDArray[np.int64]]:
    """A sequence in pieces of at most `context` tokens; each begins with the last of the one before, which it only reads.

    So every token but the first is predicted once.

    Raises:
        ValueError: there is no token, or nothing could be predicted in so little.
    """
    if context < 2 or not len(tokens):
        raise ValueError(f"expected tokens, and a context of at least 2, found {len(tokens)} and {context}")
    return [tokens[begin : begin + context] for begin in range(0, max(1, len(tokens) - 1), context - 1)]


class Texts(ExampleSource[TokenBatch]):
    """Sequences of any lengths, the same in each epoch.

    Args:
        sequences: one for each example.
        ids: of them.
    """

    def __init__(self, sequences: Sequence[NDArray[np.int64]], ids: Sequence[str]) -> None:
        self._sequences, self._ids = list(sequences), list(ids)

    def __len__(self) -> int:
        return len(self._sequences)

    def batch(self, epoch: int, indices: Sequence[int], memory: NDArray[np.float32] | None = None) -> TokenBatch:
        """The sequences (B, L) at `indices`; the same in each epoch."""
        return batch_of([self._sequences[index] for index in indices], [self._ids[index] for index in indices])
