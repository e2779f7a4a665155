"""What the page of a synthesis experiment shows: trained beside untrained and real, distances, recordings before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toolkit.report import display, synthesized
from toolkit.report.scored import Scored
from toolkit.report.sources import plain
from toolkit.report.spread import Picture, by_label, spread, values_of
from toolkit.report.table import Table
from toolkit.report.tables import measured

COLUMNS = {"": "Trained", "untrained": "Untrained", "real": "Real audio"}
MODELS = {"trained": "metrics", "untrained": "untrained"}  # where a line of scores has their figures
INSTRUMENT = "instrument"  # label of a manifest's items


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
    distributions: list[Picture]
    examples: list[synthesized.Example]


def view(scored: Scored, missing: list[str]) -> View:
    """Put the parts together; what is not there is added to `missing`."""
    metric = scored.chosen_by
    return View(metric, _figures(scored), _distributions(scored), synthesized.examples(scored, metric, missing))


def _figures(scored: Scored) -> Table:
    """Over the seeds where there are several."""
    found = scored.group.metrics
    rows = []
    for metric in dict.fromkeys(map(plain, found)):
        ids = [f"{variant}/{metric}".lstrip("/") for variant in COLUMNS]
        rows.append([display.label(metric), *(measured(scored.group, one) for one in ids)])
    names = list(COLUMNS.values())
    return Table(["Metric", *names], rows, names).without_empty(names[1:])


def _distributions(scored: Scored) -> list[Picture]:
    """Every metric over the recordings: beside that of the untrained model, then by instrument where there are several."""
    instruments = by_label(scored.rows, scored.items, INSTRUMENT)
    drawn = []
    for metric in scored.metrics:
        models = {name: values_of(scored.rows, metric, key) for name, key in MODELS.items()}
        drawn += spread(models, metric, "recordings", "model") if len(models["trained"]) > 1 else []
        groups = {name: values_of(rows, metric) for name, rows in instruments.items()}
        drawn += spread(groups, metric, "recordings", INSTRUMENT) if len(groups) > 1 else []
    return drawn
