"""A tagger that this collection has trained, as a teacher of others."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from toolkit.log import UserError
from toolkit.tasks.trained_feature import TrainedFeature

if TYPE_CHECKING:
    from toolkit.tasks.tagging import Tagging


class TrainedTeacher(TrainedFeature):
    """What a trained tagger tells the tags of a clip from: one vector a clip.

    Its rate and how many numbers it gives are those of the experiment, which is opened when they are first asked for.

    Args:
        exp: folder of a trained experiment of the task tagging, or a pack of one, e.g. ``exp/teacher``.
    """

    frame_rate = None

    @cached_property
    def name(self) -> str:
        """``teacher/0123456789ab``: another one for other weights.

        Raises:
            UserError: the experiment is not trained.
        """
        return f"teacher/{self.made_with()}"

    @cached_property
    def sample_rate(self) -> int:  # type: ignore[override]
        """Hz of the waveforms that the experiment's own input is computed from.

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
        from toolkit.tasks.tagging import Tagging

        return self.opened(Tagging, "tags")
