"""Normalised spectra of waveforms as the losses and metrics of synthesis compare them."""

from typing import Literal

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
        taper: (n_fft), the window.
        hop_length: samples between frames.
        framing: ``centred`` puts a frame on every hop, the waveform mirrored at its ends: L = 1 + ⌊T / hop_length⌋, as
            `torch.stft` does by itself (DDX7); ``onward`` lets a frame begin on every hop, zeros behind the waveform:
            L = ⌈T / hop_length⌉, as TensorFlow pads the end (DDSP, spectral optimal transport).

    Returns:
        (*, F, L), F = n_fft / 2 + 1.
    """
    n_fft, length = len(taper), waveform.shape[-1]
    flat = waveform.reshape(-1, length)
    centred = framing == "centred"
    least = n_fft // 2 + 1 if centred else n_fft + hop_length * (-(-length // hop_length) - 1)  # something to mirror, or frame
    flat = F.pad(flat, (0, max(least - length, 0)))
    taper = taper.to(flat)
    spectrum = torch.stft(flat, n_fft, hop_length, window=taper, center=centred, normalized=True, return_complex=True)
    if centred:
        spectrum = spectrum[..., : length // hop_length + 1]
    return spectrum.reshape(*waveform.shape[:-1], *spectrum.shape[-2:])
