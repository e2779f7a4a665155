"""What the page of a language model shows: its losses held against what can be reached, matrices, and texts it has written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from toolkit import config
from toolkit.data import records
from toolkit.data.manifest import Item
from toolkit.metrics import markov
from toolkit.report import markov_figures, tunes
from toolkit.report.examples import choose
from toolkit.report.figures import Curve
from toolkit.report.scored import Scored
from toolkit.report.sources import metrics_table
from toolkit.report.spread import Picture, by_label, spread, values_of
from toolkit.report.table import Table
from toolkit.report.tunes import WrittenTune

MOST_CURVES = 6
LOSS = "token_loss/mixture"  # of an item, by which it is chosen to be shown
UNTRAINED = 0.6  # nats per token above which the beginning of a training is cut off
LABEL = "meter"  # by which it is told whom each hypothesis serves


@dataclass(frozen=True)
class Example:
    """A text of the test split, and how the model goes on from its beginning.

    Attributes:
        place: `best`, `median` or `worst`.
        id: of the item.
        value: its loss per token.
        title: of the tune.
        tunes: the original, then one by each hypothesis.
    """

    place: str
    id: str
    value: float
    title: str
    tunes: list[WrittenTune]


@dataclass(frozen=True)
class View:
    """The parts of the page.

    Attributes:
        figures: every figure of the experiment.
        pictures: (caption, SVG) of losses and matrices.
        winners: how many items each hypothesis serves best, by meter; None where there is one hypothesis, or no meter.
        distributions: (caption, SVG) of the items' losses.
        bars: of how the written tunes' bars fit their meters; empty where none were written.
        examples: written texts.
        template: what draws them.
    """

    template: ClassVar[str] = "language.html"

    figures: Table
    pictures: list[Picture]
    winners: Table | None
    distributions: list[Picture]
    bars: str
    examples: list[Example]


def view(scored: Scored, missing: list[str]) -> View:
    """Put the parts together; what is not there is added to `missing`."""
    manifest = scored.manifest_of_predictions(missing)
    items = {} if manifest is None else {item.id: item for item in manifest}
    stored = _stored(scored) if manifest is not None else {}
    chains = [item for item in items.values() if "transitions" in item.labels and item.id in stored]
    pictures = [_losses(scored)] if "mle_line/given_first" in scored.summary["metrics"] else []
    pictures += [_matrices(item, stored[item.id]) for item in chains]
    written = {identity: row["written"] for identity, row in stored.items() if row.get("written") and identity in items}
    examples = [] if manifest is None else list(_examples(scored.rows, items, written))
    distributions = _distributions(scored.rows, items)
    return View(metrics_table(scored.summary), pictures, _winners(scored, items), distributions, _bars(written), examples)


def _stored(scored: Scored) -> dict[str, dict[str, Any]]:
    return records.predictions(scored.run.folder / "predictions" / scored.split)


def _losses(scored: Scored) -> Picture:
    """The experiment's curve, and those of others beside it on the same data, with the lines."""
    metrics = scored.summary["metrics"]
    curves = {scored.run.tag: curve} if (curve := _curve(scored.run.folder)) is not None else {}
    for folder in sorted(scored.run.folder.resolve().parent.glob("*/")):
        known = folder.name not in curves and len(curves) < MOST_CURVES and _same_data(scored.run.folder, folder)
        if known and (other := _curve(folder)) is not None:
            curves[folder.name] = other
    lines = {"optimum of MLE": metrics["mle_line/given_first"]}
    if "mle_line/in_sight" in metrics:
        lines["optimum of MLE with what this model sees"] = metrics["mle_line/in_sight"]
    band = metrics["band_low/given_first"], metrics["band_high/entropy_rate"]
    caption = (
        "Loss on the validation sequences over steps, of several hypotheses that of the best one for each sequence. Lines and "
        "band are exact; the first token is read and not predicted. The validation sequences are a sample: their own optimum "
        "may lie a little off the lines."
    )
    return caption, markov_figures.loss_and_lines(curves, lines, band, UNTRAINED)


