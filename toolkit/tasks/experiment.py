"""An experiment: a configuration resolved for its task, and the model with trained weights that came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch

from toolkit import config, files
from toolkit.log import UserError
from toolkit.models.quantized import Quantized
from toolkit.tasks import Task, find

COMPRESSED = "model.compressed.safetensors"  # of a quantized model, which a pack has in place of its weights
Kind = TypeVar("Kind", bound=Task)

PROGRESS_ONLY = ("epochs", "patience", "max_minutes", "checkpoint_every")  # a longer run goes on from a shorter one's end
ARRANGEMENT = ("channels_last", "checkpoint_activations")  # where and when it is computed, not what


class Experiment:
    """A resolved configuration with its task class.

    Attributes:
        tree: the resolved values.
        task: class of the task.
    """

    def __init__(self, tree: config.Tree, origin: str = "config") -> None:
        """Resolve `tree`.

        Raises:
            UserError: the configuration does not fit its task.
        """
        self.task: type[Task] = find(tree.get("task", "separation"))
        self.resolved: config.Resolved[Any] = config.Resolved(self.task.Config, tree, origin)
        self.tree = self.resolved.tree

    @classmethod
    def read(cls, path: Path | str, overrides: list[str] | None = None) -> Experiment:
        """Read a YAML file (`conf/paper.yaml`, or `exp/<tag>/config.yaml`) and lay overrides over it."""
        tree = config.override(config.read(path), config.parse_overrides(overrides or []))
        return cls(tree, str(path))

    def build(self, device: str = "cpu") -> tuple[Task, Any]:
        """Build the task with its model, weights drawn from the configuration's seed, and the built configuration.

        Args:
            device: where parameters are made; `meta` for shapes only.

        Raises:
            UserError: the seed is negative or too large, or a class refuses its options.
        """
        seed = self.tree["train"]["seed"]
        if not 0 <= seed < 2**63:
            raise UserError(f"train.seed: expected 0 or more, of 63 bits, found {seed}")
        torch.manual_seed(seed)
        with torch.device(device):
            built = self.resolved.build()
            return self.task(built), built

    @property
    def fingerprint(self) -> str:
        """The same for runs that differ only in their seed."""
        train = {key: value for key, value in self.tree["train"].items() if key not in ("seed", *ARRANGEMENT)}
        return config.fingerprint({**self.tree, "data": self._data, "train": train})

    @property
    def training_key(self) -> str:
        """The same for runs of which one may go on from the other's checkpoint."""
        train = {key: value for key, value in self.tree["train"].items() if key not in PROGRESS_ONLY + ARRANGEMENT}
        kept = {key: value for key, value in self.tree.items() if key not in ("infer", "score")}
        return config.fingerprint({**kept, "data": self._data, "train": train})

    @property
    def _data(self) -> config.Tree:
        """The section `data` without the usual order of examples, which older runs do not name."""
        return {key: value for key, value in self.tree["data"].items() if (key, value) != ("shuffle", "examples")}


def load_as(exp: Path, kind: type[Kind], does: str) -> Kind:
    """The task of a trained experiment or of a pack of one, as `load` gives it on the CPU, where it must be of one kind.

    Args:
        exp: its folder.
        kind: class that the task must be of.
        does: what models of such a task do, in a word: `separates`.

    Raises:
        UserError: as of `load`, or the task is another.
    """
    task, _ = load(exp, torch.device("cpu"))
    if not isinstance(task, kind):
        raise UserError(f"{exp}: expected a model that {does}, found one of the task {type(task).__name__}")
    return task


def config_of(exp: Path) -> Path:
    """The configuration that a trained experiment keeps.

    Raises:
        UserError: the experiment has not been trained.
    """
    path = exp / "config.yaml"
    if not path.is_file():
        raise UserError(f"{exp} is no trained experiment (no config.yaml). Next: run the stage `train`")
    return path


def load(exp: Path, device: torch.device) -> tuple[Task, Any]:
    """The task of a trained experiment or of a pack of one, its best weights loaded and in evaluation mode.

    Whoever made the folder, none of its content is executed: the configuration may name classes of the toolkit alone.

    Raises:
        UserError: the experiment has not been trained, or its configuration names something foreign.
    """
    path = config_of(exp)
    tree = config.read(path)
    find(tree.get("task", "separation"))  # imports the classes that a configuration of this task may name
    config.refuse_foreign(tree, str(path))
    task, built = Experiment(tree, str(path)).build()
    weights, compressed = exp / "model.safetensors", exp / COMPRESSED
    if not weights.is_file() and compressed.is_file() and isinstance(task.model, Quantized):
        weights = compressed
    if not weights.is_file():
        raise UserError(f"no weights at {weights}. Next: run the stage `train`, or fetch the pack again")
    try:
        if weights == compressed and isinstance(task.model, Quantized):
            task.model.load_compressed(compressed)
        else:
            task.model.load_state_dict(files.read_tensors(weights, "run the stage `train`, or fetch the pack again"))
    except RuntimeError as error:
        raise UserError(f"{weights} does not fit {exp}/config.yaml: {str(error).splitlines()[-1].strip()}") from error
    task.model.to(device).eval()
    return task, built
