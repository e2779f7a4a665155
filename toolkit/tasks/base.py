"""What a task is to the stages: it says what one batch means, and nothing about loops, files or devices."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from toolkit import audio
from toolkit.data.examples import Batch, ExampleSource
from toolkit.data.manifest import Item, Manifest


class Examples(NamedTuple):
    """Examples with the size of the batches they are taken in."""

    source: ExampleSource
    batch_size: int


class Task(ABC):
    """One kind of experiment; built as ``Task(config)`` from the objects of its own config class.

    Attributes:
        Config: dataclass that a YAML of this task is read into; `model`, `optimizer`, `schedule`, `train`, `infer`, `score`
            and `data` are in it.
        model: the network, on no device yet.
    """

    Config: ClassVar[type]
    model: nn.Module

    @abstractmethod
    def __init__(self, config: Any) -> None:
        """Take the built configuration, of the class `Config`."""

    @abstractmethod
    def training(self, data: Path) -> Examples:
        """Examples to train on; `data` is the folder that manifests are named below."""

    @abstractmethod
    def validation(self, data: Path) -> Examples:
        """Examples to validate on, the same each epoch."""

    def prepare_training(self, data: Path) -> None:  # noqa: B027
        """Called once before the first step, for what is initialised from the training data below the folder `data`."""

    def start_epoch(self, epoch: int) -> None:  # noqa: B027
        """Called before each epoch (counted from 0), for whatever follows a schedule."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss per example (B,), with gradient."""

    def penalty(self) -> Tensor | None:
        """What is added to the loss of every batch, whatever is in it."""
        return None

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimizer is built over."""
        return [{"params": list(self.model.parameters())}]

    @abstractmethod
    def validate(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Values per example (B,), by name; `loss` is among them."""

    def inputs(self, manifest: Manifest, item: Item) -> Tensor:
        """What a prediction is made from: the mixture (C, T).

        Raises:
            UserError: it cannot be read.
        """
        return audio.read(manifest.path_of(item, "mixture"))

    @abstractmethod
    def predict(self, model: nn.Module, mixture: Tensor, sample_rate: int) -> dict[str, Tensor]:
        """What the model makes of the `inputs` (C, T) of one recording: role to waveform (C, T), at the recording's rate."""

    @abstractmethod
    def score(self, manifest: Manifest, item: Item, predictions: dict[str, Path]) -> dict[str, Any]:
        """One item's line of `scores/<split>.jsonl`."""

    @abstractmethod
    def check(self) -> None:
        """Hold the assembled model against its contract on the meta device, where nothing is computed.

        Raises:
            UserError: told in one line.
        """
