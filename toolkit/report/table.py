"""A table of words and figures, as plain text for a terminal and as Markdown; pages take its fields."""

from __future__ import annotations

import textwrap
from collections.abc import Collection
from dataclasses import dataclass
from itertools import zip_longest

NOTHING = "-"
GAP = "  "
WIDE = 120  # characters of a line, beyond which headings are broken


@dataclass(frozen=True)
class Table:
    """Cells as they are read.

    Attributes:
        columns: headings.
        rows: one list of cells a row, as long as `columns`.
        numeric: headings of the columns that are set flush right.
        marked: numbers of the rows that stand out on a page.
    """

    columns: list[str]
    rows: list[list[str]]
    numeric: Collection[str] = ()
    marked: Collection[int] = ()

    def text(self) -> str:
        """Headings, a rule, aligned cells; each line ends with a line feed. Headings of a wide table take several lines."""
        heads = [[name] for name in self.columns]
        if sum(self._widths(heads)) + len(GAP) * (len(heads) - 1) > WIDE:
            narrow = self._widths([name.split() for name in self.columns])
            heads = [
                textwrap.wrap(name, width, break_on_hyphens=False) if name else [""]
                for name, width in zip(self.columns, narrow, strict=True)
            ]
        widths = self._widths(heads)
        above = [list(line) for line in zip_longest(*(reversed(head) for head in heads), fillvalue="")]
        return self._lines([*reversed(above), ["-" * width for width in widths], *self.rows], widths)

    def body(self) -> str:
        """Aligned cells alone."""
        return self._lines(self.rows, self._widths([[name] for name in self.columns]))

    def markdown(self) -> str:
        """A pipe table; each line ends with a line feed."""
        rule = ["---:" if name in self.numeric else "---" for name in self.columns]
        body = [[cell.replace("|", "\\|").replace("\n", " ") for cell in cells] for cells in (self.columns, *self.rows)]
        body.insert(1, rule)
        return "".join(f"| {' | '.join(cells)} |\n" for cells in body)

    def without_empty(self, names: Collection[str]) -> Table:
        """The table without those of the named columns in which nothing stands."""
        kept = [
            position
            for position, name in enumerate(self.columns)
            if name not in names or any(row[position] not in ("", NOTHING) for row in self.rows)
        ]
        rows = [[row[position] for position in kept] for row in self.rows]
        return Table([self.columns[position] for position in kept], rows, self.numeric, self.marked)

    def _widths(self, heads: list[list[str]]) -> list[int]:
        """Characters of each column, given the lines of its heading."""
        return [max(map(len, (*head, *cells)), default=0) for head, *cells in zip(heads, *self.rows, strict=True)]

    def _lines(self, rows: list[list[str]], widths: list[int]) -> str:
        lines = []
        for cells in rows:
            padded = [
                cell.rjust(width) if name in self.numeric else cell.ljust(width)
                for cell, width, name in zip(cells, widths, self.columns, strict=True)
            ]
            lines.append(GAP.join(padded).rstrip() + "\n")
        return "".join(lines)
