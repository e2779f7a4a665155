"""Normalised spectra of waveforms as the losses and metrics of synthesis compare them."""

from typing import Any, Literal

import torch
from scipy.signal import get_window
from torch import Tensor
from torch.nn import functional as F

Framing = Literal["centred", "onward"]


def periodic_window(name: str, n_fft: int) -> Tensor:
    """A periodic window (n_fft) in float64, of any name that scipy knows, e.g. ``hann`` or ``flattop``."""
    return torch.from_numpy(get_window(name, n_fft))


def normalised_stft(waveform: Tensor, taper: Tensor, hop_length: int, framing: Framing) -> Tensor:
    """The complex spectrum divided by the root of a frame's samples, so that its level does not depend on their number.

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
    n_fft, length = len(taper), waveform.shape[-1]
    flat = waveform.reshape(-1, length)
    if framing == "centred":
        frames, half = length // hop_length + 1, n_fft // 2
        flat = F.pad(flat, (0, max(half + 1 - length, 0)))  # there must be something to mirror
        flat = F.pad(flat, (half, half), mode="reflect")[:, : (frames - 1) * hop_length + n_fft]
    else:
        frames = -(-length // hop_length)
        flat = F.pad(flat, (0, max((frames - 1) * hop_length + n_fft - length, 0)))
    spectrum = _Spectrum.apply(flat, taper.to(flat), hop_length)
    return spectrum.mT.reshape(*waveform.shape[:-1], n_fft // 2 + 1, frames)


class _Spectrum(torch.autograd.Function):
    """Spectra (B, L, F) of the frames of (B, T) with a gradient by a real transform; PyTorch's own takes a complex one."""

    @staticmethod
    def forward(ctx: Any, waveforms: Tensor, taper: Tensor, hop_length: int) -> Tensor:
        ctx.save_for_backward(taper)
        ctx.hop_length, ctx.size = hop_length, waveforms.shape
        return torch.fft.rfft(waveforms.unfold(-1, len(taper), hop_length) * taper, norm="ortho")

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        if not ctx.needs_input_grad[0]:
            return None, None, None
        (taper,) = ctx.saved_tensors
        weight = torch.full((len(taper) // 2 + 1,), 0.5, dtype=taper.dtype, device=taper.device)
        weight[[0, -1]] = 1  # which have no mirrored bin that the inverse would add
        frames = torch.fft.irfft(gradients[0] * weight, norm="ortho") * taper
        return _overlap_add(frames, ctx.hop_length, ctx.size), None, None


def _overlap_add(frames: Tensor, hop_length: int, size: torch.Size) -> Tensor:
    """The sum (B, T) of frames (B, L, n_fft)."""
    hops, rest = divmod(frames.shape[-1], hop_length)
    if rest:
        return torch.ops.aten.unfold_backward(frames, list(size), 1, frames.shape[-1], hop_length)
    count = frames.shape[1]
    total = frames.new_zeros(size[0], count + hops - 1, hop_length)
    for hop, part in enumerate(frames.unflatten(-1, (hops, hop_length)).unbind(2)):
        total[:, hop : hop + count] += part
    total = total.flatten(1)
    return F.pad(total, (0, size[1] - total.shape[1]))
