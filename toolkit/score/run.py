"""The stage `score`: stored predictions against their references, one JSON line an item, then their summary.

Where all four ratios of BSSEval version 4 are measured, each item also has a file as museval writes it,
`scores/<split>/museval/<item>.json`, so that `museval.EvalStore().add_eval_dir(exp / "scores")` reads those of the test split.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from toolkit import config, files, log
from toolkit.data import parallel, records
from toolkit.data.manifest import Manifest, gone
from toolkit.launch.parts import WHOLE, Part
from toolkit.log import UserError
from toolkit.metrics.framewise import IMAGES, WINDOW
from toolkit.tasks.base import AGAIN, Task
from toolkit.tasks.experiment import Experiment, config_of

HEADLINES = ("mean", "median_of_medians")  # the aggregations that are told in the log
TOLD = 6  # figures where there are none of these
Lines = dict[str, dict[str, Any]]  # of the index of predictions, by the items' ids
MUSEVAL = {ratio: IMAGES + ratio.lower() for ratio in ("SDR", "SIR", "SAR", "ISR")}

logger = log.get(__name__)


class Work(NamedTuple):
    """One item to score: of which experiment, data and split, its number in the manifest, its line of the index."""

    exp: Path
    data: Path
    split: str
    number: int
    stored: dict[str, Any]


class Opened(NamedTuple):
    """What all items of a split have in common."""

    experiment: Experiment
    task: Task
    manifest: Manifest
    predictions: Path


def score(exp: Path, data: Path, split: str, nj: int | None, part: Part = WHOLE) -> None:
    """Score every prediction of a split; what a run that was ended has scored is kept, of one that came to its end nothing.

    Args:
        exp: an experiment with predictions.
        data: folder of the manifests.
        split: `train`, `valid` or `test`.
        nj: processes; all cores if None.
        part: which items are this process's; one who takes all of them sums up.

    Raises:
        UserError: nothing is trained or predicted yet, a metric's package is missing, or a recording has gone since `prepare`,
            or a prediction since `infer`.
    """
    _opened.cache_clear()  # of another run of this process, whose files may have been others
    opened = _opened(exp, data, split)
    task, manifest, predictions = opened.task, opened.manifest, opened.predictions
    if not (predictions / "index.jsonl").is_file():
        raise UserError(f"no predictions in {predictions}. Next: run the stage `infer`")
    stored = records.predictions(predictions)
    _require_predictions(opened, stored)
    jobs = _jobs(opened, stored, lambda number, line: Work(exp, data, split, number, line))
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
    rows = list(outcome.results.values())
    if not rows:
        raise UserError(f"{manifest.path}: none of its items could be scored. Next: see {exp}/logs/score.log")
    figures = task.summarise(rows)
    figures["metrics"] |= task.compare(manifest, list(stored.values()), predictions)
    edition = manifest.header.get("edition", "unknown")
    name, skipped = opened.experiment.tree["data"][split], len(manifest) - len(rows)
    summary = {"split": split, "data": name, "edition": edition, "items": len(rows), "skipped": skipped}
    weights = records.made_by(predictions)["weights"]
    _write(scores, rows, {**summary, "weights": weights, **figures})
    journal.unlink()  # asked for again, it is because something has changed that nobody can see: the code of a metric
    logger.info("%s, %d items: %s", name, len(rows), told(figures["metrics"]))


def told(metrics: dict[str, float]) -> str:
    """What the log says of all figures: the usual aggregations; of metrics that have none of them, the first."""
    usual = [key for key in metrics if key.partition("/")[2] in HEADLINES]
    return "  ".join(f"{key} {metrics[key]:.3g}" for key in usual or list(metrics)[:TOLD])


def _jobs(opened: Opened, stored: Lines, work: Callable[[int, dict[str, Any]], Work]) -> parallel.Jobs:
    """The jobs of the predicted items, in the order of the manifest; made when they are needed, so that no item is held."""
    numbers = {item.id: number for number, item in enumerate(opened.manifest) if item.id in stored}
    made_from = [records.made_by(opened.predictions), opened.experiment.tree["score"]]

    def job(identity: str) -> parallel.Job:
        number = numbers[identity]
        signature = config.fingerprint([*made_from, vars(opened.manifest[number])])
        return parallel.Job(identity, work(number, stored[identity]), signature)

    return parallel.Jobs(list(numbers), job)


def _require_predictions(opened: Opened, stored: Lines) -> None:
    """Figures of what is left would be those of another split; those of an earlier run are of files that nobody can look at.

    Raises:
        UserError: a prediction has gone since `infer`.
    """
    for line in stored.values():
        for name in opened.task.files_of(line):
            if not (path := opened.predictions / name).exists():
                raise UserError(f"no such prediction: {path}. Next: {AGAIN}")


def _require_recordings(manifest: Manifest, skipped: set[str]) -> None:
    """The same of the corpus.

    Raises:
        UserError: of an item that was skipped, a recording has gone since `prepare`.
    """
    if not skipped:  # the manifest need not be read
        return
    for item in manifest:
        if item.id in skipped:
            for role in item.audio:
                if not (path := manifest.path_of(item, role)).exists():
                    raise gone(path)


def _write(scores: Path, rows: list[dict[str, Any]], summary: dict[str, Any]) -> None:
    """The lines, museval's files, the summary."""
    split = summary["split"]
    files.write_text(scores / f"{split}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    for row, name in zip(rows, museval_names([row["id"] for row in rows]), strict=True):
        if all(metric in row.get("metrics", {}) for metric in MUSEVAL.values()):
            files.write_json(scores / split / "museval" / f"{name}.json", as_museval(row["frames"]))
    files.write_json(scores / f"{split}.summary.json", summary)


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
    opened = _opened(work.exp, work.data, work.split)
    return opened.task.score(opened.manifest, opened.manifest[work.number], work.stored, opened.predictions)


def museval_names(ids: list[str]) -> list[str]:
    """What museval's files of items are called: as MUSDB18 calls its tracks, or where two would be called the same, in full."""
    names = [PurePosixPath(one).name for one in ids]
    return names if len(set(names)) == len(names) else [one.replace("/", "_") for one in ids]


def as_museval(frames: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """An item's values for each second, by source and metric, in museval's format for a track."""
    targets = []
    for source, measured in frames.items():
        columns = {ratio: measured[metric] for ratio, metric in MUSEVAL.items()}
        lines = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        timed = [{"time": i * WINDOW, "duration": WINDOW, "metrics": line} for i, line in enumerate(lines)]
        targets.append({"name": source, "frames": timed})
    return {"targets": targets}


@lru_cache(maxsize=1)
def _opened(exp: Path, data: Path, split: str) -> Opened:
    """Once for all items that a process scores."""
    experiment = Experiment.read(config_of(exp))
    manifest = data / f"{experiment.tree['data'][split]}.jsonl"
    return Opened(experiment, experiment.build("meta")[0], Manifest.open(manifest), exp / "predictions" / split)
