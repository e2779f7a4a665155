"""The stage `score`: stored predictions against their references, one JSON line an item, then their summary.

Where all four ratios of BSSEval version 4 are measured, each item also has a file as museval writes it,
`scores/<split>/museval/<item>.json`, so that `museval.EvalStore().add_eval_dir(exp / "scores")` reads those of the test split.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from toolkit import files, log
from toolkit.data import parallel, records
from toolkit.data.manifest import Item, Manifest, gone
from toolkit.launch.parts import WHOLE, Part
from toolkit.log import UserError
from toolkit.metrics.framewise import IMAGES, WINDOW
from toolkit.tasks.base import Task
from toolkit.tasks.experiment import Experiment

HEADLINES = ("mean", "median_of_medians")  # the aggregations that are told in the log
MUSEVAL = {ratio: IMAGES + ratio.lower() for ratio in ("SDR", "SIR", "SAR", "ISR")}

logger = log.get(__name__)


class Work(NamedTuple):
    """One item to score: whose experiment, of which manifest, its line of the index, and the folder of that."""

    exp: Path
    manifest: Path
    item: Item
    stored: dict[str, Any]
    folder: Path


def score(exp: Path, data: Path, split: str, nj: int | None, part: Part = WHOLE) -> None:
    """Score every prediction of a split; what an earlier run has scored is kept as long as the predictions are the same.

    Args:
        exp: an experiment with predictions.
        data: folder of the manifests.
        split: `train`, `valid` or `test`.
        nj: processes; all cores if None.
        part: which items are this process's; one who takes all of them sums up.

    Raises:
        UserError: nothing is predicted yet, a metric's package is missing, or a recording has gone since `prepare`.
    """
    task, built = _task(exp)
    name = getattr(built.data, split)
    manifest = Manifest.open(data / f"{name}.jsonl")
    predictions = exp / "predictions" / split
    if not (predictions / "index.jsonl").is_file():
        raise UserError(f"no predictions in {predictions}. Next: run the stage `infer`")
    signature = json.dumps([records.made_by(predictions), built.score.metrics])
    stored = records.predictions(predictions)
    jobs = [
        parallel.Job(item.id, Work(exp, manifest.path, item, stored[item.id], predictions), signature)
        for item in manifest
        if item.id in stored
    ]
    scores = exp / "scores"
    if not part.is_whole:
        journal = scores / f".{split}.journal-{part}.jsonl"
        mine = [job for number, job in enumerate(jobs) if part.takes(number)]
        parallel.run(score_item, mine, f"scores of {split}", nj=nj, journal=journal)
        return
    journal = scores / f".{split}.journal.jsonl"
    _put_together(journal, sorted(scores.glob(f".{split}.journal-*.jsonl")))
    outcome = parallel.run(score_item, jobs, f"scores of {split}", nj=nj, journal=journal)
    _require_recordings(manifest, {one.id for one in outcome.skipped})
    rows = [outcome.results[job.id] for job in jobs if job.id in outcome.results]
    if not rows:
        raise UserError(f"{manifest.path}: none of its items could be scored. Next: see {exp}/logs/score.log")
    files.write_text(scores / f"{split}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    for row in rows:
        if all(metric in row.get("metrics", {}) for metric in MUSEVAL.values()):
            files.write_json(scores / split / "museval" / f"{PurePosixPath(row['id']).name}.json", as_museval(row["frames"]))
    edition = manifest.header.get("edition", "unknown")
    figures = task.summarise(rows)
    figures["metrics"] |= task.compare(manifest, list(stored.values()), predictions)
    summary = {"split": split, "data": name, "edition": edition, "items": len(rows), "skipped": len(manifest) - len(rows)}
    files.write_json(scores / f"{split}.summary.json", {**summary, **figures})
    means = [f"{key} {value:.3g}" for key, value in figures["metrics"].items() if key.partition("/")[2] in HEADLINES]
    logger.info("%s, %d items: %s", name, len(rows), "  ".join(means))


def _require_recordings(manifest: Manifest, skipped: set[str]) -> None:
    """Figures of what is left would be those of another split.

    Raises:
        UserError: a recording of an item that was skipped has gone since `prepare`.
    """
    if not skipped:  # the manifest need not be read
        return
    for item in manifest:
        if item.id in skipped:
            for role in item.audio:
                if not (path := manifest.path_of(item, role)).exists():
                    raise gone(path)


def _put_together(journal: Path, parts: list[Path]) -> None:
    """What parts of the work have written down goes to the journal, in which a later line of an item counts."""
    if not parts:
        return
    with journal.open("a", encoding="utf-8") as stream:
        for path in parts:
            stream.write(path.read_text(encoding="utf-8"))
    for path in parts:
        path.unlink()


def score_item(work: Work) -> dict[str, Any]:
    """One item's line of scores."""
    task, _ = _task(work.exp)
    return task.score(Manifest.open(work.manifest), work.item, work.stored, work.folder)


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