def _curve(folder: Path) -> Curve | None:
    """Steps and validation losses, as far as they are numbers; None where none is."""
    rows = [row for row in records.epochs(folder) if math.isfinite(row.get("valid/loss", math.nan))]
    return ([row["step"] for row in rows], [row["valid/loss"] for row in rows]) if rows else None


def _same_data(own: Path, other: Path) -> bool:
    """Whether two experiments have test data and seed in common."""
    if not all((folder / "config.yaml").is_file() for folder in (own, other)):
        return False
    trees = [config.read(folder / "config.yaml") for folder in (own, other)]
    return len({(tree["data"]["test"], tree["train"]["seed"]) for tree in trees}) == 1


def _matrices(item: Item, stored: dict[str, Any]) -> Picture:
    """The chains, and what was learned of them, in their order."""
    truth = np.array(item.labels["transitions"])
    found = {way: np.array(stored[way]) for way in ("alone", "in_sequences")}
    single = len(found["alone"]) < len(truth)
    true = [markov.posterior_average(truth)] if single else list(truth)
    order = {way: [0] if single else markov.match_chains(matrices, truth)[0] for way, matrices in found.items()}
    rows = {
        "average of the chains" if single else "true chains": true,
        "learned, after\na state alone": [found["alone"][place] for place in order["alone"]],
        "learned, on average\nin sequences": [found["in_sequences"][place] for place in order["in_sequences"]],
    }
    caption = f"Transition matrices of {item.labels['mixture']}: row i is what follows state i."
    return caption, markov_figures.matrices(rows)


def _winners(scored: Scored, items: dict[str, Item]) -> Table | None:
    """Whom each hypothesis serves: a line a meter."""
    groups: dict[str, np.ndarray] = {}
    for row in scored.rows:
        label = items[row["id"]].labels.get(LABEL) if row["id"] in items else None
        if label is not None and len(row["winners"]) > 1:
            groups[label] = groups.get(label, 0) + np.array(row["winners"])
    if not groups:
        return None
    names = [f"Hypothesis {number}" for number in range(1, len(next(iter(groups.values()))) + 1)]
    lines = [[label, str(counts.sum()), *map(str, counts)] for label, counts in sorted(groups.items())]
    return Table(["Meter", "Tunes", *names], lines, ["Tunes", *names])


def _distributions(rows: list[dict[str, Any]], items: dict[str, Item]) -> list[Picture]:
    """How the loss is spread, by meter where several are known."""
    values = {name: values_of(members, LOSS) for name, members in by_label(rows, items, LABEL).items()}
    return spread(values, LOSS, "items", LABEL)


def _bars(written: dict[str, list[str]]) -> str:
    """How many of the bars that were written are as long as their meter says."""
    found = [tunes.full_bars_of(text) for texts in written.values() for text in texts]
    if not found:
        return ""
    full, bars = (sum(column) for column in zip(*found, strict=True))
    return f"{full} of {bars} bars that were written in {len(found)} tunes are just as long as their meter says."


def _examples(rows: list[dict[str, Any]], items: dict[str, Item], written: dict[str, list[str]]) -> Iterator[Example]:
    """The tunes with the least, the median and the largest loss among those whose continuations are stored."""
    for place, row in choose([row for row in rows if row["id"] in written], LOSS).items():
        identity = row["id"]
        item, texts = items[identity], written[identity]
        names = (
            ["written by the model"] if len(texts) == 1 else [f"by hypothesis {number}" for number in range(1, len(texts) + 1)]
        )
        shown = [tunes.shown("as it stands in the corpus", item.labels["text"])]
        yield Example(
            place,
            identity,
            row["metrics"][LOSS],
            str(item.labels.get("title") or identity),
            shown + [tunes.shown(name, text) for name, text in zip(names, texts, strict=True)],
        )
