"""Annotations as corpora ship them: tables of numbers, curves of the fundamental frequency."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit.log import UserError


class F0(NamedTuple):
    """Fundamental frequency at equally spaced times.

    Attributes:
        start: seconds, of the first value.
        step: seconds.
        hz: Hz, 0 where unvoiced.
    """

    start: float
    step: float
    hz: list[float]

    @property
    def times(self) -> np.ndarray:
        """Seconds of the values, (N,)."""
        return self.start + self.step * np.arange(len(self.hz))

    def between(self, begin: float, end: float) -> F0:
        """The values at begin ≤ time < end, their times counted from `begin` (all in seconds)."""
        first = max(0, int(np.ceil((begin - self.start) / self.step - 1e-6)))
        last = max(first, int(np.ceil((end - self.start) / self.step - 1e-6)))
        return F0(round(self.start + first * self.step - begin, 6), self.step, self.hz[first:last])


def read_f0(path: Path) -> F0:
    """A curve of lines of time (s) and frequency (Hz, 0 where unvoiced), with a comma between them if the file is a .csv.

    Raises:
        UserError: it cannot be read, a value is no frequency, or times are not equally spaced.
    """
    times, hz = read_table(path, 2).T
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.01
    if step <= 0 or np.abs(times - times[0] - step * np.arange(len(times))).max() > 0.2 * step:
        raise UserError(f"expected equally spaced times, found others: {path}")
    if hz.min() < 0:
        raise UserError(f"expected frequencies in Hz, 0 where unvoiced, found {hz.min():g}: {path}")
    return F0(round(float(times[0]), 6), round(float(step), 9), np.round(hz, 3).tolist())


def read_table(path: Path, columns: int) -> np.ndarray:
    """A file of lines of numbers: (lines, columns), at least one line.

    Raises:
        UserError: it cannot be read, or is not of that form.
    """
    try:
        table = np.loadtxt(path, ndmin=2, encoding="utf-8", delimiter="," if path.suffix == ".csv" else None)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the annotation {path} ({error})") from error
    if not len(table) or table.shape[1] != columns or not np.isfinite(table).all():
        raise UserError(f"expected lines of {columns} numbers, found {len(table)} lines of {table.shape[1]}: {path}")
    return table
