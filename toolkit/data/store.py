"""Stored features: arrays of many recordings in a few files, written shard by shard, read by memory mapping.

```
<data>/features/<feature>/<manifest>/00000.npy        frames of the recordings one after another, (frames, …)
                                     00000.jsonl      {"id": …, "start": 0, "frames": 463} or {"id": …, "skipped": "why"}
                                     store.json       written last: what it was made from, how many of each
```

Shards are plain arrays, no archives: what is wanted of a recording is found without reading what stands before it, nothing is
unpacked, and processes share the system's memory for files.  Where a disk is slow to read here and there, a shard is read from
its beginning to its end at once (`in_order`), and an epoch takes shard after shard (`toolkit.data.shards`).
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from toolkit import files, log
from toolkit.data.manifest import Manifest
from toolkit.data.names import Names
from toolkit.launch.parts import one_at_a_time
from toolkit.log import UserError

MAPPED = 128  # shards of a store that are mapped into memory at once; each takes one of the files a process may have open
BLOCK = 1 << 22  # bytes that are read at once of a shard that is read from its beginning to its end

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


def origin(feature: str, manifest: Manifest) -> dict[str, Any]:
    """What a feature of a manifest's recordings is made from; what was stored is used again only if this is still the same."""
    return {"feature": feature, "manifest": manifest.name, "fingerprint": manifest.header.get("fingerprint")}


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
                _check(self.folder, int(index.stem))
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
        recordings, skipped, first = 0, 0, ""
        for row in (row for shard in range(shards) for row in _rows(self.folder, shard)):
            if "skipped" in row:
                first = first or f"; the first was skipped since: {row['skipped']}"
                skipped += 1
            else:
                recordings += 1
        if not recordings:
            raise UserError(f"{self.folder}: expected at least one recording, found none{first}. Next: mend what the log names")
        counts = {"shards": shards, "recordings": recordings, "skipped": skipped}
        files.write_json(self.folder / "store.json", {**self.made_from, **counts})


