"""Options of the task `hypotheses`: its data, model, loss, scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from toolkit.log import suggestion
from toolkit.losses.base import WeightedPairs
from toolkit.models.hypothesis_mlp import HypothesisModel
from toolkit.tasks.options import Training

METRICS = (
    "earth_mover",
    "distortion",
    "k_means",
    "variance",
    "weight_error",
    "idle_weight",
    "critical_temperature",
)


@dataclass
class HypothesisData:
    """Which samples, and how batches are made of them.

    Args:
        train: manifest to train on, named below the data folder, e.g. ``quadrants/train``.
        valid: manifest that chooses the best weights; the same samples each epoch.
        test: manifest that results are reported on, an item for each input.
        batch_size: samples in a batch.
        redrawn: whether each epoch of training has new samples.
        draws: how many times the samples of the training manifest are drawn in an epoch.
        shown: inputs whose hypotheses are followed while training goes on, and drawn in the report.
        workers: processes that load; with 0 a thread does.

    Raises:
        ValueError: nothing is drawn, or nothing shown.
    """

    train: str
    valid: str
    test: str
    batch_size: int
    redrawn: bool = True
    draws: int = 1
    shown: list[float] = field(default_factory=lambda: [0.1, 0.6, 0.9])
    workers: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise ValueError(f"data.draws: expected at least 1, found {self.draws}")
        if not self.shown:
            raise ValueError("data.shown: expected at least one input, such as 0.5, found none")


@dataclass
class HypothesisScore:
    """What is measured of each input.

    Args:
        metrics: `earth_mover`: earth mover's distance of the weighted hypotheses from the samples. `distortion`: mean squared
            distance of a sample from the nearest hypothesis. `k_means`: what as many centres found by k-means among the
            samples come to. `variance`: what their mean comes to. `weight_error`: half the sum of the differences between
            the hypotheses' weights and the shares of the samples that are nearest to them. `idle_weight`: weight of
            hypotheses that no sample is nearest to. `critical_temperature`: below which hypotheses in the samples' mean part.

    Raises:
        ValueError: there is no such metric.
    """

    metrics: list[str] = field(default_factory=lambda: list(METRICS))

    def __post_init__(self) -> None:
        for name in self.metrics:
            if name not in METRICS:
                raise ValueError(f"score.metrics: no metric is called {name!r}{suggestion(name, METRICS)}")


@dataclass(kw_only=True)
class HypothesisConfig(Training):
    """Everything an experiment of this task is made of.

    Args:
        data: samples and batches.
        model: numbers to hypotheses.
        loss: of hypotheses and what is true.
        score: what is measured.
        task: this task's name.
    """

    data: HypothesisData
    model: HypothesisModel
    loss: WeightedPairs
    score: HypothesisScore = field(default_factory=HypothesisScore)
    task: Literal["hypotheses"] = "hypotheses"
