"""A-weighted loudness of short frames, one of the two signals that a neural synthesizer is driven by.

As in DDSP (J. Engel et al., ICLR 2020) and DDX7 (F. Caspe et al., ISMIR 2022): the mean of the A-weighted decibels of all bins.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.dsp.stft import power

REFERENCE = 20.7  # dB that white noise of amplitude 1 has in a frame of 2048 samples; it counts as 0 dB
RANGE = 80.0  # dB below the reference that a bin counts as at least
LEAST = -80.0  # dB, the least weight; 0 Hz would have -inf
QUIETEST = 1e-20  # power of a bin that is no longer told from silence, far below what RANGE cuts off
AT_ONCE = 1 << 22  # numbers of a spectrogram that are in memory together
POLES = (20.598997, 107.65265, 737.86223, 12194.217)  # Hz, IEC 61672


def a_weighting(frequencies: Tensor) -> Tensor:
    """Weights in dB, 0 at 1 kHz, of frequencies in Hz (any shape); not below -80 dB."""
    square = frequencies.double().square()
    low, second, third, high = (pole**2 for pole in POLES)
    gain = high * square.square() / ((square + high) * (square + low) * ((square + second) * (square + third)).sqrt())
    return (2.0 + 20 * gain.log10()).clamp(min=LEAST).to(frequencies.dtype)


def a_weighted_loudness(
    waveform: Tensor,
    sample_rate: int,
    n_fft: int = 2048,
    hop_length: int = 64,
    reference: float = REFERENCE,
    span: float = RANGE,
) -> Tensor:
    """Loudness of frames that begin at every hop and look ahead; zeros stand behind the waveform.

    Args:
        waveform: (*, T).
        sample_rate: Hz.
        n_fft: samples of a frame, under a Hann window.
        hop_length: samples between frames.
        reference: dB that count as 0.
        span: dB; a bin counts as at least `-span`.

    Returns:
        (*, L), L = ⌈T / hop_length⌉, dB between `-span` and about 0; silence is `-span`.
    """
    time = waveform.shape[-1]
    frames = -(-time // hop_length)
    if not frames:
        return waveform.new_empty(waveform.shape)
    padded = F.pad(waveform, (0, (frames - 1) * hop_length + n_fft - time))
    pieces = padded.unfold(-1, n_fft, hop_length)
    window = torch.hann_window(n_fft, dtype=waveform.dtype, device=waveform.device)
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    weights = (a_weighting(bins) - reference).to(waveform)
    rows = max(1, AT_ONCE // (n_fft * max(1, padded[..., 0].numel())))
    loudness = []
    for piece in pieces.split(rows, dim=-2):
        decibels = 10 * power(torch.fft.rfft(piece * window)).clamp(min=QUIETEST).log10()
        loudness.append((decibels + weights).clamp(min=-span).mean(-1))
    return torch.cat(loudness, -1)
