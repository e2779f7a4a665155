"""The slots of masked separation: what a block promises to whoever plugs it in.

A model is Encoder → Separator → Decoder (Luo & Mesgarani 2019, "Conv-TasNet", section II).  Letters of the shapes:
B batch, C audio channels, T samples, N features of the encoder, L frames, S sources.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Waveform to features.

    Attributes:
        channels: N, features per frame.
        kernel_size: samples that one frame looks at.
        stride: samples between two frames.
    """

    channels: int
    kernel_size: int
    stride: int

    @abstractmethod
    def forward(self, waveform: Tensor) -> Tensor:
        """Encode (B, C, T) as (B, N, L); every sample lies in at least one frame."""


class Separator(nn.Module, ABC):
    """Features to one mask per source; built as ``Block(channels, sources, **options)``."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, N, L) to masks (B, S, N, L)."""


class Decoder(nn.Module, ABC):
    """Masked features to waveforms; built as ``Block(encoder, **options)``."""

    @abstractmethod
    def forward(self, features: Tensor, length: int) -> Tensor:
        """Decode (B, S, N, L) as (B, S, C, length); `length` in samples."""


class Scorer(nn.Module, ABC):
    """How probable each source (hypothesis) is; built as ``Block(channels, **options)``."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Map the masks or masked features (B, S, N, L) to logits (B, S)."""
