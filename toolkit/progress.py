"""Progress of anything longer than a few seconds: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from toolkit import log

Element = TypeVar("Element")
LINE_EVERY = 20.0  # seconds between two plain lines

logger = log.get(__name__)


def track(
    elements: Iterable[Element],
    what: str,
    total: float | None = None,
    size: Callable[[Element], float] | None = None,
    unit: str = "it",
    speed: Callable[[float], str] | None = None,
) -> Iterator[Element]:
    """Yield `elements` and show how much is done, e.g. ``for path in track(paths, "resampling"): ...``.

    Args:
        elements: whatever is worked through.
        what: the work's name.
        total: how much there is; the number of elements if not given.
        size: how much an element is; each counts as one if not given.
        unit: of `total` and `size`.
        speed: tells what is done in a second in other words.
    """
    if total is None and isinstance(elements, Sized):
        total = len(elements)
    began = last = time.monotonic()
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(desc=what, total=total, unit=unit, leave=False, dynamic_ncols=True) as bar:
            for element in elements:
                yield element
                bar.update(1 if size is None else round(size(element), 2))
                if speed is not None:
                    bar.set_postfix_str(speed(bar.n / max(time.monotonic() - began, 1e-3)), refresh=False)
        return
    done = 0.0
    for element in elements:
        yield element
        done += 1 if size is None else size(element)
        now = time.monotonic()
        if now - last >= LINE_EVERY:
            last = now
            left = f", {(now - began) / done * (total - done):.0f} s left" if total and done else ""
            fast = f", {speed(done / (now - began))}" if speed is not None else ""
            logger.info("%s: %.0f%s%s%s", what, done, f" of {total:.0f}" if total else "", left, fast)
