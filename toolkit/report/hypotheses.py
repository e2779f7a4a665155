"""What the page of an experiment with hypotheses shows: where they are, what they come to over the inputs, and their ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from toolkit import config
from toolkit.data import records
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.report import display, figures, hypothesis_figures
from toolkit.report.figures import Curve
from toolkit.report.hypothesis_figures import Placed
from toolkit.report.runs import Run
from toolkit.report.scored import Scored
from toolkit.report.sources import metrics_table
from toolkit.report.spread import Picture, spread, values_of
from toolkit.report.table import Table
from toolkit.tasks.hypotheses import WAYS, read, samples_of

MOST = 4  # systems in a picture
STEPS = 60  # of a way that are drawn
OVER_INPUTS = ("earth_mover", "idle_weight", "weight_error", "distortion")


@dataclass(frozen=True)
class System:
    """An experiment on the same test data.

    Attributes:
        name: the stem of its config.
        run: it.
        rows: its lines of scores.
    """

    name: str
    run: Run
    rows: list[dict[str, Any]]

    def over_inputs(self, metric: str) -> Curve:
        """Inputs and a metric's values; nothing where samples have inputs of their own, or it was not measured."""
        rows = [row for row in self.rows if "t" in row and metric in row["metrics"]]
        return [row["t"] for row in rows], [display.metric(metric).scale * row["metrics"][metric] for row in rows]


@dataclass(frozen=True)
class View:
    """The parts of the page.

    Attributes:
        figures: every figure of the experiment.
        beside: names of other systems in the pictures.
        lines: what the hypotheses come to over the inputs.
        distributions: how that is spread over the inputs, beside other systems.
        cooling: what they came to as the temperature fell.
        examples: hypotheses among samples, and their ways.
        template: what draws them.
    """

    template: ClassVar[str] = "hypotheses.html"

    figures: Table
    beside: list[str]
    lines: list[Picture]
    distributions: list[Picture]
    cooling: list[Picture]
    examples: list[Picture]


def view(scored: Scored, missing: list[str]) -> View:
    """Put the parts together; what is not there is added to `missing`."""
    this = System(_name(scored.run), scored.run, scored.rows)
    systems = [this, *_beside(scored, this.name)]
    drawn = [name for name in OVER_INPUTS if len(this.over_inputs(name)[0]) > 1]
    lines = [_over_inputs(name, systems) for name in drawn]
    spreads = [picture for name in drawn for picture in _spread(name, systems)]
    manifest = scored.manifest_of_predictions(missing)
    examples = [] if manifest is None else _examples(scored, systems, manifest, missing)
    beside = [one.name for one in systems[1:]]
    return View(metrics_table(scored.summary), beside, lines, spreads, _cooling(scored), examples)


def _beside(scored: Scored, but: str) -> list[System]:
    """Other experiments of the recipe on the same data of the same edition, one of each config, if possible of this seed."""
    found: dict[str, tuple[bool, Run]] = {}
    for path in sorted(scored.run.folder.parent.glob(f"*/scores/{scored.split}.summary.json")):
        run = Run.read(path.parents[1]) if (path.parents[1] / "run.json").is_file() else None
        if run is None or run.overrides or scored.split not in run.summaries:
            continue
        if _told(run, scored.split) != _told(scored.run, scored.split):
            continue
        other_seed = run.info.get("seed") != scored.run.info.get("seed")
        if _name(run) not in found or (found[_name(run)][0] and not other_seed):
            found[_name(run)] = other_seed, run
    names = [name for name in found if name != but][: MOST - 1]
    return [System(name, found[name][1], records.scores(found[name][1].folder, scored.split)) for name in names]


def _told(run: Run, split: str) -> tuple[Any, ...]:
    return run.task, run.summaries[split]["data"], run.edition(split)


def _name(run: Run) -> str:
    return Path(run.config).stem.replace("_", " ") or run.tag


def _over_inputs(metric: str, systems: Sequence[System]) -> Picture:
    """A line for each system that it is known of, the page's own first."""
    lines = {one.name: line for one in systems if (line := one.over_inputs(metric))[0]}
    label = display.label(metric)
    caption = f"{label} over the input."
    if metric == "distortion" and (centres := systems[0].over_inputs("k_means"))[0]:
        lines["k-means"] = centres
        caption = f"{label} over the input, beside that of as many centres found by k-means among the samples."
    return caption, figures.curves(lines, label, "t")


