"""What a model learns from: examples, batches of them, and where they come from."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor


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


AnyBatch = TypeVar("AnyBatch", bound=tuple[Any, ...])  # a NamedTuple of tensors, all with the batch as first axis, and `ids`


class ExampleSource(ABC, Generic[AnyBatch]):
    """Where examples come from.

    An example is a pure function of (seed, epoch, index): training then resumes bit by bit and does not depend on how many
    processes load.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Examples per epoch."""

    def shards(self) -> np.ndarray | None:
        """The number of the file that each example stands in, (N,), where training reads one file after another."""
        return None

    @abstractmethod
    def batch(self, epoch: int, indices: Sequence[int], memory: np.ndarray | None = None) -> AnyBatch:
        """Several examples of one epoch.

        Args:
            epoch: from 0.
            indices: of the examples.
            memory: flat float32 array to make the batch's first tensors in if it is large enough, see `allocate`.

        Raises:
            UserError: a file cannot be read or does not fit its manifest.
        """


class MixtureSource(ExampleSource[Batch]):
    """Examples of separation."""

    @abstractmethod
    def example(self, epoch: int, index: int) -> Example:
        """The example of this epoch and index.

        Raises:
            UserError: a file cannot be read or does not fit its manifest.
        """

    def batch(self, epoch: int, indices: Sequence[int], memory: np.ndarray | None = None) -> Batch:
        """Several examples of one epoch; a source that can read straight into the batch overrides this."""
        return collate([self.example(epoch, index) for index in indices], memory=memory)


class Mixing(MixtureSource):
    """Examples made anew every epoch, in place of the stored ones.

    A configuration names a subclass and its options; the task builds it as ``class(data, static, seed, **options)``: the folder
    of the manifests, the stored examples (a `SegmentDataset`), and the seed of all that is drawn.

    Attributes:
        sources: names of the references, in order.
    """

    sources: list[str]


def collate(examples: Sequence[Example], frames: int = 0, memory: np.ndarray | None = None) -> Batch:
    """Put examples into one batch, as many samples long as the longest of them, or `frames` if that is more; see `Batch`."""
    lengths = [example.mixture.shape[-1] for example in examples]
    longest = max(*lengths, frames)
    shapes = [(len(examples), *part.shape[:-1], longest) for part in examples[0][:2]]
    mixture, references = allocate(shapes, memory)
    for row, (example, length) in enumerate(zip(examples, lengths, strict=True)):
        mixture[row, ..., :length], references[row, ..., :length] = example.mixture, example.references
        mixture[row, ..., length:], references[row, ..., length:] = 0, 0
    return Batch(torch.from_numpy(mixture), torch.from_numpy(references), torch.tensor(lengths), [e.id for e in examples])


def allocate(shapes: Sequence[tuple[int, ...]], memory: np.ndarray | None) -> list[np.ndarray]:
    """Float32 arrays of these shapes, one after another in `memory` if they fit there, else in new memory."""
    sizes = [math.prod(shape) for shape in shapes]
    if memory is None or len(memory) < sum(sizes):
        memory = np.empty(sum(sizes), np.float32)
    parts = np.split(memory[: sum(sizes)], np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def to_device(batch: AnyBatch, device: torch.device) -> AnyBatch:
    """The batch on `device`; from pinned memory the copy runs beside what the device computes."""
    return with_tensors(batch, lambda tensor: tensor.to(device, non_blocking=tensor.is_pinned()))


def with_tensors(batch: AnyBatch, change: Callable[[Tensor], Tensor]) -> AnyBatch:
    """The batch with each of its tensors changed."""
    return type(batch)(*(change(part) if isinstance(part, Tensor) else part for part in batch))
