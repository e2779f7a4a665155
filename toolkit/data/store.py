"""Stored features: arrays of many recordings in a few files, written shard by shard, read by memory mapping.

```
<data>/features/<feature>/<manifest>/00000.npy        frames of the recordings one after another, (frames, …)
                                     00000.jsonl      {"id": …, "start": 0, "frames": 463} or {"id": …, "skipped": "why"}
                                     store.json       written last: what it was made from, how many of each
```
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from toolkit import files, log
from toolkit.launch.parts import one_at_a_time
from toolkit.log import UserError

Row = tuple[str, np.ndarray]  # id of a recording, its frames (frames, …)

logger = log.get(__name__)


class Place(NamedTuple):
    """Where a recording's frames stand."""

    shard: int
    start: int
    frames: int


def folder_of(data: Path, feature: str, manifest: str) -> Path:
    """The folder of a feature's store for the recordings of a manifest."""
    return data / "features" / feature / manifest


class StoreWriter:
    """Writes a store; a shard that an earlier run has finished for the same recordings is kept.

    Args:
        folder: of the store.
        made_from: what it is computed from (feature, options, manifest), as plain values; shards of another one, and
            damaged ones, are dropped.
    """

    def __init__(self, folder: Path, made_from: dict[str, Any]) -> None:
        self.folder, self.made_from = folder, made_from
        mark = folder / "made_from.json"
        with one_at_a_time(folder / ".lock"):  # of several who write one store, the first drops what is old
            if not mark.is_file() or files.read_json(mark) != made_from:
                for path in [*folder.glob("*.npy"), *folder.glob("*.json*")]:
                    path.unlink()
                files.write_json(mark, made_from)
            self._drop_damaged()

    def _drop_damaged(self) -> None:
        for index in sorted(self.folder.glob("[0-9]*.jsonl")):
            try:
                _read(self.folder, int(index.stem))
            except UserError as error:
                logger.warning("%s", error)
                for path in (self.folder / "store.json", index, index.with_suffix(".npy")):
                    path.unlink(missing_ok=True)

    @property
    def is_finished(self) -> bool:
        """Whether all of it is written."""
        return (self.folder / "store.json").is_file()

    def has(self, shard: int) -> bool:
        """Whether a shard is finished."""
        return _index(self.folder, shard).is_file()

    def write(self, shard: int, rows: Iterable[Row], skipped: Mapping[str, str] | None = None) -> None:
        """Write one shard; its index comes last and makes it count.

        Args:
            shard: its number.
            rows: its recordings, all of one type and shape of a frame.
            skipped: recordings of which there is nothing, and why.
        """
        rows = list(rows)
        with files.atomic(self.folder / f"{shard:05d}.npy") as partial:
            np.save(partial, np.concatenate([frames for _, frames in rows]) if rows else np.empty(0), allow_pickle=False)
        starts = np.cumsum([0, *(len(frames) for _, frames in rows)]).tolist()
        lines = [
            {"id": identity, "start": start, "frames": len(frames)}
            for (identity, frames), start in zip(rows, starts[:-1], strict=True)
        ]
        lines += [{"id": identity, "skipped": reason} for identity, reason in (skipped or {}).items()]
        files.write_text(_index(self.folder, shard), "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))

    def finish(self, shards: int) -> None:
        """Say that all shards are written.

        Raises:
            UserError: there is no recording in any of them.
        """
        lines = [line for shard in range(shards) for line in files.read_jsonl(_index(self.folder, shard))]
        skipped = [line for line in lines if "skipped" in line]
        if len(skipped) == len(lines):
            first = f"; the first was skipped since: {skipped[0]['skipped']}" if skipped else ""
            raise UserError(f"{self.folder}: expected at least one recording, found none{first}. Next: mend what the log names")
        counts = {"shards": shards, "recordings": len(lines) - len(skipped), "skipped": len(skipped)}
        files.write_json(self.folder / "store.json", {**self.made_from, **counts})


class Store:
    """A finished store.

    Attributes:
        folder: where it lies.
        shape: of one frame: () for waveforms, (D,) for vectors.
        dtype: what it is stored in.
        skipped: recordings of which nothing is stored, and why.

    Raises:
        UserError: it is not there, not finished, or a shard of it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        head = folder / "store.json"
        if not head.is_file():
            raise UserError(f"no stored features at {folder}. Next: run the stage `features`")
        self._places: dict[str, Place] = {}
        self.skipped: dict[str, str] = {}
        self._shards: dict[int, np.ndarray] = {}
        for shard in range(files.read_json(head)["shards"]):
            rows, self._shards[shard] = _read(folder, shard)
            for row in rows:
                if "skipped" in row:
                    self.skipped[row["id"]] = row["skipped"]
                else:
                    self._places[row["id"]] = Place(shard, row["start"], row["frames"])
        first = self._shard(next(iter(self._places.values())).shard)
        self.shape: tuple[int, ...] = first.shape[1:]
        self.dtype = first.dtype

    def __contains__(self, identity: str) -> bool:
        return identity in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def frames(self, identity: str) -> int:
        """How many frames a recording has."""
        return self._place(identity).frames

    def read(self, identity: str, start: int = 0, frames: int | None = None) -> np.ndarray:
        """Frames of a recording (frames, …), in the type they are stored in, without a copy.

        Raises:
            UserError: there is no such recording.
        """
        place = self._place(identity)
        end = place.frames if frames is None else min(place.frames, start + frames)
        return self._shard(place.shard)[place.start + start : place.start + end]

    def _place(self, identity: str) -> Place:
        place = self._places.get(identity)
        if place is None:
            reason = self.skipped.get(identity, "it is not in the manifest that was read")
            raise UserError(f"{self.folder}: nothing is stored of {identity!r}: {reason}. Next: run the stage `features`")
        return place

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_shards": {}}  # another process maps the files itself

    def _shard(self, shard: int) -> np.ndarray:
        if shard not in self._shards:
            self._shards[shard] = _read(self.folder, shard)[1]
        return self._shards[shard]


def _read(folder: Path, shard: int) -> tuple[list[dict[str, Any]], np.ndarray]:
    """A shard's index and its frames, mapped into memory.

    Raises:
        UserError: one of them is missing, or is not what was written as far as its size tells.
    """
    path = folder / f"{shard:05d}.npy"
    try:
        rows = files.read_jsonl(_index(folder, shard))
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
        expected = sum(row["frames"] for row in rows if "skipped" not in row)
        if len(frames) != expected:
            raise ValueError(f"expected {expected} frames, found {len(frames)}")
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: this shard of stored features is damaged ({' '.join(str(error).split())}). "
            "Next: run the stage `features` with --force, which makes it anew"
        ) from error
    return rows, frames


def _index(folder: Path, shard: int) -> Path:
    return folder / f"{shard:05d}.jsonl"


def write(folder: Path, made_from: dict[str, Any], rows: Sequence[Row]) -> None:
    """Write a whole store at once, as one shard."""
    writer = StoreWriter(folder, made_from)
    if not writer.has(0):
        writer.write(0, rows)
    writer.finish(1)
