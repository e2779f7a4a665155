"""Front ends that read waveforms: spectrograms through filters, in decibels, and the waveform itself."""

import warnings
from abc import abstractmethod

import torch
import torchaudio
from torch import Tensor, nn

from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Frontend
from toolkit.dsp.precision import full_precision
from toolkit.dsp.stft import STFT, power

LEAST_POWER = 1e-10  # -100 dB: what silence counts as


class FilteredSpectrogram(Frontend):
    """Power spectrogram through filters, in decibels, each group of filters normalised over the batch.

    Args:
        sample_rate: Hz.
        n_fft: samples of a frame.
        hop_length: samples between frames.
        bins: F, filters in all.
        groups: that are normalised each by itself.
    """

    def __init__(self, sample_rate: int, n_fft: int, hop_length: int, bins: int, groups: int) -> None:
        super().__init__()
        self.sample_rate, self.bins, self.groups = sample_rate, bins, groups
        self.stft = STFT(n_fft, hop_length)
        self.norm = nn.BatchNorm2d(groups)

    @abstractmethod
    def filters(self) -> Tensor:
        """What each filter (row) lets through of each bin of the spectrogram, (F, n_fft / 2 + 1)."""

    def forward(self, waveform: Tensor) -> Tensor:
        """Map waveforms (B, T) to (B, 1, F, L), L = 1 + ⌊T / hop_length⌋; in float32 also under autocast."""
        check_shape(waveform, "waveform", batch=None, samples=None)
        with full_precision(waveform):
            filters = self.filters()
            passed = filters @ power(self.stft(waveform.to(filters.dtype)))
            decibels = 10 * torch.log10(passed.clamp(min=LEAST_POWER))
            return self.norm(decibels.unflatten(1, (self.groups, -1))).flatten(1, 2)[:, None]


class MelSpectrogram(FilteredSpectrogram):
    """Mel spectrogram in decibels, batch-normalised as a whole, with torchaudio's filters (HTK scale, all of height 1).

    With the defaults, at 16 kHz, the lowest filter falls between two bins and is empty, as it is in Won et al. 2020.

    Args:
        sample_rate: Hz.
        n_fft: samples of a frame.
        hop_length: samples between frames.
        bins: F, filters.
        f_min: Hz, where the lowest filter begins.
        f_max: Hz, where the highest ends; null for half the sample rate.

    Raises:
        ValueError: the filters would lie outside of what the sample rate holds.
    """

    mel: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_fft: int = 512,
        hop_length: int = 256,
        bins: int = 128,
        f_min: float = 0.0,
        f_max: float | None = None,
    ) -> None:
        super().__init__(sample_rate, n_fft, hop_length, bins, groups=1)
        top = sample_rate / 2 if f_max is None else f_max
        if not 0 <= f_min < top <= sample_rate / 2:
            raise ValueError(f"f_min, f_max: expected 0 <= f_min < f_max <= {sample_rate / 2:g} Hz, found {f_min:g}, {top:g}")
        with torch.device("cpu"), warnings.catch_warnings():  # torchaudio looks at values, and complains of empty filters
            warnings.simplefilter("ignore", UserWarning)
            mel = torchaudio.functional.melscale_fbanks(self.stft.bins, f_min, top, bins, sample_rate)
        self.register_buffer("mel", mel.T.to(torch.get_default_device()), persistent=False)

    def filters(self) -> Tensor:
        """Triangles over the mel scale."""
        return self.mel


class RawWaveform(Frontend):
    """The waveform itself, in the shape of a spectrogram of one row, for networks that begin with its samples."""

    def __init__(self) -> None:
        super().__init__()
        self.bins = 1

    def forward(self, waveform: Tensor) -> Tensor:
        """Map (B, T) to (B, 1, 1, T)."""
        check_shape(waveform, "waveform", batch=None, samples=None)
        return waveform[:, None, None]
