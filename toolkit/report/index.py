"""A recipe's index: all its experiments, their headline figures beside the paper's, and their curves laid over each other."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import files
from toolkit.data import records
from toolkit.report import curves, display, figures
from toolkit.report.claims import Headline, Results, heading, headline
from toolkit.report.runs import FULL, Group, Run
from toolkit.report.templates import environment

FIRST = ("valid/loss", "train/loss")  # curves that stand before others
MOST_PICTURES = 6
MOST_LINES = 12  # experiments in a picture: more could not be told apart


@dataclass(frozen=True)
class Line:
    """One experiment.

    Attributes:
        run: it.
        headline: its figure beside the paper's.
        page: the way to its page from the index; empty where it is not here.
    """

    run: Run
    headline: Headline
    page: str


@dataclass(frozen=True)
class Section:
    """Experiments that may be held against each other: of the same test data of the same edition.

    Attributes:
        title: that edition and data.
        comparable: whether the paper's figures may be held against them.
        lines: its experiments, those with the best figures first.
        pictures: (caption, SVG) of their curves.
    """

    title: str
    comparable: bool
    lines: list[Line]
    pictures: list[tuple[str, str]]


def write(results: Results, recipe: Path) -> Path:
    """Write `exp/index.html`.

    Args:
        results: the recipe's paper and experiments.
        recipe: its folder.
    """
    path = recipe / "exp" / "index.html"
    context = {
        "paper": results.paper,
        "name": "/".join(recipe.resolve().parts[-2:]),
        "sections": sections(results, path.parent),
        "unfinished": results.unfinished,
        "citations": results.paper.citations,
    }
    files.write_text(path, environment().get_template("index.html").render(context))
    return path


def sections(results: Results, folder: Path) -> list[Section]:
    """What is on full corpora first.

    Args:
        results: the recipe's.
        folder: from which pages are linked to.
    """
    together: dict[tuple[bool, str, str], list[Group]] = {}
    for group in results.groups:
        together.setdefault((group.edition != FULL, group.edition, group.data), []).append(group)
    return [
        Section(f"{'On the full corpus' if not less else heading(edition)}: {data}", not less, lines, _pictures(lines))
        for (less, edition, data), groups in sorted(together.items())
        if (lines := _lines(results, groups, folder))
    ]


def _lines(results: Results, groups: list[Group], folder: Path) -> list[Line]:
    found = [Line(run, headline(results, run, group.split), _page(run, folder)) for group in groups for run in group.runs]
    return sorted(found, key=_place)


def _place(line: Line) -> tuple[str, bool, float]:
    """What lines are sorted by: their metric, the best figures first, at the end those that have none."""
    figure, metric = line.headline.ours, line.headline.metric
    lacking = math.isnan(figure)
    return metric, lacking, 0.0 if lacking else -display.merit(figure, metric)


def _page(run: Run, folder: Path) -> str:
    page = run.folder / "report" / "index.html"
    return Path(os.path.relpath(page.resolve(), folder.resolve())).as_posix() if page.is_file() else ""


def _pictures(lines: list[Line]) -> list[tuple[str, str]]:
    """(caption, SVG) of each curve that several experiments, or the only one, have."""
    runs = [line.run for line in lines][:MOST_LINES]
    histories: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        if rows := records.epochs(run.folder):
            histories[run.tag] = rows
    told = curves.keys(rows[-1] for rows in histories.values())
    known = [key for key in told if key in FIRST or key.partition("/")[2] in display.METRICS or "@" in key]
    drawn = []
    for key in sorted(known, key=lambda key: FIRST.index(key) if key in FIRST else len(FIRST))[:MOST_PICTURES]:
        split, _, quantity = key.partition("/")
        lines_of = {tag: line for tag, rows in histories.items() if (line := curves.curve(rows, key))[0]}
        if lines_of:
            where = "training" if split == "train" else "validation"
            more = f" The first {MOST_LINES} of {len(lines)}." if len(lines) > MOST_LINES else ""
            remark = " Of different losses only the shapes can be held against each other." if quantity == "loss" else ""
            caption = f"{curves.opening(quantity)} of the {where} by epoch.{remark}{more}"
            drawn.append((caption, figures.curves(lines_of, curves.name(quantity))))
    return drawn