def _spread(metric: str, systems: Iterable[System]) -> list[Picture]:
    """How a metric is spread over the inputs, a box for each system that it is known of."""
    return spread({one.name: values_of(one.rows, metric) for one in systems}, metric, "inputs", "experiment")


def _cooling(scored: Scored) -> list[Picture]:
    """Distortion and spread over temperature, where there was one that fell."""
    rows = [row for row in records.epochs(scored.run.folder) if row.get("valid/temperature", 0) > 0]
    temperatures = [row["valid/temperature"] for row in rows]
    if len(set(temperatures)) < 2:
        return []
    critical = sorted(values_of(scored.rows, "critical_temperature"))[-1:]
    level = scored.summary["metrics"].get("k_means/mean")
    levels = {} if level is None else {"k-means": level}
    tail = f" The line: {critical[0]:.3f}, below which hypotheses in the samples' mean part." if critical else ""
    return [
        (
            f"Distortion of the validation samples as the temperature falls.{tail}",
            hypothesis_figures.cooling(
                {"hypotheses": (temperatures, [row["valid/distortion"] for row in rows])}, critical, levels, "distortion"
            ),
        ),
        (
            "How far the hypotheses lie from their mean (root mean square) as the temperature falls.",
            hypothesis_figures.cooling(
                {"hypotheses": (temperatures, [row["valid/spread"] for row in rows])}, critical, quantity="spread"
            ),
        ),
    ]


def _examples(scored: Scored, systems: list[System], manifest: Manifest, missing: list[str]) -> list[Picture]:
    """Hypotheses in a plane among the samples, for the inputs that the configuration shows."""
    shown = config.read(scored.run.folder / "config.yaml")["data"]["shown"]
    items = [item for item in manifest if "t" in item.labels]
    if not items:
        return []
    nearest = [min(items, key=lambda item: abs(item.labels["t"] - t)) for t in shown]
    samples = [_points(manifest, item) for item in nearest]
    if any(points.shape[1] != 2 for points in samples):
        return []
    limit = max(1.0, float(np.ceil(10 * np.quantile(np.abs(np.concatenate(samples)), 0.998)) / 10))
    rows = {one.name: placed for one in systems if (placed := _placed(one, scored.split, nearest, missing))}
    caption = "Hypotheses (blue, the larger the more they weigh) among samples given each t."
    among = {_named(item): points for item, points in zip(nearest, samples, strict=True)}
    drawn = [(caption, hypothesis_figures.hypotheses(among, rows, (-limit, limit)))] if rows else []
    ways = {one.name: taken for one in systems if (taken := _ways(one.run.folder, shown)) is not None}
    for place, (t, points) in enumerate(zip(shown, samples, strict=True)):
        if ways:
            picture = hypothesis_figures.ways(points, {name: taken[:, place] for name, taken in ways.items()}, (-limit, limit))
            drawn.append((f"The ways of the hypotheses from before the training to its end, t = {t:g}.", picture))
    return drawn


def _named(item: Item) -> str:
    return f"t = {item.labels['t']:.2g}"


def _points(manifest: Manifest, item: Item) -> np.ndarray:
    draws = samples_of(manifest, item)
    points = draws.targets[draws.mask]
    return points[np.random.default_rng(0).permutation(len(points))]  # the notebook's come one cluster after the other


def _placed(system: System, split: str, items: Iterable[Item], missing: list[str]) -> dict[str, Placed]:
    """Hypotheses of a system for each of the inputs; nothing if some are not stored."""
    folder = system.run.folder / "predictions" / split
    try:
        stored = records.predictions(folder) if (folder / "index.jsonl").is_file() else {}
        if any(item.id not in stored for item in items):
            return {}
        return {
            _named(item): Placed(*(read(folder, stored[item.id], name)[0] for name in ("points", "weights"))) for item in items
        }
    except UserError as error:
        missing.append(f"hypotheses of {system.name}: {error}")
        return {}


def _ways(folder: Path, shown: list[float]) -> np.ndarray | None:
    """Where hypotheses stood at some steps of the training, (steps, inputs, K, 2), if the same inputs were followed."""
    path = folder / WAYS
    if not path.is_file() or config.read(folder / "config.yaml")["data"]["shown"] != shown:
        return None
    taken = np.load(path, allow_pickle=False)
    return taken[np.unique(np.linspace(0, len(taken) - 1, STEPS).round().astype(int))]
