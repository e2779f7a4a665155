"""Manifests: JSON Lines, a header and then one item a line, read lazily so that a million items cost a few megabytes.

What reads a manifest keeps of it numbers of items and what else fits into arrays, no object of each item.

```
{"manifest": 1, "name": "wsj0-2mix/8k/min/tr", "root": "../../..", "edition": "full", "items": 20000, ...}
{"id": "011a0101_1.2_…", "split": "tr", "sample_rate": 8000, "frames": 41231, "channels": 1, "audio": {…}, "labels": {}}
```
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Annotated, Any, TypedDict

import msgspec
import numpy as np

from toolkit import files
from toolkit.log import UserError

VERSION = 1
SORTED = 1 << 24  # characters of items that are sorted in memory; more of them on the disk

Line = tuple[str, str]  # an item's id and its line
Count = Annotated[int, msgspec.Meta(ge=0)]  # of samples, rows, channels


@dataclass(frozen=True)
class Item:
    """One recording with all its parts.

    Attributes:
        id: unique within its manifest; also the name of what is predicted from it.
        split: as the corpus names it, e.g. ``tr``.
        sample_rate: Hz; 0 of what is no sound, such as a table (see `toolkit.data.tables`).
        frames: samples per channel; rows of a table.
        channels: audio channels.
        audio: role (``mixture``, ``s1``, ``drums``, ``speech``, …) to path below the manifest's root.
        labels: whatever else is known (speakers, gains in dB, tags).
    """

    id: str
    split: str
    sample_rate: Count
    frames: Count
    channels: Count
    audio: dict[str, str]
    labels: dict[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        """The roles that are not the mixture, in order."""
        return [role for role in self.audio if role != "mixture"]

    @property
    def seconds(self) -> float:
        """Duration in seconds; 0 of what is no sound."""
        return self.frames / self.sample_rate if self.sample_rate else 0.0


_KEYS = {one.name for one in fields(Item)}


class _Placed(TypedDict):
    root: str
    items: int


class _Header(_Placed, total=False):
    """What is relied on of a manifest's first line."""

    name: str
    corpus: str
    edition: str
    fingerprint: str
    hours: float


