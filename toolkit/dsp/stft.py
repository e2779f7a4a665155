"""Short-time Fourier transform of waveforms with any number of leading axes, and its inverse."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

QUIETEST = 1e-4  # of the largest deviation of a bin: what a smaller one counts as


class STFT(nn.Module):
    """Frames centred on every hop, under a Hann window, as `torch.stft` makes them with ``center=True``.

    A waveform of T samples has L = 1 + ⌊T / hop_length⌋ frames of F = n_fft / 2 + 1 bins.  The window's squares, overlapped and
    added, are never zero inside the waveform, so the inverse is exact.

    Args:
        n_fft: samples of a frame.
        hop_length: samples between frames; a quarter of a frame when not given.
        pad: what stands before the first and after the last sample: the waveform mirrored, or zeros.

    Raises:
        ValueError: n_fft is odd, or windows would not overlap.
    """

    window: Tensor

    def __init__(
        self, n_fft: int = 4096, hop_length: int | None = None, pad: Literal["reflect", "constant"] = "reflect"
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = n_fft // 4 if hop_length is None else hop_length
        self.pad = pad
        if n_fft < 2 or n_fft % 2:
            raise ValueError(f"n_fft: expected an even number of samples, found {n_fft}")
        if not 1 <= self.hop_length <= n_fft // 2:
            raise ValueError(f"hop_length: expected 1 to n_fft / 2 = {n_fft // 2} samples, found {self.hop_length}")
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float64), persistent=False)

    @property
    def bins(self) -> int:
        """F, from 0 Hz to half the sample rate."""
        return self.n_fft // 2 + 1

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform (*, T), T at least 1, into the complex spectrogram (*, F, L)."""
        if waveform.ndim == 1:
            return self(waveform[None])[0]
        half = self.n_fft // 2
        flat = waveform.reshape(-1, waveform.shape[-1])
        if self.pad == "reflect" and flat.shape[-1] <= half:
            flat = F.pad(flat, (0, half + 1 - flat.shape[-1]))  # there must be something to mirror
        window = self.window.to(flat.dtype)
        frames = waveform.shape[-1] // self.hop_length + 1
        spectrum = torch.stft(flat, self.n_fft, self.hop_length, window=window, pad_mode=self.pad, return_complex=True)
        return spectrum[..., :frames].unflatten(0, waveform.shape[:-1])

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """The waveform (*, length) of which (*, F, L) is the spectrogram, or is nearest to it (Griffin & Lim 1984, eq. 6)."""
        if spectrum.is_meta:  # where torch.istft would compare values
            return spectrum.real.new_empty(*spectrum.shape[:-2], length)
        if spectrum.ndim == 2:
            return self.inverse(spectrum[None], length)[0]
        flat = spectrum.flatten(0, -3)
        window = self.window.to(flat.real.dtype)
        if torch.compiler.is_exporting() and self.n_fft % self.hop_length == 0:
            return self._added(flat, window, length).unflatten(0, spectrum.shape[:-2])
        waveform = torch.istft(flat, self.n_fft, self.hop_length, window=window, length=length)
        return waveform.unflatten(0, spectrum.shape[:-2])

    def _added(self, spectrum: Tensor, window: Tensor, length: int) -> Tensor:
        """What `torch.istft` makes of (B, F, L), by operations that other formats know."""
        frames = torch.fft.irfft(spectrum.mT, self.n_fft) * window
        weight = overlap_add(window.square().expand(1, frames.shape[1], -1), self.hop_length)
        begin = self.n_fft // 2
        waveform = (overlap_add(frames, self.hop_length) / weight.clamp(min=torch.finfo(frames.dtype).tiny))[:, begin:]
        return F.pad(waveform, (0, length))[:, :length]


def overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """The sum (*, (L - 1) · hop_length + n_fft) of frames (*, L, n_fft), n_fft a multiple of the hop."""
    parts = frames.unflatten(-1, (-1, hop_length)).unbind(-2)
    last = len(parts) - 1
    shifted = (F.pad(part, (0, 0, hop, last - hop)) for hop, part in enumerate(parts))
    return sum(shifted, torch.zeros((), dtype=frames.dtype, device=frames.device)).flatten(-2)


def power(spectrum: Tensor) -> Tensor:
    """Squared magnitudes of a complex spectrum of any shape, in a third of the time that their root and its square take."""
    squares = torch.view_as_real(spectrum).square()
    return squares[..., 0] + squares[..., 1]


def bin_statistics(magnitudes: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and deviation (F) of each bin over the frames of all magnitudes (F, L), e.g. of the tracks of a training split.

    Raises:
        ValueError: there are none.
    """
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for spectrum in magnitudes:
        wide = spectrum.double()
        count, total, squares = count + wide.shape[1], total + wide.sum(1), squares + wide.square().sum(1)
    if not count:
        raise ValueError("magnitudes: expected those of at least one recording, found none")
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean, deviation.clamp(min=QUIETEST * deviation.max().item())
