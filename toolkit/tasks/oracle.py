"""Oracle separation: what masks and filters could do at best, if they knew the sources they are made to estimate."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn

from toolkit.audio import Recording
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.models.oracle import Oracle
from toolkit.tasks.base import Examples
from toolkit.tasks.options import InferOptions, ScoreOptions, TrainOptions
from toolkit.tasks.separation import Separation, SeparationData, read_references


@dataclass
class OracleConfig:
    """Everything an experiment of this task is made of.

    Args:
        data: recordings; of the training split no more than the manifest's header is read.
        model: the oracle.
        train: its seed is all that is looked at.
        infer: nothing of it is looked at: a recording is separated at once.
        score: what is measured.
        task: this task's name.
    """

    data: SeparationData
    model: Oracle
    train: TrainOptions = field(default_factory=TrainOptions)
    infer: InferOptions = field(default_factory=InferOptions)
    score: ScoreOptions = field(default_factory=ScoreOptions)
    task: Literal["oracle"] = "oracle"


class OracleSeparation(Separation):
    """Separation by an oracle: predictions are made from the references too, and there is nothing to train."""

    Config = OracleConfig

    def training(self, data: Path) -> Examples:
        """There are none.

        Raises:
            UserError: always.
        """
        raise UserError("an oracle is not trained. Next: run the stage `infer`")

    def inputs(self, manifest: Manifest, item: Item) -> Tensor:
        """The mixture with its sources below it, ((1 + S)·C, T)."""
        references = read_references(manifest, item, self.config.data.groups)
        return torch.cat([super().inputs(manifest, item), *references])

    def predict(self, model: nn.Module, inputs: Tensor, sample_rate: int) -> dict[str, Tensor]:
        """The sources, by their names, of what `inputs` gives."""
        return dict(zip(self.sources, cast(Oracle, model)(inputs[None])[0], strict=True))

    def stream(self, model: nn.Module, recording: Recording, options: InferOptions, jobs: int = 1) -> Iterator[Tensor]:
        """Not possible.

        Raises:
            UserError: always.
        """
        raise UserError("an oracle needs the sources that it is asked for. Next: give --model a trained experiment")

    def check(self) -> None:
        """See that the oracle has as many sources as are named."""
        self._check_sources()
