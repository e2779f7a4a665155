"""The stage `score`: stored predictions against their references, one JSON line an item, then their summary.

Where all four ratios of BSSEval version 4 are measured, each item also has a file as museval writes it,
`scores/<split>/museval/<item>.json`, so that `museval.EvalStore().add_eval_dir(exp / "scores")` reads those of the test split.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from toolkit import files, log
from toolkit.data import parallel
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.metrics import aggregate, aggregate_frames
from toolkit.metrics.aggregation import AGGREGATIONS, FRAME_AGGREGATIONS
from toolkit.metrics.framewise import IMAGES, WINDOW
from toolkit.tasks.base import Task
from toolkit.tasks.experiment import Experiment

HEADLINES = ("mean", "median_of_medians")  # the aggregations that are told in the log
MUSEVAL = {ratio: IMAGES + ratio.lower() for ratio in ("SDR", "SIR", "SAR", "ISR")}

logger = log.get(__name__)


class Work(NamedTuple):
    """One item to score: whose experiment, of which manifest, predicted where (role to file)."""

    exp: Path
    manifest: Path
    item: Item
    predictions: dict[str, Path]


def score(exp: Path, data: Path, split: str, nj: int | None) -> None:
    """Score every prediction of a split; what an earlier run has scored is kept as long as the predictions are the same.

    Args:
        exp: an experiment with predictions.
        data: folder of the manifests.
        split: `train`, `valid` or `test`.
        nj: processes; all cores if None.

    Raises:
        UserError: nothing is predicted yet, or a metric's package is missing.
    """
    _, built = _task(exp)
    name = getattr(built.data, split)
    manifest = Manifest.open(data / f"{name}.jsonl")
    predictions = exp / "predictions" / split
    if not (predictions / "index.jsonl").is_file():
        raise UserError(f"no predictions in {predictions}. Next: run the stage `infer`")
    made_by = files.read_json(predictions / "made_by.json")["weights"]
    signature = json.dumps([made_by, built.score.metrics])
    stored = {row["id"]: row["audio"] for row in files.read_jsonl(predictions / "index.jsonl")}
    jobs = []
    for item in manifest:
        if item.id in stored:
            roles = {role: predictions / path for role, path in stored[item.id].items()}
            jobs.append(parallel.Job(item.id, Work(exp, manifest.path, item, roles), signature))
    scores = exp / "scores"
    outcome = parallel.run(score_item, jobs, f"scores of {split}", nj=nj, journal=scores / f".{split}.journal.jsonl")
    rows = [outcome.results[job.id] for job in jobs if job.id in outcome.results]
    if not rows:
        raise UserError(f"{manifest.path}: none of its items could be scored. Next: see {exp}/logs/score.log")
    files.write_text(scores / f"{split}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    for row in rows:
        if all(metric in row["metrics"] for metric in MUSEVAL.values()):
            files.write_json(scores / split / "museval" / f"{PurePosixPath(row['id']).name}.json", as_museval(row["frames"]))
    edition = manifest.header.get("edition", "unknown")
    figures = summarise(rows)
    summary = {"split": split, "data": name, "edition": edition, "items": len(rows), "skipped": len(manifest) - len(rows)}
    files.write_json(scores / f"{split}.summary.json", {**summary, "metrics": figures})
    means = [f"{key} {value:.2f}" for key, value in figures.items() if key.partition("/")[2] in HEADLINES]
    logger.info("%s, %d items: %s", name, len(rows), "  ".join(means))


def score_item(work: Work) -> dict[str, Any]:
    """One item's line of scores."""
    task, _ = _task(work.exp)
    return task.score(Manifest.open(work.manifest), work.item, work.predictions)


def summarise(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Every metric of the items, aggregated.

    Returns:
        `<metric>/<aggregation>`: of speakers, the items' means aggregated, `si_sdr/mean`; of named sources, the mean of what is
        aggregated for each of them, which also stands there by itself, `nsdr/mean/vocals`.  Metrics that have a value for each
        second have aggregations of their own, `bsseval_v4_sdr/median_of_medians`, and may have an accompaniment, which does not
        count in the mean.
    """
    summary: dict[str, float] = {}
    named = rows[0].get("named", [])
    for name in dict.fromkeys(name for row in rows for name in row["metrics"]):
        framewise = any(name in values for values in rows[0].get("frames", {}).values())
        for how in FRAME_AGGREGATIONS if framewise else AGGREGATIONS:
            if not framewise and not named:
                summary[f"{name}/{how}"] = aggregate((row["metrics"].get(name, math.nan) for row in rows), how)
                continue
            by_source = _by_source(rows, name, how, framewise)
            summary[f"{name}/{how}"] = aggregate(by_source[source] for source in named or by_source)
            summary |= {f"{name}/{how}/{source}": value for source, value in by_source.items()}
    return summary


def _by_source(rows: list[dict[str, Any]], name: str, how: str, framewise: bool) -> dict[str, float]:
    """A metric of each source, aggregated over the items that have it."""
    values: dict[str, list[Any]] = {}
    for row in rows:
        for source, measured in row["frames" if framewise else "sources"].items():
            if name in measured:
                values.setdefault(source, []).append(measured[name])
    return {source: aggregate_frames(v, how) if framewise else aggregate(v, how) for source, v in values.items()}


def as_museval(frames: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """An item's values for each second, by source and metric, in museval's format for a track."""
    targets = []
    for source, measured in frames.items():
        columns = {ratio: measured[metric] for ratio, metric in MUSEVAL.items()}
        lines = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        timed = [{"time": i * WINDOW, "duration": WINDOW, "metrics": line} for i, line in enumerate(lines)]
        targets.append({"name": source, "frames": timed})
    return {"targets": targets}


@lru_cache(maxsize=2)
def _task(exp: Path) -> tuple[Task, Any]:
    return Experiment.read(exp / "config.yaml").build("meta")
