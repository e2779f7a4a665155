"""Spectrogram separation: magnitudes of the sources are estimated from those of the mixture, whose phase is kept or refined."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.slots import Masker
from toolkit.dsp.stft import STFT
from toolkit.dsp.wiener import wiener
from toolkit.models.base import SeparationModel


class SpectrogramSeparator(SeparationModel):
    """STFT, a masker that estimates each source's magnitudes, a Wiener filter, inverse STFT.

    Trained in the domain of magnitudes: `forward` and `target` are (B, S, C, F, L).  With `residual` the masker estimates all
    sources but the last, which is what they leave of the mixture; then the sources add up to the mixture.

    Args:
        masker: magnitudes of the mixture to those of the sources, built as ``masker(bins, audio_channels, sources)``.
        sources: how many sources to separate.
        audio_channels: channels of the waveform.
        n_fft: samples of a frame.
        hop_length: samples between frames.
        wiener_iterations: of the multichannel Wiener filter; 0 takes the magnitudes with the mixture's phase.
        wiener_window: frames that are filtered on their own; null for all at once.
        softmask: the filter starts from each source's share in the sum of magnitudes instead of from the magnitudes.
        residual: the last source is the mixture less the others.

    Raises:
        ValueError: no source would be left to the masker, or one source would be filtered against nothing.
    """

    def __init__(
        self,
        masker: Callable[[int, int, int], Masker],
        sources: int = 4,
        audio_channels: int = 2,
        n_fft: int = 4096,
        hop_length: int = 1024,
        wiener_iterations: int = 1,
        wiener_window: int | None = 300,
        softmask: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if sources == 1 and residual:
            raise ValueError("residual: expected two sources or more, the last being what the others leave, found 1")
        if sources == 1 and wiener_iterations:
            raise ValueError("wiener_iterations: expected 0 with one source, as no other competes with it")
        self.sources, self.audio_channels = sources, audio_channels
        self.sums_to_mixture = self.residual = residual
        self.wiener_iterations, self.wiener_window, self.softmask = wiener_iterations, wiener_window, softmask
        self.stft = STFT(n_fft, hop_length)
        # With a hop of half a frame the last samples lie under the thin end of one window alone, which the inverse divides by
        self.multiple = hop_length if 2 * hop_length == n_fft else 1
        self.masker = masker(self.stft.bins, audio_channels, self.estimated)
        self.needs_statistics = type(self.masker).fit_statistics is not Masker.fit_statistics

    @property
    def estimated(self) -> int:
        """How many sources the masker estimates."""
        return self.sources - self.residual

    def forward(self, mixture: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Magnitudes (B, S, C, F, L) of the sources of a mixture (B, C, T) but a residual; what else the masker gives."""
        return self.masker(self.stft(mixture).abs())

    def target(self, references: Tensor) -> Tensor:
        """Magnitudes (B, S, C, F, L) of the references (B, S, C, T), that of a residual left out."""
        return self.stft(references[:, : self.estimated]).abs()

    def separate(self, mixture: Tensor) -> Tensor:
        """Separate (B, C, T) into (B, S, C, T)."""
        spectrum = self.stft(F.pad(mixture, (0, -mixture.shape[-1] % self.multiple)))
        magnitudes = self.masker.separate(spectrum.abs())
        filtered = wiener(magnitudes, spectrum, self.wiener_iterations, self.softmask, self.residual, window=self.wiener_window)
        estimate = self.stft.inverse(filtered[:, : self.estimated], mixture.shape[-1])
        if self.residual:  # not the filter's own, which an iteration makes a little less than what is left
            estimate = torch.cat([estimate, mixture[:, None] - estimate.sum(1, keepdim=True)], dim=1)
        return estimate

    def fit_statistics(self, mixtures: Iterable[Tensor]) -> None:
        """Let the masker see the magnitudes of the training mixtures (C, T)."""
        self.masker.fit_statistics(self.stft(mixture).abs() for mixture in mixtures)
