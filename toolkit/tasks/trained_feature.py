"""Features that are computed by an experiment of this collection, once it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from toolkit import config, files
from toolkit.blocks.features import Feature
from toolkit.log import UserError
from toolkit.tasks.base import Task

Kind = TypeVar("Kind", bound=Task)


class TrainedFeature(Feature):
    """A feature of a trained experiment, which is opened when it is first needed.

    Attributes:
        exp: folder of the experiment, or a pack of one.
    """

    def __init__(self, exp: str) -> None:
        self.exp = Path(exp)

    def made_with(self, *options: Any) -> str:
        """A fingerprint of the experiment's weights and of options.

        Raises:
            UserError: the experiment is not trained.
        """
        hashes = [files.sha256(self._present(file)) for file in ("config.yaml", "model.safetensors")]
        return config.fingerprint([*hashes, *options])

    def opened(self, kind: type[Kind], does: str) -> Kind:
        """The experiment's task, with its trained model, on the CPU.

        Args:
            kind: class that the task must be of.
            does: what models of such a task do, in a word.

        Raises:
            UserError: the experiment is not trained, or is of another task.
        """
        from toolkit.tasks.experiment import load_as

        self._present("config.yaml")
        return load_as(self.exp, kind, does)

    def _present(self, file: str) -> Path:
        path = self.exp / file
        if not path.is_file():
            raise UserError(
                f"{self.exp} is not trained: no such file: {path}. "
                f"Next: ./run.sh --config conf/{self.exp.name}.yaml --tag {self.exp.name}"
            )
        return path
