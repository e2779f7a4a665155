"""STOI, the short-time objective intelligibility of noisy or processed speech.

Taal, Hendriks, Heusdens, Jensen 2011, "An algorithm for intelligibility prediction of time-frequency weighted noisy speech".
Extended STOI: Jensen, Taal 2016, "An algorithm for predicting the intelligibility of speech masked by modulated noise maskers".
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import scipy
import torch
from torch import Tensor

SAMPLE_RATE = 10_000
FRAME, HOP, N_FFT = 256, 128, 512
BANDS, LOWEST_CENTRE = 15, 150.0  # one-third octaves, Hz
SEGMENT = 30  # frames, 384 ms
SHORTEST = FRAME + (SEGMENT - 1) * HOP  # samples that do not yet make a segment
DYNAMIC_RANGE = 40.0  # dB below the loudest frame, beyond which a frame counts as silent
LOWEST_SDR = -15.0  # dB, where the estimate is clipped
EPS = 2.0**-52


def stoi(estimate: Tensor, reference: Tensor, sample_rate: int, extended: bool = False) -> Tensor:
    """Short-time objective intelligibility.

    Args:
        estimate: processed speech (..., time).
        reference: clean speech (..., time).
        sample_rate: Hz; computed at 10 kHz.
        extended: correlate whole spectrograms instead of one band at a time (extended STOI), for modulated maskers.

    Returns:
        (...), at most 1; NaN where the reference is silent or, without its silent frames, shorter than 0.4 s.
    """
    clean, processed = (_resample(x[None].flatten(0, -2), sample_rate) for x in (reference, estimate))
    values = [_stoi(y, x, extended) for y, x in zip(processed, clean, strict=True)]
    return torch.stack(values).reshape(reference.shape[:-1]).to(reference)


def _stoi(estimate: Tensor, reference: Tensor, extended: bool) -> Tensor:
    if reference.any() and len(reference) > SHORTEST:
        estimate, reference = _without_silence(estimate, reference)
    if not reference.any() or len(reference) <= SHORTEST:
        return reference.new_tensor(torch.nan)
    y, x = (_third_octaves(s).unfold(1, SEGMENT, 1) for s in (estimate, reference))  # (bands, segments, SEGMENT)
    if extended:
        x, y = (_standardised(_standardised(s, dim=2), dim=0) for s in (x, y))
        return (x * y).sum((0, 2)).mean() / SEGMENT
    level = torch.linalg.vector_norm(x, dim=2, keepdim=True) / (torch.linalg.vector_norm(y, dim=2, keepdim=True) + EPS)
    clipped = torch.minimum(y * level, x * (1 + 10 ** (-LOWEST_SDR / 20)))
    return (_standardised(x, dim=2) * _standardised(clipped, dim=2)).sum(2).mean()


def _without_silence(estimate: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Leave out the frames in which the reference is silent and overlap-add the others."""
    x, y = _frames(reference), _frames(estimate)
    level = 20 * torch.log10(torch.linalg.vector_norm(x, dim=1) + EPS)
    heard = level > level.max() - DYNAMIC_RANGE
    return _overlap_add(y[heard]), _overlap_add(x[heard])


def _frames(waveform: Tensor) -> Tensor:
    """Windowed frames (frames, FRAME).  As in the authors' code, a frame that ends with the signal is not taken."""
    window = torch.hann_window(FRAME + 2, periodic=False, dtype=waveform.dtype, device=waveform.device)[1:-1]
    return waveform[:-1].unfold(0, FRAME, HOP) * window


def _overlap_add(frames: Tensor) -> Tensor:
    halves = frames.new_zeros(len(frames) + 1, HOP)
    halves[:-1] += frames[:, :HOP]
    halves[1:] += frames[:, HOP:]
    return halves.flatten()


def _third_octaves(waveform: Tensor) -> Tensor:
    """Magnitudes in one-third octave bands, (bands, frames)."""
    power = torch.fft.rfft(_frames(waveform), N_FFT).abs().square()
    return (_bands().to(power) @ power.T).sqrt()


def _standardised(x: Tensor, dim: int) -> Tensor:
    x = x - x.mean(dim, keepdim=True)
    return x / (torch.linalg.vector_norm(x, dim=dim, keepdim=True) + EPS)


@lru_cache
def _bands() -> Tensor:
    """Which bin of the spectrum belongs to which band, (bands, bins): edges are moved to the nearest bin."""
    frequencies = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    edges = LOWEST_CENTRE * 2 ** ((2 * np.arange(BANDS + 1) - 1) / 6)
    nearest = np.abs(frequencies[:, None] - edges).argmin(0)
    bins = np.arange(len(frequencies))
    return torch.from_numpy((bins >= nearest[:-1, None]) & (bins < nearest[1:, None]))


def _resample(waveform: Tensor, sample_rate: int) -> Tensor:
    """Resample to 10 kHz as GNU Octave's `resample` does, which the published figures rest upon."""
    common = math.gcd(sample_rate, SAMPLE_RATE)
    up, down = SAMPLE_RATE // common, sample_rate // common
    if up == down:
        return waveform.double()
    resampled = scipy.signal.resample_poly(waveform.double().cpu().numpy(), up, down, axis=-1, window=_low_pass(max(up, down)))
    return torch.from_numpy(resampled).to(waveform.device)


@lru_cache
def _low_pass(factor: int) -> np.ndarray:
    """Octave's design: stop band of 60 dB, a transition a tenth of the pass band wide (in cycles per sample)."""
    rejection, cutoff = 60.0, 1 / (2 * factor)
    half = math.ceil((rejection - 8) / (28.714 * cutoff / 10))
    return scipy.signal.firwin(2 * half + 1, 2 * cutoff, window=("kaiser", scipy.signal.kaiser_beta(rejection)))
