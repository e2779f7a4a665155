"""What the user is told: log lines on the terminal and in a file, and errors that name the next command."""

from __future__ import annotations

import contextlib
import difflib
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path


class UserError(Exception):
    """A mistake that the user can mend: printed as one line, exit code 2, no traceback (unless --debug)."""


def get(name: str) -> logging.Logger:
    """The logger of a module; `name` is its `__name__`."""
    return logging.getLogger(name)


def start(debug: bool = False) -> None:
    """Send log lines of Reprise to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger("toolkit")
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)


class _File(logging.FileHandler):
    """A file that may be on a full disk: then lines are on the terminal only, and the work is not ended by its log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say nothing."""

    def close(self) -> None:
        """Close it, whether or not what is left can be written."""
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def to_file(path: Path) -> Iterator[None]:
    """Append every log line, with its time and module, to `path` as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _File(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("toolkit")
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def listing(names: Sequence[str], most: int = 20) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where a known name is near, else the names that are known."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
