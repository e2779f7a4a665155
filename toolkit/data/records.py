"""What stands in an experiment's folder, held against what is relied on of it; of a damaged file it is told what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from toolkit import files
from toolkit.log import UserError

CURVES = "bring back a copy, or remove it: nothing but the curves of the training is lost"
SCORE = "run the stage `score` with --force"


class _Started(TypedDict):
    config: str


class Info(_Started, total=False):
    """What is relied on of `run.json`; older runs lack some."""

    recipe: str
    overrides: list[str]
    command: str
    commit: str
    config_hash: str
    seed: int
    device: str
    parameters: int
    model_mb: float
    steps: int
    epochs: int
    train_seconds: float
    data: dict[str, str]
    edition: str
    weights: str  # SHA-256 of `model.safetensors`
    finished: str


class _Measured(TypedDict):
    data: str
    metrics: dict[str, float | None]


class Summary(_Measured, total=False):
    """What is relied on of `scores/<split>.summary.json`."""

    edition: str
    weights: str  # SHA-256 of those that the predictions are of
    items: int
    rows: int  # of all items, where they are tables
    skipped: int
    tags: list[str]
    intervals: dict[str, list[float]]


class Kept(TypedDict):
    """A run that is kept as figures alone."""

    tag: str
    info: Info
    summaries: dict[str, Summary]


class Epoch(TypedDict):
    """What is relied on of a line of `metrics.jsonl`."""

    epoch: int


class Line(TypedDict):
    """What is relied on of a line of predictions or scores."""

    id: str


class _Weighed(TypedDict):
    weights: str


class MadeBy(_Weighed, total=False):
    """What `predictions/<split>/made_by.json` says.

    Attributes:
        weights: SHA-256 of the weights.
        settings: fingerprint of all that predictions depend on besides the weights; older files lack it.
    """

    settings: str


def info(exp: Path) -> dict[str, Any]:
    """What `run.json` tells of a training.

    Raises:
        UserError: nothing has been trained in this folder, or the file is damaged.
    """
    path = exp / "run.json"
    if not path.is_file():
        raise UserError(f"{exp} is no trained experiment (no run.json). Next: toolkit train --exp {exp} --config CONFIG")
    found: dict[str, Any] = files.read_json(path, Info)
    return found


def summaries(exp: Path) -> dict[str, dict[str, Any]]:
    """What its splits came to, by their names: `scores/<split>.summary.json`; none of a split that is not scored.

    Raises:
        UserError: one is damaged.
    """
    found = sorted((exp / "scores").glob("*.summary.json"))
    return {path.name.split(".")[0]: files.read_json(path, Summary, SCORE) for path in found}


def scores(exp: Path, split: str) -> list[dict[str, Any]]:
    """The lines of `scores/<split>.jsonl`, one an item; none where there is no such file.

    Raises:
        UserError: a line is damaged, or there are not as many as have been summed up.
    """
    path, summary = exp / "scores" / f"{split}.jsonl", exp / "scores" / f"{split}.summary.json"
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = files.read_jsonl(path, Line, SCORE)
    expected = files.read_json(summary, Summary, SCORE).get("items") if summary.is_file() else None
    if expected not in (None, len(rows)):
        raise UserError(f"{path}: expected {expected} items, as {summary.name} says, found {len(rows)}. Next: {SCORE}")
    return rows


def predictions(folder: Path, name: str = "index.jsonl") -> dict[str, dict[str, Any]]:
    """The lines of the index of stored predictions, by the items' ids.

    Args:
        folder: `predictions/<split>` of an experiment.
        name: of the index, or that of a part of it.

    Raises:
        UserError: there is none, or a line is damaged.
    """
    path = folder / name
    again = f"rm {path}, then run the stage `infer` again" if path.exists() else "run the stage `infer`"
    return {row["id"]: row for row in files.read_jsonl(path, Line, again)}


def made_by(folder: Path) -> MadeBy:
    """Which weights and settings made the predictions of a folder.

    Raises:
        UserError: that is not known.
    """
    found: MadeBy = files.read_json(folder / "made_by.json", MadeBy, f"rm -r {folder}, then run the stage `infer` again")
    return found


def epochs(exp: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`, one an epoch; none where there is no such file.

    Raises:
        UserError: a line is damaged.
    """
    path = exp / "metrics.jsonl"
    return files.read_jsonl(path, Epoch, CURVES) if path.exists() else []
