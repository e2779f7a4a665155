"""Tables: items that are no recordings, but the rows of arrays.

Where a corpus is a million melodies of sixteen tokens, or pictures of a few pixels, an item of a manifest is a whole table of
them: its `frames` are the rows, its sample rate is 0, and its roles name one file of NumPy each (`tokens`, `factors`, …), all
with as many rows.  What is predicted of such an item is predicted of all rows at once.  Examples are made of them
by `toolkit.data.rows`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit import files
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError


def write(path: Path, values: NDArray[Any]) -> None:
    """Write an array (rows, …) as a NumPy file, atomically; no objects, nothing that would have to be unpickled."""
    with files.atomic(path) as partial, partial.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(values), allow_pickle=False)


def digest(values: NDArray[Any]) -> str:
    """Hexadecimal SHA-256 of an array's values, for a manifest's fingerprint: its lines tell the file only."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def load(path: Path, again: str) -> NDArray[Any]:
    """Read an array that `write` wrote.

    Args:
        path: the file.
        again: what to do where it is not as it was written.

    Raises:
        UserError: it is missing, or no NumPy file.
    """
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}. Next: {again}") from error
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: expected a NumPy file: {' '.join(str(error).split())}. Next: {again}") from error
    return array


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
        raise UserError(f"{path}: expected a NumPy file: {' '.join(str(error).split())}. Next: prepare with --force") from error
    if rows.shape[:1] != (item.frames,):
        raise UserError(f"{path}: expected {item.frames} rows, found shape {rows.shape}. Next: prepare with --force")
    return rows


def read_all(manifest: Manifest, role: str) -> NDArray[Any]:
    """The rows of one role of all items, one below the other; a single item's stay mapped.

    Raises:
        UserError: as `read`.
    """
    parts = [read(manifest, one, role) for one in manifest]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
