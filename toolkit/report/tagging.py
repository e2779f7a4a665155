"""What the page of a tagging experiment shows: its figures with intervals, those of each tag, clips to be heard."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from toolkit.metrics import tagging as metrics
from toolkit.report import display, figures, tagged
from toolkit.report.scored import Scored
from toolkit.report.sources import base, identity
from toolkit.report.spread import Picture
from toolkit.report.table import NOTHING, Table
from toolkit.report.tables import measured

AT_ONCE = 25  # tags whose table is shown at once; a longer one unfolds
ONE_PICTURE = 12  # tags that are drawn in one picture; more are drawn in two, side by side
INTERVAL = "95 % interval"


@dataclass(frozen=True)
class View:
    """The parts of the page.

    Attributes:
        figures: the means over the tags.
        tags: every figure of each tag.
        folded: whether that table is long.
        distributions: (caption, SVG) of the clips' cross-entropy.
        pictures: (caption, SVG) of the headline's metric by tag.
        examples: best, median and worst clip.
        template: what draws them.
        seconds: of a clip that can be heard, at most.
    """

    template: ClassVar[str] = "tagging.html"
    seconds: ClassVar[float] = tagged.SECONDS

    figures: Table
    tags: Table
    folded: bool
    distributions: list[Picture]
    pictures: list[Picture]
    examples: list[tagged.Example]


def view(scored: Scored, missing: list[str]) -> View:
    """Put the parts together; what is not there is added to `missing`."""
    tags = scored.summary["tags"]
    folded, shown = len(tags) > AT_ONCE, tagged.examples(scored, missing)
    return View(_means(scored), _by_tag(scored), folded, _distributions(scored), _pictures(scored, tags), shown)


def _means(scored: Scored) -> Table:
    """A line a metric: its mean over the tags, between which bounds it lies, and over the seeds if there are several."""
    bounds = scored.summary.get("intervals", {})
    rows = []
    for metric in _metrics(scored):
        low, high = (display.number(bound, metric) for bound in bounds.get(metric, (None, None)))
        interval = NOTHING if NOTHING in (low, high) else f"{low} to {high}"
        value = display.number(scored.summary["metrics"][metric], metric)
        seeds = measured(scored.group, metric) if len(scored.group.runs) > 1 else NOTHING
        rows.append([display.label(metric), value, interval, seeds])
    over = f"Seeds {scored.group.seeds}"
    figures_of = ["Mean over the tags", INTERVAL, over]
    return Table(["Metric", *figures_of], rows, figures_of).without_empty([INTERVAL, over])


def _by_tag(scored: Scored) -> Table:
    """A line a tag, over the seeds if there are several; behind the figures how many clips are labelled, and have it."""
    names = [_name(metric) for metric in _metrics(scored)]
    counted = ["With the tag", "Labelled"]
    rows = []
    for place, tag in enumerate(scored.summary["tags"]):
        labels = [label for row in scored.rows if (label := row["labels"][place]) is not None]
        counts = [str(sum(labels)), str(len(labels))] if scored.rows else [NOTHING, NOTHING]
        rows.append([tag, *(measured(scored.group, identity(metric, tag)) for metric in _metrics(scored)), *counts])
    return Table(["Tag", *names, *counted], rows, [*names, *counted]).without_empty(counted)


def _distributions(scored: Scored) -> list[Picture]:
    """How right the probabilities of single clips are."""
    losses = [loss for row in scored.rows if (loss := tagged.cross_entropy(row)) is not None]
    caption = f"Cross-entropy of the {len(losses):,} clips, each the mean over its labelled tags; the line is the median."
    return [(caption, figures.distribution({"": losses}, "cross-entropy (nats)"))] if len(losses) > 1 else []


def _pictures(scored: Scored, tags: list[str]) -> list[Picture]:
    """The headline's metric of each tag, beside what it would be if every clip got the same probability."""
    metric = base(scored.metric)
    values = {tag: scored.group.mean(identity(metric, tag)) for tag in tags}
    known = {tag: value for tag, value in values.items() if value is not None}
    if not known:
        return []
    marks = _priors(scored, metric, tags)
    spreads = {tag: spread for tag in tags if (spread := scored.group.deviation(identity(metric, tag))) is not None}
    lowest = min([*known.values(), *marks.values()])
    limits = (max(-0.02, math.floor(lowest * 10 - 0.2) / 10), 1.02)
    half = len(known) if len(known) <= ONE_PICTURE else math.ceil(len(known) / 2)
    shown = list(known)
    name = _name(metric)
    caption = f"{name} by tag. The upright mark is what the share of positives, given as probability to every clip, would get."
    if spreads:
        caption += f" The dot is the mean over the seeds {scored.group.seeds}, whiskers reach one standard deviation."
    parts = [(caption, shown[:half]), (f"{name} by tag, continued.", shown[half:])]
    return [
        (title, figures.by_name({tag: known[tag] for tag in part}, marks, spreads, name, limits))
        for title, part in parts
        if part
    ]


def _priors(scored: Scored, metric: str, tags: list[str]) -> dict[str, float]:
    """What the share of its positives, as probability of every clip, gets for each tag."""
    if not scored.rows:
        return {}
    _, labels, mask = metrics.arrays(scored.rows)
    prior = (labels.sum(0) / mask.sum(0)).expand_as(labels)
    name = metric.partition("/")[0]
    found = metrics.evaluate(prior, labels, mask, [name])[name].tolist()
    return {tag: value for tag, value in zip(tags, found, strict=True) if not math.isnan(value)}


def _metrics(scored: Scored) -> list[str]:
    """Ids of the means over the tags."""
    return list(dict.fromkeys(base(one) for one in scored.summary["metrics"]))


def _name(metric: str) -> str:
    """What the figure of one tag is called."""
    shown = display.metric(metric)
    return shown.of_a_tag or shown.name
