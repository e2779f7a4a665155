"""The slots of separation: what a block promises to whoever plugs it in.

A masked separator is Encoder → Separator → Decoder (Luo & Mesgarani 2019, "Conv-TasNet", section II), a spectrogram separator
STFT → Masker → inverse STFT.  Letters of the shapes: B batch, C audio channels, T samples, N features of the encoder, F bins,
L frames, S sources.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from torch import Tensor, nn


def check_shape(tensor: Tensor, name: str, **axes: int | None) -> None:
    """Hold a tensor against a contract, e.g. ``check_shape(features, "features", batch=None, channels=64, frames=None)``.

    Args:
        tensor: what came in.
        name: what the caller calls it.
        axes: the axes in order, with the size each must have; None takes any size but zero.

    Raises:
        ValueError: naming the expected and the found shape.
    """
    sizes = tuple(tensor.shape)
    expected = tuple(axes.values())
    if len(sizes) != len(expected) or any(
        found == 0 if size is None else found != size for found, size in zip(sizes, expected, strict=True)
    ):
        contract = ", ".join(axis if size is None else f"{axis}={size}" for axis, size in axes.items())
        raise ValueError(f"{name}: expected shape ({contract}), found {sizes}")


class Encoder(nn.Module, ABC):
    """Waveform to features.

    Attributes:
        channels: N, features per frame.
        kernel_size: samples that one frame looks at.
        stride: samples between two frames.
        audio_channels: C, channels of the waveform.
    """

    channels: int
    kernel_size: int
    stride: int
    audio_channels: int

    @abstractmethod
    def forward(self, waveform: Tensor) -> Tensor:
        """Encode (B, C, T) as (B, N, L); every sample lies in at least one frame."""


class Separator(nn.Module, ABC):
    """Features to one mask per source; built as ``Block(channels, sources, **options)``.

    Attributes:
        receptive_field: frames of the input that a frame of the masks is computed from, norms aside; 0 for all there are.
    """

    receptive_field: int = 0

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


class Masker(nn.Module, ABC):
    """Magnitudes of the mixture to magnitudes of its sources; built as ``Block(bins, audio_channels, sources, **options)``."""

    @abstractmethod
    def forward(self, magnitudes: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Map the magnitudes (B, C, F, L) of a mixture to those of its sources, (B, S, C, F, L), none of them negative.

        A masker that also hears when each source plays gives a pair: the magnitudes and the logits (B, S, L).
        """

    def separate(self, magnitudes: Tensor) -> Tensor:
        """The magnitudes (B, S, C, F, L) that separation goes on with: those of `forward`, if not said otherwise."""
        output = self(magnitudes)
        return output[0] if isinstance(output, tuple) else output

    def fit_statistics(self, magnitudes: Iterable[Tensor]) -> None:
        """Set what is initialised from the training mixtures' magnitudes, (C, F, L) each; by default nothing is."""
