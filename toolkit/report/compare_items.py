"""Which differences between experiments are more than chance: a paired bootstrap over the items that both have scored."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from toolkit.data import records
from toolkit.metrics import bootstrap, tagging
from toolkit.metrics.bootstrap import Apart
from toolkit.report import display
from toolkit.report.runs import Group, Run
from toolkit.report.table import Table

Rows = dict[str, dict[str, Any]]  # lines of `scores/<split>.jsonl` by the item's id
STATISTICS: dict[str, Literal["mean", "median"]] = {"mean": "mean", "median": "median", "median_of_medians": "median"}
MARK = "*"
RESAMPLES = 1000  # of metrics of tags, each of which ranks all clips anew
MOST_NAMED = 8  # figures without an interval, each by its name
TOLERANCE = 1e-6  # of a figure that is calculated again


def same_ground(one: Group, other: Group) -> bool:
    """Whether two groups were measured on the same data."""
    return (one.data, one.edition) == (other.data, other.edition)


class Significance:
    """Intervals of the differences between experiments and the first of them.

    A figure has one if it is the mean or the median of values that items have by themselves, or is measured of the
    probabilities of tags; every figure is calculated again from the items, and one that does not come out as it stands in the
    summary is of something else (all frames in one pool, say) and has none. Of several seeds, their figures' mean is meant.

    Attributes:
        table: a line a metric and experiment; None if there is no interval.
        notes: how to read it; none if there is no interval.
    """

    def __init__(self, groups: list[Group], names: list[str], metrics: list[str]) -> None:
        first, *others = groups
        self._found: dict[tuple[str, str], Apart] = {}
        rows, without = [], []
        read = {id(group): [_read(run, group.split) for run in group.runs] for group in groups}
        for metric in metrics:
            for name, group in zip(names[1:], others, strict=True):
                if not same_ground(first, group):
                    continue
                apart = _apart(group, read[id(group)], first, read[id(first)], metric)
                if apart is None or math.isnan(apart.low):
                    without.append(display.label(metric))
                    continue
                if apart.low == apart.high == 0:  # of the items, not of what was made of them
                    continue
                self._found[group.first.tag, metric] = apart
                difference, low, high = (display.signed(value, metric) for value in apart[1:])
                beyond = "yes" if apart.surely else "no"
                rows.append([display.label(metric), name, str(apart.items), difference, f"{low} to {high}", beyond])
        columns = ["Metric", "Experiment", "Items", "Difference", "95 % interval", "Excludes 0"]
        self.table = Table(columns, rows, numeric=columns[2:5]) if rows else None
        self.notes = _notes(list(dict.fromkeys(without)), groups) if rows else []

    def mark(self, group: Group, metric: str) -> str:
        """An asterisk where the interval of a difference to the first experiment excludes 0, else nothing."""
        found = self._found.get((group.first.tag, metric))
        return MARK if found is not None and found.surely else ""


def _notes(without: list[str], groups: list[Group]) -> list[str]:
    notes = [
        f"{MARK} The 95 % interval of the difference excludes 0, by paired bootstrap: items drawn again, the same for both. "
        "Where there is no difference, one in twenty gets the mark all the same."
    ]
    if any(len(group.runs) > 1 for group in groups):
        notes.append("The intervals tell of other items, not of other seeds: of seeds the deviations behind ± tell.")
    if without:
        more = f" and {len(without) - MOST_NAMED} more" if len(without) > MOST_NAMED else ""
        notes.append(f"Without an interval, since not made of single items' values: {'; '.join(without[:MOST_NAMED])}{more}.")
    return notes


def _read(run: Run, split: str) -> Rows:
    """Lines of scores; none where they are missing, as of a run that is kept as figures alone."""
    return {row["id"]: row for row in records.scores(run.folder, split)}


def _apart(one: Group, ones: list[Rows], other: Group, others: list[Rows], metric: str) -> Apart | None:
    """How far `one` is from `other`; None where the metric is not of single items, or they share too few."""
    shared = [identity for identity in ones[0] if all(identity in rows for rows in [*ones, *others])]
    if len(shared) < bootstrap.FEWEST:
        return None
    if "probabilities" in ones[0][shared[0]]:
        return _of_tags(ones, others, shared, metric)
    statistic = STATISTICS.get(display.variant(metric)[1].partition("/")[2].split("/")[0])
    both = [_values(group, rows, shared, metric, statistic) for group, rows in ((one, ones), (other, others)) if statistic]
    if statistic is None or both[0] is None or both[1] is None or both[0].shape[1] != both[1].shape[1]:
        return None
    if np.allclose(both[0].mean(0), both[1].mean(0), rtol=1e-9, atol=0, equal_nan=True):
        return Apart(len(shared), 0.0, 0.0, 0.0)
    return bootstrap.paired(both[0], both[1], statistic)


def _values(
    group: Group, read: list[Rows], shared: list[str], metric: str, statistic: Literal["mean", "median"]
) -> np.ndarray | None:
    """A metric of each run, source and shared item (R, S, N); None where the figures are not made of such values."""
    by_seed = []
    for run, rows in zip(group.runs, read, strict=True):
        whole = [_of_item(row, metric) for row in rows.values()]
        stated = run.value(group.split, metric)
        if stated is None or any(values is None or len(values) != len(whole[0] or []) for values in whole):
            return None
        every = np.array(whole, np.float64).T
        again = [getattr(np, f"nan{statistic}")(values) for values in every if not np.isnan(values).all()]
        if not again or not math.isclose(np.mean(again), stated, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            return None
        places = {identity: place for place, identity in enumerate(rows)}
        by_seed.append(every[:, [places[identity] for identity in shared]])
    return np.stack(by_seed)


def _of_item(row: dict[str, Any], metric: str) -> list[float] | None:
    """An item's values that a figure is made of, one or, where sources are named, one a source; None where it has none."""
    of, stem = display.variant(metric)
    name, _, *rest = stem.split("/")
    sources = row.get("sources", {})
    if of:
        found = [row.get(of, {}).get(name)]
    elif rest:
        found = [sources.get("/".join(rest), {}).get(name)]
    elif row.get("named"):
        found = [sources.get(source, {}).get(name, math.nan) for source in row["named"]]
    else:
        found = [row["metrics"].get(name, math.nan)]
    return None if None in found else found


def _of_tags(ones: list[Rows], others: list[Rows], shared: list[str], metric: str) -> Apart | None:
    """Differences of metrics of tags, which take many clips at once: clips are drawn again, and all is measured anew."""
    name, _, how = metric.partition("/")
    if how != "mean":
        return None

    def measured(read: list[Rows]) -> tuple[np.ndarray, float]:
        resampled, figures = [], []
        for rows in read:
            clips = [rows[identity] for identity in shared]
            resampled.append(tagging.resampled(clips, [name], RESAMPLES, seed=0)[metric].numpy())
            figures.append(tagging.evaluate(*tagging.arrays(clips), [name])[name].nanmean().item())
        return np.mean(resampled, axis=0), float(np.mean(figures))

    (drawn, figure), (drawn_other, figure_other) = measured(ones), measured(others)
    low, high = np.nanquantile(drawn - drawn_other, [0.025, 0.975]).tolist()
    return Apart(len(shared), figure - figure_other, low, high)
