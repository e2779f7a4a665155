"""Stage bookkeeping: what a stage was given is hashed, so that it runs again exactly when something of that changed.

A record lies beside what the stage makes (`<folder>/.stages/<name>.json`).  It is written when the stage begins (state
"running") and again when it ends.  While it runs, its process holds a lock that the system takes away when the process is
gone: a record that says "running" without a lock was cut off.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from toolkit import config, files, log


class _Begun(TypedDict):
    state: str
    made_from: str
    seen: dict[str, dict[str, Any]]


class Record(_Begun, total=False):
    """What is relied on of the record of a stage; the outputs are known when it is done."""

    outputs: list[str]


@dataclass
class Stage:
    """One run of one verb.

    Attributes:
        name: the verb: `fetch`, `prepare`, `features`, `train`, `infer`, `score`, `report`.
        folder: where its record is kept.
        command: the words of the command line that its result depends on.
        section: the part of the configuration that it depends on, as plain values.
        inputs: files (hashed by content) and folders (by names, sizes and times).
        outputs: files or folders that exist when it is done; the work itself may add to them.
        record_name: name of the record where `name` would not be unique in the folder.
    """

    name: str
    folder: Path
    command: list[str]
    section: Any = None
    inputs: list[Path] = field(default_factory=list)
    outputs: list[Path] = field(default_factory=list)
    record_name: str | None = None

    @property
    def record_path(self) -> Path:
        """The file of this stage's record."""
        return self.folder / ".stages" / f"{self.record_name or self.name}.json"

    def state(self) -> str:
        """`done`, `stale` (made from something else), `missing` (never run), `failed`, or `running`."""
        record = self._record()
        if record is None:
            return "missing"
        if record["state"] == "running":
            return "running" if self._is_locked() else "failed"
        if record["state"] == "failed":
            return "failed"
        if not all(Path(path).exists() for path in record.get("outputs", [])):
            return "missing"
        return "done" if record["made_from"] == self._made_from(record["seen"])[0] else "stale"

    def describe(self) -> str:
        """One line for `--list`: state, inputs, outputs."""
        arrow = " -> ".join(", ".join(map(str, paths)) or "-" for paths in (self.inputs, self.outputs))
        return f"{self.name:<9} {self.state():<8} {arrow}"

    @contextlib.contextmanager
    def record(self) -> Iterator[None]:
        """Run the stage's work inside: its beginning and end are written down.

        Raises:
            UserError: another process is at it, or the work ends without its outputs.
        """
        with alone(self._lock_path, f"stage {self.name} in {self.folder}"):
            if (record := self._record()) and record["state"] == "running":  # and no process is at it: it was cut off
                files.sweep(self.folder)
            yield from self._recorded()

    def _recorded(self) -> Iterator[None]:
        made_from, seen = self._made_from({})
        entry: dict[str, Any] = {"state": "running", "command": self.command, "made_from": made_from, "seen": seen}
        entry["began"] = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        files.write_json(self.record_path, entry)
        began = time.monotonic()
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(OSError):  # on a full disk it goes on saying "running", which without a lock is the same
                files.write_json(self.record_path, {**entry, "state": "failed", "error": str(error)})
            raise
        absent = [str(path) for path in self.outputs if not path.exists()]
        if absent:
            files.write_json(self.record_path, {**entry, "state": "failed", "error": f"did not write {absent}"})
            raise log.UserError(f"stage {self.name} ended without its outputs: {', '.join(absent)}")
        entry |= {"state": "done", "seconds": round(time.monotonic() - began, 2), "outputs": list(map(str, self.outputs))}
        files.write_json(self.record_path, entry)

    @property
    def _lock_path(self) -> Path:
        return self.record_path.with_suffix(".lock")

    def _is_locked(self) -> bool:
        try:
            with self._lock_path.open() as lock:  # for reading: whoever only looks need not be allowed to write
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def _record(self) -> Record | None:
        """What was written down; a damaged record is as good as none: the stage runs again."""
        try:
            found: Record = files.read_json(self.record_path, Record)
        except log.UserError:
            return None
        return found

    def _made_from(self, seen: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The hash of everything the stage depends on, and what each input looked like (to save hashing it twice)."""
        now = {str(path): _look(path, seen.get(str(path))) for path in self.inputs}
        parts = [self.command, self.section, {path: look["content"] for path, look in now.items()}]
        return config.fingerprint(parts), now


@contextlib.contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Be the only process within; the system takes the lock away when this process is gone, however it ended.

    Args:
        path: file of the lock; who holds it is written there.
        what: the work, for the message.

    Raises:
        UserError: another process is within; told which.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            who = lock.read().strip() or "another process"
            raise log.UserError(f"{what}: another process is at it ({who}). Next: wait for it, or end it") from error
        with contextlib.suppress(OSError):  # a full disk
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}")
            lock.flush()
        yield


def _look(path: Path, before: dict[str, Any] | None) -> dict[str, Any]:
    """Size, time and content hash of a file; of a folder, all names, sizes and times below it are the content."""
    if path.is_dir():
        listing = sorted((entry[0], entry[1].st_size, entry[1].st_mtime_ns) for entry in _walk(path, ""))
        return {"content": config.fingerprint(listing)}
    if not path.exists():
        return {"content": None}
    status = path.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    if before is not None and before.get("stamp") == stamp:
        return before
    return {"stamp": stamp, "content": files.sha256(path)}


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
            else:
                leads_nowhere = entry.is_symlink() and not os.path.exists(entry.path)
                yield prefix + entry.name, entry.stat(follow_symlinks=not leads_nowhere)
