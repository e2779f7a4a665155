"""The stage `score`: stored predictions against their references, one JSON line an item, then their summary."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from toolkit import files, log
from toolkit.data import parallel
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.metrics import aggregate
from toolkit.tasks.base import Task
from toolkit.tasks.experiment import Experiment

AGGREGATIONS = ("mean", "median")

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
    edition = manifest.header.get("edition", "unknown")
    summary = {"split": split, "data": name, "edition": edition, "items": len(rows), "skipped": len(manifest) - len(rows)}
    files.write_json(scores / f"{split}.summary.json", {**summary, "metrics": summarise(rows)})
    means = [f"{key} {value:.2f}" for key, value in summarise(rows).items() if key.endswith("/mean")]
    logger.info("%s, %d items: %s", name, len(rows), "  ".join(means))


def score_item(work: Work) -> dict[str, Any]:
    """One item's line of scores."""
    task, _ = _task(work.exp)
    return task.score(Manifest.open(work.manifest), work.item, work.predictions)


def summarise(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Every metric of the items, aggregated: `si_sdr/mean`, `si_sdr/median`, …"""
    summary: dict[str, float] = {}
    for name in dict.fromkeys(name for row in rows for name in row["metrics"]):
        values = [row["metrics"].get(name, math.nan) for row in rows]
        summary |= {f"{name}/{how}": aggregate(values, how) for how in AGGREGATIONS}
    return summary


@lru_cache(maxsize=2)
def _task(exp: Path) -> tuple[Task, Any]:
    return Experiment.read(exp / "config.yaml").build("meta")
