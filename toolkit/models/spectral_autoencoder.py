"""A harmonic sound to its pitch and the amplitudes of its harmonics, and back to sound (Torres, Peeters & Richard 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks.bin_convolution import BinConvolution
from toolkit.blocks.harmonic_noise import exp_sigmoid
from toolkit.blocks.pitch import ToeplitzLinear
from toolkit.data.performances import Performance
from toolkit.dsp.control_rate import accumulate_phase, audible
from toolkit.dsp.cqt import CQT
from toolkit.dsp.harmonics import oscillator_bank
from toolkit.dsp.precision import full_precision
from toolkit.models.base import SynthesisModel

AT_ONCE = 128  # frames that go through the network together: what they leave behind stays in a processor's cache
SLOPE_FROM = 500.0  # Hz, above which a roll-off begins


class SpectralAutoencoder(SynthesisModel):
    """Magnitudes of a constant-Q transform → network → pitch and amplitudes → sines (Torres et al. 2024, released code).

    The network is PESTO's with other ends: a Toeplitz layer gives a soft-argmax over the logarithmic axis from the lowest to
    the highest bin, and a linear layer the amplitudes.  46,012 weights with the defaults, those of the paper.

    Args:
        sample_rate: Hz.
        hop_length: samples of a frame.
        f_min: Hz of the lowest bin, and the lowest pitch.
        bins: F, of the transform and of the pitch; the highest bin is the highest pitch.
        bins_per_semitone: bins of a semitone.
        harmonics: K.
        channels: of the two wide convolutions, then of each narrow one.
        kernel_size: of the wide convolutions, in bins, odd.
        slope: of the leaky ReLU.
        dropout: share of values left out before the last convolution.
        temperature: that the logits of the pitch are divided by.
        roll_off: dB an octave that harmonics above 500 Hz are softer than their amplitudes.
        stationary: the network hears the middle frame alone, and all others are played as that one: for sounds that do not
            change, with a sixteenth of the work for sounds of 16 frames.  (Not so in the paper.)
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        hop_length: int = 256,
        f_min: float = 32.7,
        bins: int = 285,
        bins_per_semitone: int = 3,
        harmonics: int = 20,
        channels: Sequence[int] = (40, 30, 30, 10, 3),
        kernel_size: int = 15,
        slope: float = 0.3,
        dropout: float = 0.5,
        temperature: float = 0.1,
        roll_off: float = 0.0,
        stationary: bool = False,
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.reads = frozenset({"waveform"})
        self.transform = CQT(sample_rate, hop_length, f_min, bins, 12 * bins_per_semitone, kernels="nnaudio")
        self.network = HarmonicNetwork(bins, harmonics, channels, kernel_size, slope, dropout)
        self.temperature, self.roll_off, self.stationary = temperature, roll_off, stationary
        self.lowest, self.highest = self.transform.frequencies[0], self.transform.frequencies[-1]

    def forward(self, performance: Performance) -> Tensor:
        """Render (B, L · hop_length)."""
        return self.render(*self.encode(performance.waveform))

    def transposed(self, performance: Performance, semitones: float) -> Tensor:
        """Render (B, L · hop_length), all pitches higher by so much; the amplitudes of the harmonics stay."""
        f0, amplitudes = self.encode(performance.waveform)
        return self.render(f0 * 2 ** (semitones / 12), amplitudes)

    def pitch(self, performance: Performance) -> Tensor:
        """F0 (B, L) in Hz."""
        return self.encode(performance.waveform)[0]

    def encode(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Pitch (B, L) in Hz and amplitudes (B, L, K) of waveforms (B, T), L = ⌈T / hop_length⌉, one for each hop."""
        frames = -(-waveform.shape[-1] // self.hop_length)
        with torch.no_grad(), full_precision(waveform):
            within = waveform[:, :-1]  # without a frame that begins where the sound has ended
            heard = self.transform.frame(within, frames // 2)[:, None] if self.stationary else self.transform(within).mT
            spectra = heard.abs()
        logits, amplitudes = (made.to(spectra.dtype) for made in self.network(spectra.flatten(0, 1)))
        places = torch.linspace(0, 1, logits.shape[-1], device=logits.device)
        place = ((logits / self.temperature).softmax(-1) * places).sum(-1)
        f0 = self.lowest * (self.highest / self.lowest) ** place
        size = spectra.shape[:2]
        f0, amplitudes = f0.unflatten(0, size), exp_sigmoid(amplitudes).unflatten(0, size)
        return (f0.expand(-1, frames), amplitudes.expand(-1, frames, -1)) if self.stationary else (f0, amplitudes)

    def render(self, f0: Tensor, amplitudes: Tensor) -> Tensor:
        """Sines (B, L · hop_length) at the multiples of f0 (B, L) with amplitudes (B, L, K).

        As in DDSP, amplitudes go from frame to frame under Hann windows that stand on each hop, frequencies along lines between
        the middles of hops; what is above half the sample rate is silent.  In full precision also under autocast.
        """
        frequencies = f0[..., None] * torch.arange(1, amplitudes.shape[-1] + 1, device=f0.device)
        amplitudes = amplitudes * audible(frequencies, self.sample_rate)
        if self.roll_off:
            octaves = (frequencies / SLOPE_FROM).log2().clamp(min=0)
            amplitudes = amplitudes * 10 ** (-self.roll_off / 20 * octaves)
        samples = F.interpolate(f0[:, None], scale_factor=self.hop_length, mode="linear")[:, 0]
        fundamental = samples.new_ones(1, dtype=torch.float64)
        phases, _ = accumulate_phase(samples, fundamental, self.sample_rate, 0 * fundamental.expand(len(f0), 1))
        following = torch.cat([amplitudes[:, 1:], amplitudes[:, -1:]], 1)
        with full_precision(f0):
            return oscillator_bank(phases[:, 0], following, amplitudes[:, 0])


class HarmonicNetwork(nn.Module):
    """Layer norm, two wide convolutions over the bins (the second added to its input), narrow ones, and the two ends.

    Between the layers bins come first and frames last, see `BinConvolution`.

    Args:
        bins: F.
        harmonics: K.
        channels: of the wide convolutions, then of each narrow one.
        kernel_size: of the wide convolutions, in bins, odd.
        slope: of the leaky ReLU.
        dropout: share of values left out before the last convolution.
    """

    def __init__(
        self, bins: int, harmonics: int, channels: Sequence[int], kernel_size: int, slope: float, dropout: float
    ) -> None:
        super().__init__()
        self.slope = slope
        self.norm = nn.LayerNorm([1, bins])
        self.reach = kernel_size // 2
        self.first = nn.Linear(kernel_size, channels[0])  # a convolution of one channel, its taps being the features
        self.second = BinConvolution(channels[0], channels[0], kernel_size)
        self.narrow = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(channels))
        self.dropout = nn.Dropout(dropout)
        self.pitch = ToeplitzLinear(bins * channels[-1], bins)
        self.amplitudes = nn.Linear(bins * channels[-1], harmonics)

    def forward(self, spectra: Tensor) -> tuple[Tensor, Tensor]:
        """Map magnitudes (M, F) of M frames to logits of the pitch (M, F) and of the amplitudes (M, K)."""
        features = torch.cat([self._features(part) for part in spectra.split(AT_ONCE)])
        return self.pitch(features), self.amplitudes(features)

    def _features(self, spectra: Tensor) -> Tensor:
        """(M, C · F)."""
        reach = self.reach
        bins = F.pad(self.norm(spectra[:, None])[:, 0].T, (0, 0, reach, reach))
        around = bins.unfold(0, 2 * reach + 1, 1).mT  # (F, taps, M)
        hidden = torch.baddbmm(self.first.bias[:, None], self.first.weight.expand(len(around), -1, -1), around)
        hidden = F.leaky_relu_(hidden, self.slope)
        hidden = hidden + F.leaky_relu_(self.second(hidden), self.slope)
        flat = hidden.transpose(0, 1).flatten(1)  # (C, F · M)
        for number, layer in enumerate(self.narrow, 1):
            assert isinstance(layer, nn.Linear)
            if number == len(self.narrow):
                flat = self.dropout(flat)
            flat = torch.addmm(layer.bias[:, None], layer.weight, flat)
            if number < len(self.narrow):
                flat = F.leaky_relu_(flat, self.slope)
        return flat.unflatten(1, (len(around), -1)).permute(2, 0, 1).flatten(1)
