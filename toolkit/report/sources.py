"""Figures of single sources: `bsseval_v4_sdr/median_of_medians/vocals` is a column of `bsseval_v4_sdr/median_of_medians`.

Tags are to metrics of tags what sources are to those of separation; of so many names, each is a line of a table of its own.
Where accompaniment was added, its levels stand in the sources' place: `rpa@50/mean/20dB` beside the clean `rpa@50/mean`.
Blocks that a stream is cut into stand there too: `real_time_factor/median/256ms`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from toolkit.report import display
from toolkit.report.table import Table

ORDER = ("drums", "bass", "other", "vocals", "accompaniment")
MOST_COLUMNS = 12  # of figures in a table
ALL = "All"  # the mean over the sources, whose id names none
CLEAN = "Clean"  # how that is headed where the others are levels
LEVEL = re.compile(r"(-?[\d.]+)dB")
BLOCK = re.compile(r"([\d.]+)ms")


def base(identity: str) -> str:
    """The id without its source: `bsseval_v4_sdr/median_of_medians`."""
    of, stem = display.variant(identity)
    return "/".join(([of] if of else []) + stem.split("/")[:2])


def column(identity: str) -> str:
    """The id without what is measured in the estimates' place: `rpa@50/mean/20dB`. Figures with the same share a column."""
    return display.variant(identity)[1]


def plain(identity: str) -> str:
    """The same without its source: `rpa@50/mean`."""
    return base(column(identity))


def source(identity: str) -> str:
    """The source that an id ends with; `All` where it names none."""
    return "/".join(column(identity).split("/")[2:]) or ALL


def identity(metric: str, name: str) -> str:
    """The id of a source's figure of `metric`, an id without source."""
    return metric if name == ALL else f"{metric}/{name}"


def columns(identities: Iterable[str], metric: str) -> list[str]:
    """The sources that there are figures of, in the order of their columns; none if all figures are of all together."""
    found = _named(identities, metric)
    return in_order(found) if set(found) - {ALL} and len(found) <= MOST_COLUMNS else []


def tag_lines(identities: Iterable[str], metric: str) -> list[str]:
    """The tags that there are figures of, in their own order, where they are too many for columns."""
    found = _named(identities, metric)
    return [name for name in found if name != ALL] if len(found) > MOST_COLUMNS else []


def _named(identities: Iterable[str], metric: str) -> list[str]:
    return list(dict.fromkeys(source(one) for one in identities if base(one) == metric))


def in_order(names: Iterable[str]) -> list[str]:
    """Names of sources in the order in which they are always shown; others behind, in alphabetical order, numbers falling."""
    places = {name: place for place, name in enumerate((ALL, *ORDER))}
    return sorted(names, key=lambda name: (places.get(name, len(places)), -_level(name), name))


def headings(names: list[str]) -> list[str]:
    """What stands above the columns of these names."""
    if not is_of_levels(names):
        return [BLOCK.sub(r"\1 ms", name) if BLOCK.fullmatch(name) else name for name in names]
    return [CLEAN if name == ALL else LEVEL.sub(r"\1 dB", name) for name in names]


def by_metric(identities: Iterable[str]) -> list[list[str]]:
    """Ids of columns, those of each metric together."""
    found: dict[str, list[str]] = {}
    for one in identities:
        found.setdefault(base(one), []).append(one)
    return list(found.values())


def labels(identities: list[str]) -> list[str]:
    """What stands above the columns of a table, given their ids.

    Of one metric these are its sources. Of several, a source goes by its name alone where it stands behind the mean over all
    of its metric, and no other metric of the table has figures of it.
    """
    if len(identities) > 1 and len(by_metric(identities)) == 1:
        return headings(list(map(source, identities)))
    everywhere, found = list(map(source, identities)), []
    for one in identities:
        beside = [source(other) for other in identities if base(other) == base(one)]
        name = headings(beside)[beside.index(source(one))]
        if source(one) == ALL and len(beside) > 1:
            found.append(display.label(f"{one}/{name.lower()}"))
        elif source(one) != ALL and ALL in beside and everywhere.count(source(one)) == 1:
            found.append(name)
        else:
            found.append(display.label(one))
    return found


def is_of_levels(names: Iterable[str]) -> bool:
    """Whether names are levels of accompaniment."""
    return any(LEVEL.fullmatch(name) for name in names)


def _level(name: str) -> float:
    found = LEVEL.fullmatch(name) or BLOCK.fullmatch(name)
    return float(found[1]) if found else 0.0


def metrics_table(summary: dict[str, Any]) -> Table:
    """Every figure of a summary: a line a metric, its aggregations as columns, or its sources where they have figures."""
    metrics = summary["metrics"]
    bases = list(dict.fromkeys(map(base, metrics)))
    sources = in_order({name for metric in bases for name in columns(metrics, metric) or [ALL] * (metric in metrics)})
    if set(sources) - {ALL}:
        rows = [
            [display.label(metric), *(display.number(metrics.get(identity(metric, name)), metric) for name in sources)]
            for metric in bases
        ]
        return Table(["Metric", *headings(sources)], rows, numeric=headings(sources))
    names = list(dict.fromkeys(one.partition("/")[0] for one in bases))
    ways = list(dict.fromkeys(one.partition("/")[2] for one in bases))
    rows = [[display.label(name), *(display.number(metrics.get(f"{name}/{way}"), name) for way in ways)] for name in names]
    return Table(["Metric", *ways], rows, numeric=ways)