class Manifest:
    """A manifest on disk; items are parsed when they are asked for.

    Attributes:
        path: the file.
        header: its first line: `name`, `corpus`, `edition` ("full", "mini", or what part it is), `fingerprint`, `items`.
        root: the folder that audio paths start from.
    """

    def __init__(self, path: Path, header: dict[str, Any], offsets: np.ndarray) -> None:
        self.path = path
        self.header = header
        self.root = (path.parent / header["root"]).resolve()
        self._offsets = offsets

    @classmethod
    def open(cls, path: Path | str) -> Manifest:
        """Open a manifest.

        Raises:
            UserError: it is missing, of another version, or cut short.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"no such manifest: {path}. Next: run the stage `prepare`, or give --data what it prepared")
        with path.open("rb") as stream:
            first = stream.readline()
            header = _parse(first, path, 1)
            offsets = np.fromiter(itertools.accumulate(map(len, stream), initial=len(first)), dtype=np.int64)
        if header.get("manifest") != VERSION:
            found = header.get("manifest")
            raise UserError(f"{path}: expected manifest version {VERSION}, found {found}. Next: prepare with --force")
        if wrong := files.misfit(header, _Header):
            raise UserError(f"{path}, line 1: {wrong}. Next: prepare with --force")
        if not header["items"]:
            raise UserError(f"{path}: expected at least one item, found none. Next: prepare with --force")
        if len(offsets) - 1 != header["items"]:
            raise UserError(f"{path}: expected {header['items']} items, found {len(offsets) - 1}. Next: prepare with --force")
        return cls(path, header, offsets)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < len(self):
            raise IndexError(index)
        begin, end = int(self._offsets[index]), int(self._offsets[index + 1])
        with self.path.open("rb") as stream:
            stream.seek(begin)
            return _item(_parse(stream.read(end - begin), self.path, index + 2), self.path, index + 2)

    def __iter__(self) -> Iterator[Item]:
        with self.path.open("rb") as stream:
            stream.readline()
            for number, line in enumerate(stream, 2):
                yield _item(_parse(line, self.path, number), self.path, number)

    @property
    def name(self) -> str:
        """What configurations call it, e.g. ``wsj0-2mix/8k/min/tr``.

        Raises:
            UserError: its first line does not say.
        """
        if "name" not in self.header:
            raise UserError(f"{self.path}, line 1: expected a name, found none. Next: prepare with --force")
        return str(self.header["name"])

    @property
    def data(self) -> Path:
        """The folder that manifests are named below: this one is `<data>/<name>.jsonl`.

        Raises:
            UserError: its first line does not say what it is called.
        """
        return self.path.parents[len(Path(self.name).parts) - 1]

    def content(self) -> str:
        """Hexadecimal SHA-256 of the lines of its items: the same wherever the data lie."""
        digest = hashlib.sha256()
        with self.path.open("rb") as stream:
            stream.readline()
            while block := stream.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def path_of(self, item: Item, role: str) -> Path:
        """Where one role's audio of an item lies.

        Raises:
            UserError: the item has no such role.
        """
        if role not in item.audio:
            known = ", ".join(item.audio) or "none"
            raise UserError(
                f"{self.path}: {item.id}: expected a file for the role {role!r}, found {known}. Next: prepare with --force"
            )
        return self.root / item.audio[role]


def write(path: Path | str, header: dict[str, Any], items: Iterable[Item]) -> None:
    """Write a manifest atomically, items sorted by id; of items that are made as they are asked for, few are held at a time.

    Args:
        path: the manifest's file.
        header: `root` (folder of the audio, absolute or relative to the manifest's folder), `name`, `corpus`, `edition`, …
        items: at least one.

    Raises:
        UserError: there is no item, an id is no name, or two items have the same.
    """
    path = Path(path)
    count, size, seconds = 0, 0, 0.0
    lines: list[Line] = []
    with files.atomic(path) as partial, contextlib.ExitStack() as closing:
        runs: list[Iterator[Line]] = []
        for item in items:
            if not _is_name(item.id):
                raise UserError(f"{path}: id: expected a name, found {item.id!r}")
            count, seconds = count + 1, seconds + item.seconds
            lines.append((item.id, _line(vars(item))))  # not `asdict`, which copies every label
            size += len(lines[-1][1])
            if size >= SORTED:
                stream = closing.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", dir=path.parent))
                runs.append(_spilled(sorted(lines), stream))
                lines, size = [], 0
        if not count:
            raise UserError(
                f"{header.get('name', path)}: no usable item, expected at least one. Next: see the log for what was skipped"
            )
        head = {"manifest": VERSION, **header, "items": count, "hours": round(seconds / 3600, 4)}
        with partial.open("w", encoding="utf-8") as stream:
            stream.write(_line(head))
            stream.writelines(_unique(heapq.merge(*runs, iter(sorted(lines))), path))


def gone(path: Path) -> UserError:
    """What is told of a file that a manifest names: unlike one that cannot be used it is not left out, for it may come back."""
    return UserError(
        f"no such audio file: {path}; it was there when its manifest was written (is a disk not mounted, was a folder moved?). "
        "Next: bring it back and run the same command again, what is finished is kept; or run the stage `prepare` with --force"
    )


def relative_root(manifest: Path, root: Path) -> str:
    """`root` as the manifest is to store it: relative where both lie in one tree of data, so that the tree may move."""
    return os.path.relpath(root.resolve(), manifest.parent.resolve())


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _spilled(lines: Iterable[Line], stream: IO[str]) -> Iterator[Line]:
    """The lines, which stand in a file from now on and are read from it one by one."""
    stream.writelines(line for _, line in lines)
    stream.seek(0)
    return ((json.loads(line)["id"], line) for line in stream)


def _unique(ordered: Iterable[Line], path: Path) -> Iterator[str]:
    """The lines alone.

    Raises:
        UserError: an id stands twice.
    """
    before = None
    for identity, line in ordered:
        if identity == before:
            raise UserError(f"{path}: the id {identity!r} stands twice")
        before = identity
        yield line


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}, line {number}: not JSON ({error}). Next: prepare with --force") from error
    if not isinstance(row, dict):
        raise UserError(f"{path}, line {number}: expected keys and values, found {repr(row)[:60]}. Next: prepare with --force")
    return row


def _item(row: dict[str, Any], path: Path, number: int) -> Item:
    try:
        if row.keys() != _KEYS:
            raise ValueError(f"missing or unknown keys {sorted(row.keys() ^ _KEYS)}")
        item = msgspec.convert(row, Item)
        if not _is_name(item.id):
            raise ValueError(f"id: expected a name, found {item.id!r}")
    except (ValueError, msgspec.ValidationError) as error:
        raise UserError(f"{path}, line {number}: {error}. Next: prepare with --force") from error
    return item


def _is_name(identity: str) -> bool:
    """Whether it may name an item, and files of predictions below a folder."""
    return bool(identity) and not identity.startswith("/") and ".." not in identity.split("/")
