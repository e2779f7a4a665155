"""What the page of a synthesis experiment shows: trained beside untrained and real, distances, recordings before and after."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import ClassVar

from toolkit.report import display, figures, synthesized
from toolkit.report.scored import Scored
from toolkit.report.sources import plain
from toolkit.report.table import Table
from toolkit.report.tables import measured

COLUMNS = {"": "Trained", "untrained": "Untrained", "real": "Real audio"}


@dataclass(frozen=True)
class View:
    """The parts of the page.

    Attributes:
        metric: by which recordings are chosen.
        figures: a line a metric: trained, untrained, real audio.
        distributions: (caption, SVG).
        examples: best, median and worst recording.
        template: what draws them.
        seconds: of a recording that can be heard, at most.
    """

    template: ClassVar[str] = "synthesis.html"
    seconds: ClassVar[float] = synthesized.SECONDS

    metric: str
    figures: Table
    distributions: list[tuple[str, str]]
    examples: list[synthesized.Example]


def view(scored: Scored, missing: list[str]) -> View:
    """Put the parts together; what is not there is added to `missing`."""
    metric = _chosen_by(scored)
    return View(metric, _figures(scored), _distributions(scored), synthesized.examples(scored, metric, missing))


def _chosen_by(scored: Scored) -> str:
    """The headline's metric if recordings have it, which of a Fréchet distance they have not; else their first one."""
    names = scored.metrics
    headline = plain(scored.metric).partition("/")[0]
    return headline if headline in names or not names else names[0]


def _figures(scored: Scored) -> Table:
    """Over the seeds where there are several."""
    found = scored.group.metrics
    rows = []
    for metric in dict.fromkeys(map(plain, found)):
        ids = [f"{variant}/{metric}".lstrip("/") for variant in COLUMNS]
        rows.append([display.label(metric), *(measured(scored.group, one) for one in ids)])
    names = list(COLUMNS.values())
    return Table(["Metric", *names], rows, names).without_empty(names[1:])


def _distributions(scored: Scored) -> list[tuple[str, str]]:
    """(caption, SVG) of every metric over the recordings, the untrained model's beside the trained one's."""
    drawn = []
    for metric in scored.metrics:
        scale = display.metric(metric).scale
        sets: dict[str, list[float]] = {}
        for row in scored.rows:
            for name, key in (("trained", "metrics"), ("untrained", "untrained")):
                value = row.get(key, {}).get(metric, math.nan)
                if math.isfinite(value):
                    sets.setdefault(name, []).append(scale * value)
        if len(sets.get("trained", [])) < 2:
            continue
        label, median = display.label(metric), statistics.median(sets["trained"]) / scale
        caption = f"{label} of the {len(sets['trained'])} recordings; "
        if len(sets) > 1:
            caption += "the box holds the middle half, the thick line is the median, whiskers reach 1.5 box lengths."
        else:
            caption += f"the line is the median, {display.number(median, metric)}."
        drawn.append((display.typographic(caption), figures.distribution(sets, label)))
    return drawn
