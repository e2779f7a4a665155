"""The stage `train`: from a configuration and manifests to an experiment's folder."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from toolkit import files, log
from toolkit.config import fingerprint
from toolkit.data.manifest import Manifest
from toolkit.models.quantized import Quantized
from toolkit.tasks.base import Task
from toolkit.tasks.experiment import COMPRESSED, Experiment, load
from toolkit.train import checkpoint, distributed, stopping
from toolkit.train.loop import Trainer
from toolkit.train.reference_curve import ReferenceCurve

logger = log.get(__name__)


def train(config: Path, data: Path, exp: Path, device: str, overrides: list[str]) -> None:
    """Train what `config` with `overrides` describes, or go on where an earlier run stopped.

    Args:
        config: YAML file.
        data: folder of the manifests.
        exp: the experiment's folder; see README for what is in it afterwards.
        device: `auto`, `cpu`, `cuda`.
        overrides: words such as ``--train.epochs 3``.

    Raises:
        UserError: the configuration, the data or the device are not usable; the loss does not stay finite.
    """
    place = distributed.start(device)
    experiment = Experiment.read(config, overrides)
    shapes, _ = experiment.build("meta")
    shapes.check()
    task, built = experiment.build()
    learned_from = _data(data, experiment.tree["data"])
    reference = ReferenceCurve.of_config(config, overrides, learned_from["edition"])
    parameters = sum(p.numel() for p in task.model.parameters() if p.requires_grad)
    first = distributed.rank() == 0
    if first:
        logger.info("%s: %s parameters, on %s", exp, f"{parameters:,}", describe(place))
    trainer = Trainer(task, built, data, exp, place, _key(experiment, task, data)) if parameters else None
    if first:  # not before: what was trained here keeps its configuration if the new one is refused
        experiment.resolved.save(exp / "config.yaml")
        (exp / "run.json").unlink(missing_ok=True)  # of a training that came to its end, which this one has yet to come to
    if trainer is None:  # an oracle, the mixture itself, a forest
        task.prepare_training(data)
        checkpoint.save_weights(task.model, exp / "model.safetensors")
        trained = {"steps": 0, "epochs": 0, "train_seconds": 0.0}
    else:
        trainer.tracker.reference = reference
        trained = _fitted(trainer, data)
    if first:
        best = load(exp, torch.device("cpu"))[0].model
        if isinstance(best, Quantized):
            best.save_compressed(exp / COMPRESSED)
        task.keep(exp)
        run = {
            "recipe": "/".join(Path.cwd().parts[-2:]),
            "config": str(config),
            "overrides": overrides,
            "command": shlex.join(["toolkit", *sys.argv[1:]]),
            "commit": commit(),
            "config_hash": experiment.fingerprint,
            "seed": built.train.seed,
            "device": describe(place),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "parameters": parameters,
            "model_mb": round(best.size_mb(), 3),
            **trained,
            **learned_from,
            "weights": files.sha256(exp / "model.safetensors"),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        files.write_json(exp / "run.json", run)


def _fitted(trainer: Trainer, data: Path) -> dict[str, Any]:
    """Train to the end; how long that was."""
    if trainer.step == 0 and trainer.options.init is None:
        trainer.task.prepare_training(data)
    trainer.task.start_training(trainer.device)
    with stopping.listening():
        trainer.fit()
    return {"steps": trainer.step, "epochs": trainer.epoch, "train_seconds": round(trainer.seconds, 1)}


def _key(experiment: Experiment, task: Task, data: Path) -> str:
    """Fingerprints of all that a checkpoint depends on: of the configuration, then of the training data."""
    made_with = task.made_with()
    key = fingerprint([experiment.training_key, *made_with]) if made_with else experiment.training_key
    name = experiment.tree["data"]["train"]
    return f"{key}{checkpoint.DATA}{examples_of(Manifest.open(data / f'{name}.jsonl'))}"


def examples_of(manifest: Manifest) -> str:
    """A fingerprint of what is learned from; of tables, whose lines tell files only, as their corpus has it."""
    told = manifest[0].sample_rate > 0
    return fingerprint([manifest.content(), None if told else manifest.header.get("fingerprint")])


def describe(device: torch.device) -> str:
    """`cuda (NVIDIA H200)`, `cpu (x86_64, 2 threads)`."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"


def commit() -> str:
    """The repository's commit, with a plus sign where files differ from it; "unknown" outside a repository."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _data(data: Path, section: dict[str, Any]) -> dict[str, Any]:
    names = {split: section[split] for split in ("train", "valid", "test")}
    header = Manifest.open(data / f"{names['train']}.jsonl").header
    return {"data": names, "edition": header.get("edition", "unknown")}