class Store:
    """A finished store.

    Args:
        folder: where it lies.
        in_order: read a shard from its beginning to its end when something of it is asked for the first time, so that all of it
            is in the system's memory for files: good where the rest will be asked for soon (see `toolkit.data.shards`), and for
            disks that are slow to read here and there.

    Attributes:
        folder: where it lies.
        shape: of one frame: () for waveforms, (D,) for vectors.
        dtype: what it is stored in.
        skipped: recordings of which nothing is stored, and why.

    Raises:
        UserError: it is not there, not finished, or a shard of it is damaged.
    """

    def __init__(self, folder: Path, in_order: bool = False) -> None:
        self.folder, self.in_order = folder, in_order
        head = folder / "store.json"
        if not head.is_file():
            raise UserError(f"no stored features at {folder}. Next: run the stage `features`")
        self.skipped: dict[str, str] = {}
        self._frames: list[int] = []
        self._mapped: dict[int, np.ndarray] = {}
        places = array("q")
        self._names = Names(self._read_index(files.read_json(head)["shards"], places))
        self._places = np.frombuffer(places, np.int64).reshape(-1, 3)
        first = self._shard(int(self._places[0, 0]))
        self.shape: tuple[int, ...] = first.shape[1:]
        self.dtype = first.dtype

    def __contains__(self, identity: str) -> bool:
        return identity in self._names

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def place(self, identity: str) -> Place:
        """Where a recording's frames stand.

        Raises:
            UserError: there is no such recording.
        """
        number = self._names.find(identity)
        if number is None:
            reason = self.skipped.get(identity, "it is not in the manifest that was read")
            raise UserError(f"{self.folder}: nothing is stored of {identity!r}: {reason}. Next: run the stage `features`")
        return Place(*self._places[number].tolist())

    def places(self, identities: Iterable[str]) -> np.ndarray:
        """Where the frames of recordings stand: (recordings, 3), shard, start, frames.

        Raises:
            UserError: one of them is not there.
        """
        return np.fromiter((self.place(identity) for identity in identities), np.dtype((np.int64, 3)))

    def frames(self, identity: str) -> int:
        """How many frames a recording has."""
        return self.place(identity).frames

    def read(self, identity: str, start: int = 0, frames: int | None = None) -> np.ndarray:
        """Frames of a recording (frames, …), in the type they are stored in, without a copy.

        Raises:
            UserError: there is no such recording.
        """
        place = self.place(identity)
        end = place.frames if frames is None else min(place.frames, start + frames)
        return self._shard(place.shard)[place.start + start : place.start + end]

    def gather(self, shards: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        """Copy single frames into `out` (N, …): those that stand at these rows of these shards, (N,) each."""
        for shard in np.unique(shards):
            here = shards == shard
            out[here] = self._shard(int(shard))[rows[here]]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_mapped": {}}  # another process maps the files itself

    def _read_index(self, shards: int, places: array[int]) -> Iterator[str]:
        """The ids; their places are put one after another into `places`."""
        for shard in range(shards):
            frames = 0
            for row in _rows(self.folder, shard):
                if "skipped" in row:
                    self.skipped[row["id"]] = row["skipped"]
                    continue
                places.extend((shard, row["start"], row["frames"]))
                frames += row["frames"]
                yield row["id"]
            self._frames.append(frames)
            _map(self.folder, shard, frames)

    def _shard(self, shard: int) -> np.ndarray:
        """A shard's frames; of those that are mapped, the one asked for last stands last."""
        found = self._mapped.pop(shard, None)
        if found is None:
            found = _map(self.folder, shard, self._frames[shard])
            if self.in_order:
                _read_through(self.folder / f"{shard:05d}.npy")
            for oldest in list(self._mapped)[: len(self._mapped) + 1 - MAPPED]:
                self._mapped.pop(oldest, None)
        self._mapped[shard] = found
        return found


def _rows(folder: Path, shard: int) -> Iterator[dict[str, Any]]:
    """The lines of a shard's index.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        with _index(folder, shard).open("rb") as stream:
            for line in stream:
                row = json.loads(line)
                if "skipped" not in row and not isinstance(row["start"] + row["frames"], int):
                    raise ValueError(f"expected whole numbers of frames, found {row}")
                yield row
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, shard, error) from error


def _map(folder: Path, shard: int, frames: int) -> np.ndarray:
    """A shard's frames, mapped into memory.

    Raises:
        UserError: the file is missing, or is not what was written as far as its size tells.
    """
    try:
        found: np.ndarray = np.load(folder / f"{shard:05d}.npy", mmap_mode="r", allow_pickle=False)
        if len(found) != frames:
            raise ValueError(f"expected {frames} frames, found {len(found)}")
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise _damaged(folder, shard, error) from error
    return found


def _check(folder: Path, shard: int) -> None:
    """Raise a UserError where a shard is damaged."""
    _map(folder, shard, sum(row["frames"] for row in _rows(folder, shard) if "skipped" not in row))


def _damaged(folder: Path, shard: int, error: Exception) -> UserError:
    return UserError(
        f"{folder / f'{shard:05d}.npy'}: this shard of stored features is damaged ({' '.join(str(error).split())}). "
        "Next: run the stage `features` with --force, which makes it anew"
    )


def _read_through(path: Path) -> None:
    """Read a file from its beginning to its end, in large blocks, so that the system holds it in memory."""
    block = bytearray(BLOCK)
    with path.open("rb", buffering=0) as stream:
        while stream.readinto(block):
            pass


def _index(folder: Path, shard: int) -> Path:
    return folder / f"{shard:05d}.jsonl"


def write(folder: Path, made_from: dict[str, Any], rows: Sequence[Row]) -> None:
    """Write a whole store at once, as one shard."""
    writer = StoreWriter(folder, made_from)
    if not writer.has(0):
        writer.write(0, rows)
    writer.finish(1)
