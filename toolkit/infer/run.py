"""The stage `infer`: every recording of a split through the trained model, predictions stored."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from toolkit import config, files, log, progress
from toolkit.data import records
from toolkit.data.examples import to_device
from toolkit.data.manifest import Manifest, gone
from toolkit.launch.parts import WHOLE, Part, one_at_a_time
from toolkit.log import UserError
from toolkit.tasks.base import Task
from toolkit.tasks.experiment import load
from toolkit.train import distributed

SETTINGS = ("task", "data", "model", "infer")  # sections that predictions follow from

logger = log.get(__name__)


def infer(exp: Path, data: Path, split: str, device: str, part: Part = WHOLE) -> None:
    """Predict every item of a split; items that an earlier run has done with the same weights and settings are kept.

    Args:
        exp: a trained experiment.
        data: folder of the manifests.
        split: `train`, `valid` or `test`, as the configuration names its manifests.
        device: `auto`, `cpu`, `cuda`.
        part: which items are this process's; what they add to the index is put there by one who takes all of them.

    Raises:
        UserError: nothing is trained yet, a recording has gone since `prepare`, or no item of the split could be read.
    """
    place = distributed.start(device)
    path = exp / "model.safetensors"
    weights = files.sha256(path) if path.is_file() else ""  # before they are loaded: a training may be writing better ones
    task, built = load(exp, place)
    manifest = Manifest.open(data / f"{getattr(built.data, split)}.jsonl")
    folder = exp / "predictions" / split
    with one_at_a_time(exp / "predictions" / f".{split}.lock"):
        _forget_others(folder, {"weights": weights, "settings": _settings(exp, manifest)})
    index = folder / ("index.jsonl" if part.is_whole else f"index-{part}.jsonl")
    done = _done(task, folder)
    skipped = 0
    for number, item in enumerate(progress.track(manifest, f"predictions of {split}")):
        if item.id in done or not part.takes(number):
            continue
        try:
            inputs = task.inputs(manifest, item)
        except UserError as error:
            for path in (manifest.path_of(item, role) for role in item.audio):
                if not path.exists():
                    raise gone(path) from error
            skipped += 1
            logger.warning("skipped %s: %s", item.id, error)
            continue
        began = time.monotonic()
        with torch.inference_mode():
            predictions = task.predict(task.model, _on(place, inputs), item.sample_rate)
        seconds = time.monotonic() - began
        files.append_jsonl(index, {"id": item.id, **task.store(folder, item, predictions), "seconds": round(seconds, 4)})
    if part.is_whole:
        _put_together(folder, manifest)
    if skipped:
        logger.warning("%d of %d items of %s were skipped, named above", skipped, len(manifest), split)
    if skipped == len(manifest):
        raise UserError(f"{manifest.path}: none of its {len(manifest)} items could be read. Next: see {exp}/logs/infer.log")


def _on(device: torch.device, inputs: Any) -> Any:
    return inputs.to(device) if isinstance(inputs, torch.Tensor) else to_device(inputs, device)


def _done(task: Task, folder: Path) -> set[str]:
    """The items that stand in the index and whose files are there."""
    stored = [row for path in folder.glob("index*.jsonl") for row in records.predictions(folder, path.name).values()]
    return {row["id"] for row in stored if all((folder / name).is_file() for name in task.files_of(row))}


def _put_together(folder: Path, manifest: Manifest) -> None:
    """Lines that parts of the work have written go to the index, in the order of the manifest."""
    parts = sorted(folder.glob("index-*.jsonl"))
    if not parts:
        return
    paths = [path for path in (folder / "index.jsonl", *parts) if path.exists()]
    rows = {name: row for path in paths for name, row in records.predictions(folder, path.name).items()}
    lines = [json.dumps(rows[item.id], ensure_ascii=False) + "\n" for item in manifest if item.id in rows]
    files.write_text(folder / "index.jsonl", "".join(lines))
    for path in parts:
        path.unlink()


def _settings(exp: Path, manifest: Manifest) -> str:
    """A fingerprint of what predictions depend on besides the weights."""
    tree = config.read(exp / "config.yaml")
    return config.fingerprint([*(tree.get(name) for name in SETTINGS), manifest.header.get("fingerprint")])


def _forget_others(folder: Path, made_by: records.MadeBy) -> None:
    """Drop predictions that were made otherwise; their mark first, so that a half of them never counts."""
    mark = folder / "made_by.json"
    if mark.exists() and records.made_by(folder) == made_by:
        return
    mark.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    files.write_json(mark, made_by)
