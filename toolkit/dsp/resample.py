"""Change of the sample rate as MATLAB's `resample` does it."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import signal

HALF_WIDTH, KAISER_BETA = 10, 5.0  # MATLAB's N and bta


def resample(waveform: np.ndarray, sample_rate: int, new_sample_rate: int) -> np.ndarray:
    """Resample along the last axis as ``resample(x, p, q)`` of MATLAB's Signal Processing Toolbox with its defaults.

    MATLAB designs its filter of 2 N max(p, q) + 1 taps by `firls` with a transition band of no width, which is the cut ideal
    low-pass; the Kaiser window and a gain of one at 0 Hz follow. That is the filter of `scipy.signal.resample_poly`, which also
    compensates the delay alike. (Releases before 2015 left out the gain, a constant factor near one.)

    Args:
        waveform: (..., time), float32 or float64; computed in that precision.
        sample_rate: its rate in Hz.
        new_sample_rate: the wanted rate in Hz.

    Returns:
        (..., ceil(time * new_sample_rate / sample_rate)), of the same type.
    """
    common = math.gcd(sample_rate, new_sample_rate)
    up, down = new_sample_rate // common, sample_rate // common
    if up == down:
        return waveform
    return signal.resample_poly(waveform, up, down, axis=-1, window=_low_pass(max(up, down)).astype(waveform.dtype))


@lru_cache
def _low_pass(factor: int) -> np.ndarray:
    return signal.firwin(2 * HALF_WIDTH * factor + 1, 1 / factor, window=("kaiser", KAISER_BETA))
