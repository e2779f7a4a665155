"""Progress of anything longer than a few seconds: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from toolkit import log

Element = TypeVar("Element")
LINE_EVERY = 20.0  # seconds between two plain lines

logger = log.get(__name__)


def track(elements: Iterable[Element], what: str, total: int | None = None) -> Iterator[Element]:
    """Yield `elements` and show how many are done, e.g. ``for path in track(paths, "resampling"): ...``."""
    if total is None and isinstance(elements, Sized):
        total = len(elements)
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(elements, desc=what, total=total, leave=False, dynamic_ncols=True)
        return
    began = last = time.monotonic()
    for done, element in enumerate(elements, 1):
        yield element
        now = time.monotonic()
        if now - last >= LINE_EVERY:
            last = now
            left = f", {(now - began) / done * (total - done):.0f} s left" if total else ""
            logger.info("%s: %d%s%s", what, done, f" of {total}" if total else "", left)
