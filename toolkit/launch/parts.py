"""A part of a stage's work: whoever cut the work keeps the books, its parts only work."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "TOOLKIT_PART"  # of the environment: `2/8`; `1/1` for a job that does all that is left


@dataclass(frozen=True)
class Part:
    """One of several equal parts of a sequence of items, cut so that neighbours go to different parts.

    Attributes:
        number: which, from 1.
        of: how many there are.
    """

    number: int = 1
    of: int = 1

    @classmethod
    def here(cls) -> Part:
        """The part that a launcher gave this process; the whole if none did."""
        number, _, of = os.environ.get(VARIABLE, "1/1").partition("/")
        return cls(int(number), int(of))

    @property
    def is_whole(self) -> bool:
        """Whether there is only this one."""
        return self.of == 1

    def takes(self, index: int) -> bool:
        """Whether the item at `index`, from 0, belongs to this part."""
        return index % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"


WHOLE = Part()


def is_job() -> bool:
    """Whether a launcher began this process: then it is the launcher that knows what is done."""
    return VARIABLE in os.environ


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """The block runs in one process at a time, on whichever machine; the others wait.

    Args:
        path: of the lock, a file on a disk that all of them see.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
