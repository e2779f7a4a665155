"""Hybrid Demucs: a U-Net over the spectrogram and one over the waveform, with common inner levels."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.activations import Activation
from toolkit.blocks.dconv import DConv, ResidualBranch
from toolkit.blocks.hybrid_unet import (
    SILENCE,
    BinEmbedding,
    Downsample,
    LevelOptions,
    Upsample,
    Window,
    level_and_scale,
)
from toolkit.blocks.slots import check_shape
from toolkit.blocks.unet import level_widths, rescale_weights
from toolkit.dsp.aligned_stft import AlignedSTFT
from toolkit.dsp.stft import STFT
from toolkit.dsp.wiener import wiener
from toolkit.models.base import SeparationModel

WIENER_FRAMES = 300  # filtered on their own


class HybridDemucs(SeparationModel):
    """The winner of the Music Demixing Challenge 2021 (Défossez 2021, "Hybrid spectrogram and waveform source separation").

    The outer levels shorten the spectrogram along frequency and the waveform along time.  Where one bin is left of the former,
    the latter has been shortened to as many frames; the two are added, and the inner levels shorten the sum along time.  On
    the way back the branches part at the same place.  The estimate is the sum of what both make.

    Args:
        channels: of the first level.
        growth: each level has that many times the channels of the one above.
        depth: levels.
        kernel_size: bins or samples of the outer levels' convolutions; their stride is half of it.
        n_fft: samples of a frame of the spectrogram; hops are a quarter, and the highest bin is left out.
        hybrid: whether there is a branch over the waveform; else all levels are over the spectrogram.
        spectrum: `complex`: the spectrogram's real and imaginary parts are channels of input and output; `magnitude`: its
            magnitudes are, and sources have the mixture's phase.
        wiener_iterations: of the multichannel Wiener filter that follows magnitudes.
        branch: residual branch of a level, built as ``branch(channels, level)``; DConv when not given.
        branch_in: where residual branches are.
        context: bins and frames to each side that the decoder's gates see.
        norm_from: the first level with norms, counted from 0.
        norm_groups: of channels that are normalised over together.
        embedding: share of the bins' embedding after the first level; 0 for none.
        activation: after the strided convolutions.
        rescale: a weight w of deviation d begins as w · sqrt(rescale / d), in every convolution; null for what PyTorch draws.
        sources: how many sources to separate.
        audio_channels: channels of the waveform.

    Raises:
        ValueError: the levels do not bring the spectrogram to one bin, or the waveform to as many frames.
    """

    def __init__(
        self,
        channels: int = 48,
        growth: float = 2.0,
        depth: int = 6,
        kernel_size: int = 8,
        n_fft: int = 4096,
        hybrid: bool = True,
        spectrum: Literal["complex", "magnitude"] = "complex",
        wiener_iterations: int = 0,
        branch: Callable[[int, int], ResidualBranch] | None = None,
        branch_in: Literal["encoder", "decoder", "both"] = "encoder",
        context: int = 1,
        norm_from: int = 4,
        norm_groups: int = 4,
        embedding: float = 0.2,
        activation: Activation = "gelu",
        rescale: float | None = 0.1,
        sources: int = 4,
        audio_channels: int = 2,
    ) -> None:
        super().__init__()
        self.sources, self.audio_channels = sources, audio_channels
        self.hybrid, self.spectrum, self.wiener_iterations = hybrid, spectrum, wiener_iterations
        self.stft = AlignedSTFT(n_fft) if hybrid else STFT(n_fft)

        stride = kernel_size // 2
        bins = _bins(n_fft // 2, kernel_size)
        meeting = len(bins) - 1  # the level that brings the last bins to one
        if not 0 < meeting < depth:
            raise ValueError(f"depth: expected more than {meeting} levels for n_fft {n_fft}, and one before, found {depth}")
        widths = level_widths(channels, growth, depth)
        outer, (above, width), inner = widths[:meeting], widths[meeting - 1 : meeting + 1], widths[meeting:]

        options = LevelOptions(branch or DConv, branch_in, context, norm_from, norm_groups, activation)
        parts = audio_channels * (2 if spectrum == "complex" else 1)
        along_bins, along_frames = (
            Window.bins(kernel_size, stride, stride // 2),
            Window.frames(kernel_size, stride, stride // 2),
        )
        embed = BinEmbedding(bins[1], channels, embedding) if embedding else None
        self.spectral = options.levels([parts, *outer], sources * parts, along_bins, embedding=embed)
        self.meet = options.encoder(meeting, above, width, Window.bins(bins[-1], 1))
        self.inner = options.levels(inner, width, Window.frames(4, 2, 1), first=meeting + 1)
        self.part = options.decoder(meeting, width, above, Window.bins(bins[-1], 1))
        if hybrid:
            self.temporal = options.levels([audio_channels, *outer], sources * audio_channels, along_frames)
            window = _last_window(self.stft.hop_length, stride**meeting)
            self.join = Downsample(above, width, window)
            self.leave = Upsample(width, above, window, options.norm(meeting), activation)
        if rescale is not None:
            rescale_weights(self, rescale)
        self.to(memory_format=torch.channels_last)  # see `toolkit.blocks.hybrid_unet`

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (B, C, T) into (B, S, C, T), for any T of at least one sample."""
        check_shape(mixture, "mixture", batch=None, channels=self.audio_channels, samples=None)
        length = mixture.shape[-1]
        spectrogram = self.stft(mixture)[..., :-1, :]
        x, waveform = self._features(spectrogram), mixture.unsqueeze(2)
        level, scale = level_and_scale(x)
        wave_level, wave_scale = level_and_scale(waveform)
        silence = SILENCE * self.stft.n_fft**0.5  # as the spectrogram's deviation is so many times that of the waveform
        x, waveform = self._levels((x - level) / (scale + silence), (waveform - wave_level) / (wave_scale + SILENCE))
        estimate = self.stft.inverse(self._spectrograms(torch.addcmul(level, x, scale), spectrogram), length)
        if self.hybrid:
            waveform = torch.addcmul(wave_level, waveform, wave_scale)
            estimate = estimate + waveform.squeeze(2).unflatten(1, (self.sources, -1))
        return estimate

    def _levels(self, x: Tensor, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """All levels, down and up: of the spectrogram (B, C, F, L) and of the waveform (B, C, 1, T)."""
        x, spectral_skips = self.spectral.encode(x)
        other = None
        if self.hybrid:
            waveform, temporal_skips = self.temporal.encode(waveform)
            other = self.join(waveform)
        last_bins, last_samples = x.shape[2:], waveform.shape[2:]
        met = self.meet(x, other)
        x, inner_skips = self.inner.encode(met)
        x = self.inner.decode(torch.zeros_like(x), inner_skips)  # all that is known comes through skip connections
        x, parting = self.part(x, met, last_bins)
        if self.hybrid:
            waveform = self.temporal.decode(self.leave(parting, last_samples), temporal_skips)
        return self.spectral.decode(x, spectral_skips), waveform

    def _features(self, spectrogram: Tensor) -> Tensor:
        """What levels read of the complex spectrogram (B, C, F, L)."""
        if self.spectrum == "magnitude":
            return spectrogram.abs()
        return torch.view_as_real(spectrogram).permute(0, 1, 4, 2, 3).flatten(1, 2)

    def _spectrograms(self, made: Tensor, mixture: Tensor) -> Tensor:
        """Complex spectrograms (B, S, C, F + 1, L) of what the levels have made."""
        if self.spectrum == "magnitude":
            unit = self.stft.n_fft**0.5  # the filter knows what is loud in a Fourier transform that keeps energies
            magnitudes = made.unflatten(1, (self.sources, -1)) / unit
            filtered = wiener(magnitudes, mixture / unit, self.wiener_iterations, window=WIENER_FRAMES)
            return F.pad(filtered * unit, (0, 0, 0, 1))
        padded = F.pad(made, (0, 0, 0, 1))  # while its numbers are real: ONNX cannot do it afterwards
        parts = padded.permute(0, 2, 3, 1).contiguous().unflatten(3, (self.sources, -1, 2))
        return torch.view_as_complex(parts).permute(0, 3, 4, 1, 2)


def _bins(bins: int, kernel_size: int) -> list[int]:
    """Bins that each level reads, to where one convolution takes them all."""
    if kernel_size % 4:
        raise ValueError(f"kernel_size: expected a multiple of 4, found {kernel_size}")
    stride = kernel_size // 2
    counts = [bins]
    while counts[-1] > kernel_size:
        if counts[-1] % stride:
            raise ValueError(f"n_fft: expected a number whose half is divided by {stride} in every level, found {2 * bins}")
        counts.append(counts[-1] // stride)
    return counts


def _last_window(hop_length: int, shortened: int) -> Window:
    """The window that brings a waveform, already so many times shorter, to the spectrogram's frames."""
    stride = hop_length // shortened
    if stride * shortened != hop_length or stride % 2:
        raise ValueError(f"n_fft: hops of {hop_length} samples cannot be reached from strides of {shortened} by an even stride")
    return Window.frames(2 * stride, stride, stride // 2)
