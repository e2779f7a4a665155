"""The stage `score`: stored predictions against their references, one JSON line an item, then their summary."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import files, log
from toolkit.data import parallel
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.metrics import aggregate
from toolkit.tasks.base import Task
from toolkit.tasks.experiment import Experiment

AGGREGATIONS = ("mean", "median")

logger = log.get(__name__)


def score(exp: Path, data: Path, split: str, nj: int | None) -> None:
    """Score every prediction of a split; items scored before with the same metrics and predictions are kept.

    Args:
        exp: an experiment with predictions.
        data: folder of the manifests.
        split: `train`, `valid` or `test`.
        nj: processes; all cores if None.

    Raises:
        UserError: nothing is predicted yet, or a metric's package is missing.
    """
    experiment = Experiment.read(exp / "config.yaml")
    task, built = experiment.build("meta")
    name = getattr(built.data, split)
    manifest = Manifest.open(data / f"{name}.jsonl")
    folder = exp / "predictions" / split
    if not (folder / "index.jsonl").is_file():
        raise UserError(f"no predictions in {folder}. Next: run the stage `infer`")
    predictions = {row["id"]: row["audio"] for row in files.read_jsonl(folder / "index.jsonl")}
    made_by = {**files.read_json(folder / "made_by.json"), "metrics": built.score.metrics}
    rows = _kept(exp / "scores" / f"{split}.jsonl", made_by)
    todo = [item for item in manifest if item.id in predictions and item.id not in rows]
    work = partial(_one, task, manifest, folder, predictions)
    for row in parallel.process(work, todo, nj=nj, what=f"scoring {split}"):
        rows[row["id"]] = row
    _write(exp / "scores", split, made_by, sorted(rows.values(), key=lambda row: row["id"]))
    summary = {
        "split": split,
        "data": name,
        "edition": manifest.header.get("edition", "unknown"),
        "items": len(rows),
        "skipped": len(manifest) - len(rows),
        "metrics": summarise(list(rows.values())),
    }
    files.write_json(exp / "scores" / f"{split}.summary.json", summary)
    logger.info("%s: %s", name, "  ".join(f"{k} {v:.2f}" for k, v in summary["metrics"].items() if k.endswith("/mean")))


def summarise(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Every metric of the items, aggregated: `si_sdr/mean`, `si_sdr/median`, …"""
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    return {
        f"{name}/{how}": aggregate([row["metrics"].get(name, math.nan) for row in rows], how)
        for name in names
        for how in AGGREGATIONS
    }


def _one(task: Task, manifest: Manifest, folder: Path, predictions: dict[str, dict[str, str]], item: Item) -> dict[str, Any]:
    return task.score(manifest, item, {role: folder / path for role, path in predictions[item.id].items()})


def _kept(path: Path, made_by: dict[str, Any]) -> dict[str, dict[str, Any]]:
    mark = path.with_suffix(".made_by.json")
    if not path.exists() or not mark.exists() or files.read_json(mark) != made_by:
        return {}
    return {row["id"]: row for row in files.read_jsonl(path)}


def _write(folder: Path, split: str, made_by: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    import json

    files.write_text(folder / f"{split}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    files.write_json(folder / f"{split}.made_by.json", made_by)
