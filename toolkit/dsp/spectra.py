"""Normalised spectra of waveforms as the losses and metrics of synthesis compare them."""

from typing import Any, Literal

import scipy
import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.dsp.stft import power

Framing = Literal["centred", "onward"]
SILENT = 1e-15  # what smaller magnitudes count as where their gradient is divided by them


def periodic_window(name: str, n_fft: int) -> Tensor:
    """A periodic window (n_fft) in float64, of any name that scipy knows, e.g. ``hann`` or ``flattop``."""
    return torch.from_numpy(scipy.signal.get_window(name, n_fft))


def normalised_power(waveform: Tensor, taper: Tensor, hop_length: int, framing: Framing) -> Tensor:
    """Squared magnitudes of the spectrum divided by a frame's samples, so that its level does not depend on their number.

    Args:
        waveform: (*, T), T at least 1.
        taper: (n_fft), the window, of an even number of samples.
        hop_length: samples between frames.
        framing: ``centred`` puts a frame on every hop, the waveform mirrored at its ends: L = 1 + ⌊T / hop_length⌋, as
            `torch.stft` does by itself (DDX7); ``onward`` lets a frame begin on every hop, zeros behind the waveform:
            L = ⌈T / hop_length⌉, as TensorFlow pads the end (DDSP, spectral optimal transport).

    Returns:
        (*, F, L), F = n_fft / 2 + 1; in memory the bins of a frame stand together.
    """
    flat = _framed(waveform, len(taper), hop_length, framing)
    return _shaped(_Power.apply(flat, taper.to(flat), hop_length), waveform)


def normalised_magnitude(waveform: Tensor, taper: Tensor, hop_length: int, framing: Framing) -> Tensor:
    """The roots of `normalised_power`, likewise (*, F, L); where they are 0 they have a gradient of 0."""
    flat = _framed(waveform, len(taper), hop_length, framing)
    return _shaped(_Magnitude.apply(flat, taper.to(flat), hop_length), waveform)


def _framed(waveform: Tensor, n_fft: int, hop_length: int, framing: Framing) -> Tensor:
    """Waveforms (B, T) with what stands before and behind them, no longer than the frames."""
    length = waveform.shape[-1]
    flat = waveform.reshape(-1, length)
    if framing == "centred":
        frames, half = length // hop_length + 1, n_fft // 2
        flat = F.pad(flat, (0, max(half + 1 - length, 0)))  # there must be something to mirror
        return F.pad(flat, (half, half), mode="reflect")[:, : (frames - 1) * hop_length + n_fft]
    frames = -(-length // hop_length)
    return F.pad(flat, (0, max((frames - 1) * hop_length + n_fft - length, 0)))


def _shaped(frames: Tensor, waveform: Tensor) -> Tensor:
    """What was made of waveforms (*, T), (B, L, F), as (*, F, L)."""
    return frames.mT.reshape(*waveform.shape[:-1], frames.shape[2], frames.shape[1])


class _Power(torch.autograd.Function):
    """Squared magnitudes (B, L, F) of the frames of (B, T); gradients by a real transform; PyTorch takes a complex one."""

    @staticmethod
    def forward(ctx: Any, waveforms: Tensor, taper: Tensor, hop_length: int) -> Tensor:
        spectrum = _transformed(waveforms, taper, hop_length)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(taper, spectrum)
            ctx.hop_length, ctx.size = hop_length, waveforms.shape
        return power(spectrum)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        taper, spectrum = ctx.saved_tensors
        weighted = _weighted(spectrum, gradients[0] * (2 * _once(taper)))
        return _to_waveforms(weighted, taper, ctx.hop_length, ctx.size), None, None


class _Magnitude(torch.autograd.Function):
    """Magnitudes (B, L, F) of the frames of (B, T), likewise."""

    @staticmethod
    def forward(ctx: Any, waveforms: Tensor, taper: Tensor, hop_length: int) -> Tensor:
        spectrum = _transformed(waveforms, taper, hop_length)
        magnitudes = power(spectrum).sqrt_()
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(taper, spectrum, magnitudes)
            ctx.hop_length, ctx.size = hop_length, waveforms.shape
        return magnitudes

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        taper, spectrum, magnitudes = ctx.saved_tensors
        weighted = _weighted(spectrum, gradients[0] * _once(taper) / magnitudes.clamp(min=SILENT))
        return _to_waveforms(weighted, taper, ctx.hop_length, ctx.size), None, None


def _transformed(waveforms: Tensor, taper: Tensor, hop_length: int) -> Tensor:
    """The spectra (B, L, F) of the frames of (B, T)."""
    return torch.fft.rfft(waveforms.unfold(-1, len(taper), hop_length) * taper, norm="ortho")


def _weighted(spectrum: Tensor, weights: Tensor) -> Tensor:
    """A complex spectrum times real weights, in less time than where both stand in one product."""
    return weights.to(spectrum.dtype).mul_(spectrum)


def _once(taper: Tensor) -> Tensor:
    """Weights (F) of bins for the inverse transform, which adds a mirrored bin to all but the first and the last."""
    weight = torch.full((len(taper) // 2 + 1,), 0.5, dtype=taper.dtype, device=taper.device)
    weight[[0, -1]] = 1
    return weight


def _to_waveforms(spectra: Tensor, taper: Tensor, hop_length: int, size: torch.Size) -> Tensor:
    """The adjoint of framing and transform: (B, T) of (B, L, F)."""
    return _overlap_add(torch.fft.irfft(spectra, norm="ortho"), taper, hop_length, size)


def _overlap_add(frames: Tensor, taper: Tensor, hop_length: int, size: torch.Size) -> Tensor:
    """The sum (B, T) of frames (B, L, n_fft) under the window."""
    hops, rest = divmod(len(taper), hop_length)
    if rest:
        return torch.ops.aten.unfold_backward(frames * taper, list(size), 1, len(taper), hop_length)
    count = frames.shape[1]
    total = frames.new_zeros(size)
    places = total[:, : (count + hops - 1) * hop_length].unflatten(1, (-1, hop_length))
    parts = zip(frames.unflatten(-1, (hops, -1)).unbind(2), taper.unflatten(0, (hops, -1)), strict=True)
    for hop, (part, weights) in enumerate(parts):
        places[:, hop : hop + count].addcmul_(part, weights)
    return total
