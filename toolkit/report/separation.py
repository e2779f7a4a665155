"""What the page of a separation experiment shows: its figures by source, how they are spread, items to be heard."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from toolkit.log import UserError
from toolkit.report import examples
from toolkit.report.scored import BUDGET, Scored
from toolkit.report.sources import in_order, metrics_table
from toolkit.report.spread import Picture, spread, values_of
from toolkit.report.table import Table


@dataclass(frozen=True)
class View:
    """The parts of the page.

    Attributes:
        metric: id of the headline's metric.
        figures: every figure of the experiment.
        distributions: (caption, SVG).
        examples: best, median and worst item.
        template: what draws them.
        seconds: of an item that can be heard, at most.
    """

    template: ClassVar[str] = "separation.html"
    seconds: ClassVar[float] = examples.SECONDS

    metric: str
    figures: Table
    distributions: list[Picture]
    examples: list[examples.Example]


def view(scored: Scored, missing: list[str]) -> View:
    """Put the parts together; what is not there is added to `missing`."""
    name = scored.metric.partition("/")[0]
    return View(
        scored.metric, metrics_table(scored.summary), _distributions(scored.rows, name), _examples(scored, name, missing)
    )


def _distributions(rows: list[dict[str, Any]], name: str) -> list[Picture]:
    """Over all items; then by number of sources where it varies, else by source."""
    drawn = spread({"": values_of(rows, name)}, name, "items, each the mean over its sources")
    by_number: dict[str, list[float]] = {}
    by_source: dict[str, list[float]] = {}
    for row in rows:
        for source, values in row.get("sources", {}).items():
            value = values.get(name, math.nan)
            if math.isfinite(value):
                by_number.setdefault(f"{len(row['sources'])} sources", []).append(value)
                by_source.setdefault(source, []).append(value)
    split, kind = (by_number, "number of sources") if len(by_number) > 1 else (by_source, "source")
    if drawn and len(split) > 1:
        drawn += spread({key: split[key] for key in in_order(split)}, name, "estimates", kind)
    return drawn


def _examples(scored: Scored, name: str, missing: list[str]) -> list[examples.Example]:
    chosen = examples.choose(scored.rows, name)
    manifest = scored.manifest_of_predictions(missing) if chosen else None
    if manifest is None:
        return []
    try:
        return examples.load(scored.run.folder, scored.split, manifest, chosen, name, BUDGET, missing)
    except UserError as error:
        missing.append(f"examples: {error}")
        return []
