"""Spectrogram separation: magnitudes of the sources are estimated from those of the mixture, its phase is kept or refined."""

from collections.abc import Callable

from torch import Tensor

from toolkit.blocks.slots import Masker
from toolkit.dsp.stft import STFT
from toolkit.models.base import SeparationModel


class SpectrogramSeparator(SeparationModel):
    """STFT, a masker that estimates each source's magnitudes, a filter that makes spectrograms of them, inverse STFT.

    Trained in the domain of magnitudes: `forward` and `target` are (B, S, C, F, L).

    Args:
        masker: magnitudes of the mixture to those of the sources, built as ``masker(bins, audio_channels, sources)``.
        sources: how many sources to separate.
        audio_channels: channels of the waveform.
        n_fft: samples of a frame.
        hop_length: samples between frames.
    """

    def __init__(
        self,
        masker: Callable[[int, int, int], Masker],
        sources: int = 4,
        audio_channels: int = 2,
        n_fft: int = 4096,
        hop_length: int = 1024,
    ) -> None:
        super().__init__()
        self.sources, self.audio_channels = sources, audio_channels
        self.stft = STFT(n_fft, hop_length)
        self.masker = masker(self.stft.bins, audio_channels, sources)

    def forward(self, mixture: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Magnitudes (B, S, C, F, L) of the sources of a mixture (B, C, T), and what else the masker gives."""
        return self.masker(self.stft(mixture).abs())

    def target(self, references: Tensor) -> Tensor:
        """Magnitudes (B, S, C, F, L) of the references (B, S, C, T)."""
        return self.stft(references).abs()

    def separate(self, mixture: Tensor) -> Tensor:
        """Separate (B, C, T) into (B, S, C, T)."""
        spectrum = self.stft(mixture)
        magnitudes = self.masker.separate(spectrum.abs())
        phase = (spectrum / spectrum.abs().clamp(min=1e-10))[:, None]
        return self.stft.inverse(magnitudes * phase, mixture.shape[-1])
