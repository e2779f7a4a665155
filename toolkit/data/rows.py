"""Examples that are rows of arrays, or drawn by a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.data.examples import AnyBatch, ExampleSource


class Rows(ExampleSource[AnyBatch]):
    """Examples that are rows of arrays.

    Args:
        batch: makes a batch of tensors, one for each array, and of the rows' numbers as ids.
        arrays: (N, …) each.

    Raises:
        ValueError: there is none, or they have different numbers of rows.
    """

    def __init__(self, batch: Callable[..., AnyBatch], *arrays: NDArray[Any]) -> None:
        if not arrays or len({len(array) for array in arrays}) != 1:
            raise ValueError(f"arrays: expected one or more of equally many rows, found {[len(array) for array in arrays]}")
        self._batch, self._arrays = batch, arrays

    def __len__(self) -> int:
        return len(self._arrays[0])

    def batch(self, epoch: int, indices: Sequence[int], memory: NDArray[Any] | None = None) -> AnyBatch:
        """The rows of these numbers, the same in each epoch."""
        picked = (torch.from_numpy(np.asarray(array[list(indices)])) for array in self._arrays)
        return self._batch(*picked, ids=[str(index) for index in indices])


class Drawn(ExampleSource[AnyBatch]):
    """Examples that are drawn by a rule, new ones in each epoch; those of an epoch follow from its number and a seed.

    Args:
        batch: as of `Rows`.
        draw: given seeds, arrays (N, …), always of the same N.
        seed: of all that is drawn.
        fixed: whether all epochs have the same examples.
    """

    def __init__(
        self,
        batch: Callable[..., AnyBatch],
        draw: Callable[[Sequence[int]], Sequence[NDArray[Any]]],
        seed: int,
        fixed: bool = False,
    ) -> None:
        self._make, self._draw, self._seed, self._fixed = batch, draw, seed, fixed
        self._epoch, self._rows = 0, self._drawn(0)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, epoch: int, indices: Sequence[int], memory: NDArray[Any] | None = None) -> AnyBatch:
        """The examples of an epoch at `indices`."""
        if epoch != self._epoch and not self._fixed:
            self._epoch, self._rows = epoch, self._drawn(epoch)
        return self._rows.batch(epoch, indices)

    def _drawn(self, epoch: int) -> Rows[AnyBatch]:
        return Rows(self._make, *self._draw((self._seed, epoch)))
