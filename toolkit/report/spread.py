"""How a metric is spread over the items of a split: a histogram of all of them, or a box for each kind."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toolkit.data.manifest import Item
from toolkit.report import display, figures
from toolkit.report.table import NOTHING

Picture = tuple[str, str]  # caption and SVG


def spread(groups: Mapping[str, Sequence[float]], metric: str, items: str, kind: str = "kind") -> list[Picture]:
    """A box for each group, or a histogram where there is one group or one item of each; dots of few items, nothing of one.

    Args:
        groups: name of a group to the metric's values, as they are stored, in the order in which they are shown.
        metric: its name or id.
        items: whose values they are: `recordings`.
        kind: what the groups differ in: `instrument`.
    """
    shown = display.metric(metric)
    scaled = {name: [shown.scale * value for value in values] for name, values in groups.items() if values}
    everything = [value for values in groups.values() for value in values]
    if len(everything) < 2:
        return []
    label = display.label(metric)
    if len(scaled) > 1 and max(map(len, scaled.values())) > 1:
        caption = f"{label} of single {items} by {kind}. {figures.reading(scaled.values())}"
        return [(caption, figures.distribution(scaled, label))]
    median = display.number(statistics.median(everything), metric)
    caption = f"{label} of the {len(everything):,} {items}; the line is the median, {median}."
    together = {"": [value for values in scaled.values() for value in values]}
    return [(display.typographic(caption), figures.distribution(together, label))]


def values_of(rows: Iterable[dict[str, Any]], metric: str, key: str = "metrics") -> list[float]:
    """A metric of those lines of scores that have it."""
    return [value for row in rows if math.isfinite(value := row.get(key, {}).get(metric, math.nan))]


def by_label(rows: Iterable[dict[str, Any]], items: Mapping[str, Item], label: str) -> dict[str, list[dict[str, Any]]]:
    """Lines of scores by what the manifest says of their items, in alphabetical order; `-` where it says nothing."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(label_of(row, items, label), []).append(row)
    return dict(sorted(groups.items()))


def label_of(row: dict[str, Any], items: Mapping[str, Item], label: str) -> str:
    """A label of the item of a line of scores: `double bass`; `-` where there is none."""
    item = items.get(row["id"])
    name = None if item is None else item.labels.get(label)
    return NOTHING if name is None else str(name).replace("_", " ")
