"""Tables: items that are no recordings, but the rows of arrays.

Where a corpus is a million melodies of sixteen tokens, or pictures of a few pixels, an item of a manifest is a whole table of
them: its `frames` are the rows, its sample rate is 0, and its roles name one file of NumPy each (`tokens`, `factors`, …), all
with as many rows.  What is predicted of such an item is predicted of all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit import files
from toolkit.data.examples import AnyBatch, ExampleSource
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError


def write(path: Path, values: NDArray[Any]) -> None:
    """Write an array as a NumPy file, atomically; no objects, nothing that would have to be unpickled."""
    with files.atomic(path) as partial, partial.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(values), allow_pickle=False)


def item(name: str, split: str, rows: int, roles: Mapping[str, str], labels: Mapping[str, Any] | None = None) -> Item:
    """The line of a manifest for a table.

    Args:
        name: its id.
        split: as the corpus names it.
        rows: how many it has.
        roles: role to path below the manifest's root.
        labels: whatever else is known.
    """
    return Item(name, split, 0, rows, 0, dict(roles), dict(labels or {}))


def read(manifest: Manifest, item: Item, role: str) -> NDArray[Any]:
    """The rows of one role, (rows, …), mapped into memory: what is not looked at is not read.

    Raises:
        UserError: the item has no such role, the file is missing, no NumPy file, or has another number of rows.
    """
    if role not in item.audio:
        raise UserError(f"{manifest.path}: {item.id}: expected a table {role!r}, found {', '.join(item.audio) or 'none'}")
    path = manifest.path_of(item, role)
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"no such table: {path}. Next: run the stage `prepare`") from error
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path}: expected a NumPy file: {' '.join(str(error).split())}. Next: prepare again") from error
    if rows.shape[:1] != (item.frames,):
        raise UserError(f"{path}: expected {item.frames} rows, found shape {rows.shape}. Next: prepare again")
    return rows


def read_all(manifest: Manifest, role: str) -> NDArray[Any]:
    """The rows of one role of all items, one below the other; a single item's stay mapped.

    Raises:
        UserError: as `read`.
    """
    parts = [read(manifest, one, role) for one in manifest]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


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
        """Some examples of an epoch."""
        if epoch != self._epoch and not self._fixed:
            self._epoch, self._rows = epoch, self._drawn(epoch)
        return self._rows.batch(epoch, indices)

    def _drawn(self, epoch: int) -> Rows[AnyBatch]:
        return Rows(self._make, *self._draw((self._seed, epoch)))
