"""What verbs over recordings of one's own have in common: how they tell what they found, and of what they could not."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any

import soundfile
import torch

from toolkit import files, log
from toolkit.audio import Recording
from toolkit.log import UserError

logger = log.get(__name__)


def expand(inputs: Sequence[str]) -> list[Path]:
    """Every path once; a pattern stands for what it matches, in alphabetical order.

    Raises:
        UserError: a pattern matches nothing.
    """
    found: list[Path] = []
    for one in inputs:
        matches = sorted(glob.glob(one, recursive=True)) if glob.has_magic(one) and not os.path.exists(one) else [one]
        if not matches:
            raise UserError(f"no file matches {one!r}. Next: see that the pattern is right")
        found += [Path(match) for match in matches]
    return list(dict.fromkeys(found))


class Failures:
    """Counts recordings that could not be worked on; each is named as it fails, and the others go on.

    Args:
        done: what should have been done with them: ``tagged``.
        smaller: what to type where memory is short.
    """

    def __init__(self, done: str, smaller: str = "--device cpu") -> None:
        self.done, self.smaller, self.tried, self.failed = done, smaller, 0, 0

    @contextmanager
    def at(self, path: Path) -> Iterator[None]:
        """Work on one recording."""
        self.tried += 1
        try:
            yield
        except (UserError, OSError, soundfile.LibsndfileError, torch.OutOfMemoryError) as error:
            self.failed += 1
            hint = f". Next: {self.smaller}" if isinstance(error, torch.OutOfMemoryError) else ""
            advice = files.advice(error) if isinstance(error, OSError) else None
            logger.error("%s: not %s: %s%s", path, self.done, advice or str(error).partition("\n")[0], hint)

    def tell(self) -> None:
        """Say at the end how many there were.

        Raises:
            UserError: there were some.
        """
        if self.failed:
            raise UserError(f"{self.failed} of {self.tried} recordings could not be {self.done}; they are named above")


def opened_recording(path: Path) -> Recording:
    """What is in an audio file.

    Raises:
        UserError: it is missing, is a folder, is no audio file, or holds no samples.
    """
    if path.is_dir():
        raise UserError(f"expected an audio file, found a folder. Next: give what is in it, '{path}/*.wav'")
    recording = Recording.of_file(path)
    if not recording.frames:
        raise UserError("it holds no samples")
    return recording


def as_json(value: dict[str, Any]) -> str:
    """One object on a line of its own."""
    return json.dumps(value, ensure_ascii=False) + "\n"


def as_csv(rows: Sequence[Sequence[Any]]) -> str:
    """One row a line."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def files_for(paths: Sequence[Path], folder: Path, suffix: str) -> dict[Path, Path]:
    """Where what is made of each recording goes: `song.png`, `song-2.png` where two have one name."""
    targets: dict[Path, Path] = {}
    taken: set[str] = set()
    for path in paths:
        names = chain([path.stem], (f"{path.stem}-{number}" for number in count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        targets[path] = folder / f"{name}{suffix}"
    return targets
