"""What a task is to the stages: it says what one batch means, and nothing about loops, files or devices."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from toolkit.blocks.features import Feature
from toolkit.data.examples import ExampleSource
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.models.base import Model


class Examples(NamedTuple):
    """Examples with the size of the batches they are taken in."""

    source: ExampleSource[Any]
    batch_size: int


class Lines(NamedTuple):
    """Curves to be drawn.

    Attributes:
        values: name to x and y, of equal length; where either is not a number there is a gap.
        xlabel: quantity and unit.
        ylabel: quantity and unit.
        dots: whether they are single points.
    """

    values: dict[str, tuple[Tensor, Tensor]]
    xlabel: str
    ylabel: str
    dots: bool = False


class Cells(NamedTuple):
    """Numbers to be drawn, the larger the brighter.

    Attributes:
        values: (rows, columns).
        xlabel: what the columns are.
        ylabel: what the rows are.
    """

    values: Tensor
    xlabel: str
    ylabel: str


Seen = Lines | Cells | str
# What to do about a prediction that is not as it was stored.
AGAIN = "run the stage `infer` with --force; a damaged file is to be removed before"


@contextmanager
def trying_out() -> Iterator[None]:
    """Within it a model is called for the first time: that its parts do not fit one another is told in a line.

    Raises:
        UserError: they do not.
    """
    try:
        yield
    except (RuntimeError, ValueError, IndexError) as error:
        raise UserError(f"the model cannot be put together: {' '.join(str(error).split())}") from error


@contextmanager
def drawing(seed: int, device: torch.device) -> Iterator[None]:
    """Within it, what is drawn follows from the seed; afterwards all goes on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


class Task(ABC):
    """One kind of experiment; built as ``Task(config)`` from the objects of its own config class.

    Attributes:
        Config: dataclass that a YAML of this task is read into; `model`, `optimizer`, `schedule`, `train`, `infer`, `score`
            and `data` are in it.
        contract: what the model maps to what, for a summary.
        model: the network, on no device yet.
    """

    Config: ClassVar[type]
    contract: ClassVar[str]
    model: Model

    @abstractmethod
    def __init__(self, config: Any) -> None:
        """Take the built configuration, of the class `Config`.

        Raises:
            UserError: its parts do not fit one another.
        """

    @abstractmethod
    def training(self, data: Path) -> Examples:
        """Examples to train on; `data` is the folder that manifests are named below.

        Raises:
            UserError: a manifest is missing, or holds what the configuration does not fit.
        """

    @abstractmethod
    def validation(self, data: Path) -> Examples:
        """Examples to validate on, the same each epoch.

        Raises:
            UserError: as of `training`.
        """

    def features(self) -> list[Feature]:
        """What is computed of each recording once and stored, in the stage `features`."""
        return []

    def made_with(self) -> list[str]:
        """What else than the configuration training depends on, as hashes or names: another experiment's weights, say."""
        return []

    def prepare_training(self, data: Path) -> None:  # noqa: B027
        """Called once before the first step, for what is set from the training data below the folder `data`."""

    def start_training(self, device: torch.device) -> None:  # noqa: B027
        """Called whenever training begins or goes on."""

    def training_state(self) -> dict[str, Any]:
        """What of the training beside the model's weights changes with every step; it stands in each checkpoint."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Go on from what `training_state` gave."""

    def start_validation(self, model: nn.Module) -> None:  # noqa: B027
        """Called before the weights (or an average of them) are validated."""

    def keep(self, exp: Path) -> None:  # noqa: B027
        """Called when training has ended: writes what predictions need besides weights and configuration."""

    def start_epoch(self, epoch: int) -> None:  # noqa: B027
        """Called before each epoch (counted from 0), for whatever follows a schedule."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Loss per example (B,), or of the batch, with gradient."""

    def penalty(self) -> Tensor | None:
        """What is added to the loss of every batch, whatever is in it."""
        return None

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimizer is built over: the model's own."""
        return self.model.parameter_groups()

    @abstractmethod
    def validate(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Values of a batch by name; `loss` is among them.

        Of values per example (B,) the mean over the split is taken; those with more axes (B, …) are put together for
        `measure`.
        """

    def measure(self, collected: dict[str, Tensor]) -> dict[str, float]:
        """What is measured of a whole split from the values (N, …) that `validate` gave of its batches."""
        return {}

    def listen(self, model: nn.Module, device: torch.device) -> tuple[dict[str, Tensor], int]:
        """What may be heard while training goes on: waveforms (C, T) by name, and their rate in Hz."""
        return {}, 0

    def look(self, model: nn.Module, source: ExampleSource[Any], device: torch.device) -> dict[str, Seen]:
        """What may be seen while training goes on, of validation examples: pictures and texts by name."""
        return {}

    @abstractmethod
    def inputs(self, manifest: Manifest, item: Item) -> Any:
        """What a prediction is made from: a tensor, or a named tuple of tensors.

        Raises:
            UserError: it cannot be read.
        """

    @abstractmethod
    def predict(self, model: nn.Module, inputs: Any, sample_rate: int) -> dict[str, Tensor]:
        """What the model makes of the `inputs` of one recording of that rate, by name."""

    @abstractmethod
    def store(self, folder: Path, item: Item, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Store what `predict` gave: files below `folder`; what is returned stands in the item's line of `index.jsonl`."""

    def files_of(self, stored: dict[str, Any]) -> list[str]:
        """The files below the folder that `store` wrote, given what it returned."""
        return []

    @abstractmethod
    def score(self, manifest: Manifest, item: Item, stored: dict[str, Any], folder: Path) -> dict[str, Any]:
        """One item's line of `scores/<split>.jsonl`, given what `store` returned, and the folder."""

    @abstractmethod
    def summarise(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """What the lines come to: `metrics`, figures by their ids; perhaps more."""

    def compare(self, manifest: Manifest, stored: list[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Figures by their ids that are measured of all predictions of a split at once, given its lines of `index.jsonl`."""
        return {}

    @abstractmethod
    def probe(self) -> tuple[Any, float]:
        """What the model reads of one recording, batch size 1, on the meta device, and how many seconds of audio that is."""

    @abstractmethod
    def check(self) -> None:
        """Hold the assembled model against its contract on the meta device, where nothing is computed.

        Raises:
            UserError: told in one line.
        """
