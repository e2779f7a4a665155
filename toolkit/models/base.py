"""What every separation model promises, whatever it is made of."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class SeparationModel(nn.Module, ABC):
    """Mixture to sources: (B, C, T) to (B, S, C, T), for any T of at least one sample.

    Attributes:
        sources: S, how many sources (or hypotheses) come out.
        audio_channels: C, channels of the audio it takes.
    """

    sources: int
    audio_channels: int

    @abstractmethod
    def forward(self, mixture: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Separate (B, C, T) into (B, S, C, T); a model with a scorer adds the logits (B, S) of its hypotheses."""
