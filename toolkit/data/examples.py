"""What a model learns from: examples, batches of them, and where they come from."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Example(NamedTuple):
    """One mixture (channels, time), its references (sources, channels, time), and the id of what it was made from."""

    mixture: Tensor
    references: Tensor
    id: str


class Batch(NamedTuple):
    """Several examples, the shorter ones filled up with zeros.

    Attributes:
        mixture: (batch, channels, time).
        references: (batch, sources, channels, time).
        lengths: (batch,), samples of each example that are no filling.
        ids: of the examples.
    """

    mixture: Tensor
    references: Tensor
    lengths: Tensor
    ids: list[str]


class ExampleSource(ABC):
    """Where examples come from.

    An example is a pure function of (seed, epoch, index): training then resumes bit by bit and does not depend on how many
    processes load.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Examples per epoch."""

    @abstractmethod
    def example(self, epoch: int, index: int) -> Example:
        """The example of this epoch and index.

        Raises:
            UserError: a file cannot be read or does not fit its manifest.
        """

    def batch(self, epoch: int, indices: Sequence[int]) -> Batch:
        """Several examples of one epoch; a source that can read straight into the batch overrides this."""
        return collate([self.example(epoch, index) for index in indices])


def collate(examples: Sequence[Example], frames: int = 0) -> Batch:
    """Put examples into one batch, as long as the longest of them, or `frames` if that is more."""
    lengths = [example.mixture.shape[-1] for example in examples]
    longest = max(*lengths, frames) if lengths else frames
    return Batch(
        torch.stack([F.pad(e.mixture, (0, longest - e.mixture.shape[-1])) for e in examples]),
        torch.stack([F.pad(e.references, (0, longest - e.references.shape[-1])) for e in examples]),
        torch.tensor(lengths),
        [e.id for e in examples],
    )


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on `device`; from pinned memory the copy runs beside what the device computes."""
    mixture, references, lengths = (part.to(device, non_blocking=part.is_pinned()) for part in batch[:3])
    return Batch(mixture, references, lengths, batch.ids)
