"""A trained model of hypotheses as its user sees it: numbers in, what may be true and how likely."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from toolkit.infer.use import Usable, Use
from toolkit.models.hypothesis_mlp import HypothesisModel
from toolkit.tasks.experiment import load_as
from toolkit.tasks.hypotheses import HypothesisLearning


class WeightedPoints(NamedTuple):
    """K hypotheses of each of N inputs.

    Attributes:
        points: (N, K, D).
        weights: (N, K), adding up to 1.
    """

    points: Tensor
    weights: Tensor


class TrainedHypotheses(Usable):
    """What `toolkit.load` gives of a model that makes hypotheses."""

    def __init__(self, path: Path | str) -> None:
        """Open an experiment's folder or a pack; nothing in it is executed or unpickled.

        Raises:
            UserError: there is no such trained model in it, or its configuration names what is not the toolkit's.
        """
        self.task = task = load_as(Path(path), HypothesisLearning, "makes hypotheses")
        self.model: HypothesisModel = task.model

    @property
    def use(self) -> Use:
        """What a model card says of it."""
        return Use(
            f"{self.model.hypotheses} hypotheses of {self.model.outputs} numbers each, and their weights",
            f"{self.model.inputs} number from 0 to 1",
            "",
            "points, weights = model.hypothesize([0.1, 0.9])  # (inputs, hypotheses, numbers), (inputs, hypotheses)",
        )

    @torch.inference_mode()
    def hypothesize(self, inputs: Sequence[float] | Tensor | np.ndarray) -> WeightedPoints:
        """What may be true given each of some inputs.

        Args:
            inputs: (N,) or (N, 1).

        Raises:
            ValueError: they have another shape.
        """
        x = torch.as_tensor(inputs, dtype=torch.float32, device=self.device)
        x = x[:, None] if x.ndim == 1 else x
        if x.ndim != 2 or x.shape[1] != self.model.inputs:
            raise ValueError(f"inputs: expected shape (N,) or (N, {self.model.inputs}), found {tuple(x.shape)}")
        found = self.model(x)
        return WeightedPoints(found.points.cpu(), found.weights().cpu())
