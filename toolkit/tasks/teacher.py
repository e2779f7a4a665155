"""A tagger that this collection has trained, as a teacher of others."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from toolkit import config, files
from toolkit.blocks.features import Feature
from toolkit.log import UserError

if TYPE_CHECKING:
    from toolkit.tasks.tagging import Tagging


class TrainedTeacher(Feature):
    """What a trained tagger tells the tags of a clip from: one vector a clip.

    Its rate and how many numbers it gives are those of the experiment, which is opened when they are first asked for.

    Args:
        exp: folder of a trained experiment of the task tagging, or a pack of one, e.g. ``exp/teacher``.
    """

    frame_rate = None

    def __init__(self, exp: str) -> None:
        self.exp = Path(exp)

    @cached_property
    def name(self) -> str:
        """``teacher/0123456789ab``: another one for other weights.

        Raises:
            UserError: the experiment is not trained.
        """
        hashes = [files.sha256(self._present(file)) for file in ("config.yaml", "model.safetensors")]
        return f"teacher/{config.fingerprint(hashes)}"

    @cached_property
    def sample_rate(self) -> int:  # type: ignore[override]
        """Of the waveforms that the experiment's own input is computed from, Hz.

        Raises:
            UserError: the experiment is not trained, or reads features that nothing computes.
        """
        rate = self._task.config.data.input.sample_rate
        if not rate:
            raise UserError(
                f"{self.exp}: it reads {self._task.config.data.input.name}, which nothing computes from a recording. "
                "Next: give its data.input a `same_as`, or train it on a feature that is computed"
            )
        return rate

    def compute(self, waveforms: Tensor) -> Tensor:
        """Map (B, T) to (B, 1, C).

        Raises:
            UserError: the experiment is not trained, or is none of tagging.
        """
        feature, model = self._task.config.data.input, self._task.model.to(waveforms.device)
        with torch.no_grad():
            return model.embed(feature.compute(waveforms).float() * feature.scale)[:, None]

    @cached_property
    def _task(self) -> Tagging:
        from toolkit.tasks.experiment import load
        from toolkit.tasks.tagging import Tagging

        self._present("config.yaml")
        task, _ = load(self.exp, torch.device("cpu"))
        if not isinstance(task, Tagging):
            raise UserError(f"{self.exp}: expected an experiment of the task tagging, found {type(task).__name__}")
        return task

    def _present(self, file: str) -> Path:
        path = self.exp / file
        if not path.is_file():
            raise UserError(
                f"the teacher {self.exp} is not trained: no such file: {path}. "
                f"Next: ./run.sh --config conf/{self.exp.name}.yaml --tag {self.exp.name}"
            )
        return path
