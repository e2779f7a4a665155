"""What a recipe's paper claims held against the experiments there are: which experiment stands for which row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from toolkit.report import display
from toolkit.report.paper import Paper, Row
from toolkit.report.runs import FULL, Group, Run, collect, group, without_resultless
from toolkit.report.sources import base


@dataclass(frozen=True)
class Results:
    """A recipe's paper and all its experiments.

    Attributes:
        paper: what is claimed.
        groups: what was measured.
        unfinished: tags of experiments without scores.
    """

    paper: Paper
    groups: list[Group]
    unfinished: list[str]

    @classmethod
    def read(cls, paper: Path, *further: Path) -> Results:
        """Read `paper.yaml` and the experiments beside it; `further` experiments lie elsewhere."""
        runs, unfinished = collect(paper.parent, *further)
        return cls(Paper.read(paper), group(runs), unfinished)

    @property
    def full(self) -> list[Group]:
        """What was trained and tested on full corpora."""
        return [group for group in self.groups if group.edition == FULL]

    def reproduction(self, row: Row) -> Group | None:
        """The experiments that stand for a row: of its config and options, on its data, on the full corpus.

        Of experiments before and after a change of the config's file, those that ended last.
        """
        found = [group for group in self.full if stands_for(group, row) and group.values(row.metric)]
        return max(found, key=lambda group: group.finished, default=None)

    def further(self, data: str, identities: list[str]) -> list[Group]:
        """Experiments on full corpora that stand for no row of a table, but have figures in it: swaps.

        Args:
            data: name of the test data.
            identities: of the table's columns.
        """
        rows, metrics = self.paper.rows_of(data, identities), {*identities, *map(base, identities)}
        on_it = [group for group in self.full if group.data == data and any(map(group.values, metrics))]
        return [group for group in on_it if not any(stands_for(group, row) for row in rows)]

    def of_run(self, run: Run, split: str) -> Group:
        """The group that a run belongs to."""
        folder = run.folder.resolve()
        for candidate in self.groups:
            if candidate.split == split and any(member.folder.resolve() == folder for member in candidate.runs):
                return candidate
        summary = run.summaries[split]
        return Group([run], split, summary["data"], run.edition(split))


def stands_for(group: Group, row: Row) -> bool:
    """Whether experiments were started as the row says: its config, its options, its test data."""
    same_start = group.first.config == row.config and group.first.overrides == without_resultless(row.options)
    return same_start and group.data == row.data


@dataclass(frozen=True)
class Headline:
    """The one figure of an experiment that stands above all others.

    Attributes:
        row: the paper's row that it is held against: its own, else the first reproducible one on its test data.
        metric: the row's, or the experiment's first one if it has not been measured.
        ours: the experiment's figure; NaN where it has none.
        published: the paper's; None where it was not found or is of another metric.
        comparable: whether the experiment is what the row says, on full corpora.
    """

    row: Row
    metric: str
    ours: float
    published: float | None
    comparable: bool


def headline(results: Results, run: Run, split: str) -> Headline:
    """What is said first of a run."""
    group, metrics = results.of_run(run, split), run.summaries[split]["metrics"]
    rows = [row for row in results.paper.rows if row.config is not None and not display.variant(row.metric)[0]]
    own = [row for row in rows if stands_for(group, row) and group.values(row.metric)]
    row = [*own, *(row for row in rows if row.data == group.data), results.paper.headline][0]
    metric = row.metric if row.metric in metrics else next(iter(metrics), row.metric)
    ours, published = metrics.get(metric), row.value if metric == row.metric else None
    return Headline(row, metric, math.nan if ours is None else ours, published, group.edition == FULL and row in own)


def lesser(results: Results) -> list[tuple[str, list[Group]]]:
    """Experiments on less than the full corpus under the heading that says so."""
    headings: dict[str, list[Group]] = {}
    for found in results.groups:
        if found.edition != FULL:
            headings.setdefault(heading(found.edition), []).append(found)
    return sorted(headings.items())


def heading(edition: str) -> str:
    """What stands above figures of an edition that is not full."""
    if edition == "mini":
        return "On the mini corpus (shows that it works; not comparable)"
    return f"On less than the full corpus, {edition} (not comparable)"


def unlisted(results: Results) -> list[Group]:
    """Experiments on full corpora whose test data, or metrics, no row of the paper has."""
    figures = {(row.data, metric) for row in results.paper.rows for metric in (row.metric, base(row.metric))}
    return [found for found in results.full if not any(found.data == data and found.values(m) for data, m in figures)]
