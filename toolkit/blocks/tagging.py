"""The slots of tagging: what a block promises to whoever plugs it in.

A tagger is Frontend → Backbone → Pooling → Head, or, where every frame (instance) is tagged before all are pooled, Frontend →
Backbone → Head → Pooling.  Letters of the shapes: B batch, T samples, D features of a stored frame, F bins, C channels,
L frames, K tags.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class Frontend(nn.Module, ABC):
    """What is read of a recording to a spectrogram of it, or to embeddings in the shape of one.

    Attributes:
        bins: F, rows of the spectrogram.
    """

    bins: int

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Map waveforms (B, T) or stored features (B, L, D) to (B, 1, F, L)."""


class Backbone(nn.Module, ABC):
    """A spectrogram to channels over time; built as ``Block(bins, **options)``.

    Attributes:
        channels: C, what comes out for each frame.
    """

    channels: int

    @abstractmethod
    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, L'); L' may be shorter than L."""


class Pooling(nn.Module, ABC):
    """Values over time to one vector; built as ``Block(channels, values, **options)``.

    Where frames are pooled before they are tagged, the values are the features themselves.

    Args:
        channels: of the features.
        values: what is pooled of each frame.

    Attributes:
        statistics: how many numbers come out for each value.
        channels_out: what comes out in all: `statistics` times `values`.
    """

    statistics: ClassVar[int] = 1

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.channels_out = self.statistics * values

    @abstractmethod
    def forward(self, values: Tensor, features: Tensor) -> Tensor:
        """Pool values (B, values, L) to (B, channels_out); weights may come from the features (B, channels, L)."""


class WeightedPooling(Pooling):
    """Pooling that is a weighted mean over the frames, so that what it listens to can be drawn."""

    @abstractmethod
    def weights(self, values: Tensor, features: Tensor) -> Tensor:
        """Weights (B, values, L) or (B, 1, L) that add up to one over the frames."""

    def forward(self, values: Tensor, features: Tensor) -> Tensor:
        """The weighted mean (B, values)."""
        return (self.weights(values, features) * values).sum(-1)


class Head(nn.Module, ABC):
    """Features to the logits of tags; built as ``Block(channels, tags, **options)``."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels) to logits (N, K)."""
