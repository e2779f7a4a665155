"""Active speech level, ITU-T P.56 (12/2011) method B, as VOICEBOX measures it.

The WSJ0-mix corpora are defined through `activlev` of the MATLAB toolbox VOICEBOX (its version 9407), so every choice that the
Recommendation leaves open is made as it is there: filters, envelope bins of 3 dB, interpolation.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy

PASS_BAND = (200.0, 5500.0)  # Hz, the edges at -RIPPLE
RIPPLE, STOP_BAND, ORDER = 0.25, 50.0, 5  # dB, dB, of a Chebyshev filter of the second kind
ENVELOPE_TIME, HANGOVER, TAIL = 0.03, 0.2, 0.35  # seconds
MARGIN = 15.9  # dB between the active level and the threshold
BINS = 20  # thresholds, each half the power of the one before


def active_level(speech: np.ndarray, sample_rate: int) -> float:
    """Mean power of speech over the time when somebody speaks.

    Args:
        speech: (time,).
        sample_rate: Hz.

    Returns:
        Level as a power (full scale sine: 0.5), 0 for digital silence; ``speech / sqrt(level)`` has the active level 0 dB.
    """
    padded = np.concatenate([np.asarray(speech, np.float64), np.zeros(int(np.ceil(TAIL * sample_rate)))])
    filtered = scipy.signal.sosfilt(_band_pass(sample_rate), padded)
    power = _envelope(filtered, sample_rate) ** 2
    if not power.any():
        return 0.0
    top, active_samples = _activity(power, int(np.ceil(HANGOVER * sample_rate)) + 1)
    energy = np.sum(filtered**2)  # a BLAS product would differ in its last bits with the number of threads
    levels = 10 * np.log10(energy / active_samples)
    thresholds = 10 * np.log10(2) * (top - np.arange(1, BINS + 1))
    return float(10 ** (_crossing(levels, levels - thresholds - MARGIN) / 10))


def _envelope(filtered: np.ndarray, sample_rate: int) -> np.ndarray:
    """Rectified and smoothed by two equal poles."""
    pole = np.exp(-1 / (ENVELOPE_TIME * sample_rate))
    return scipy.signal.lfilter([(1 - pole) ** 2], [1, -2 * pole, pole**2], np.abs(filtered))


def _activity(power: np.ndarray, hangover: int) -> tuple[int, np.ndarray]:
    """How many samples lie above each threshold, hang-over included.

    Returns:
        (top, counts): the power has been at least 2**(top - j) within the last `hangover` samples at counts[j - 1] samples.
    """
    exponents = np.frexp(power)[1]  # 2**(exponent - 1) <= power < 2**exponent
    top = int(exponents[power > 0].max())
    exponents = np.where(power > 0, exponents, top - BINS)
    held = scipy.ndimage.maximum_filter1d(exponents, hangover, mode="nearest", origin=(hangover - 1) // 2)
    bins = np.minimum(top - held, BINS - 1)
    return top, np.cumsum(np.bincount(bins, minlength=BINS))


def _crossing(levels: np.ndarray, excess: np.ndarray) -> float:
    """The level where `excess`, its distance to threshold + margin, first rises through 0, in dB."""
    upward = np.flatnonzero((excess[:-1] < 0) & (excess[1:] >= 0))
    if len(upward):
        j = upward[0]
        fraction = 1 / (1 - excess[j + 1] / excess[j])
        return levels[j] + fraction * (levels[j + 1] - levels[j])
    return levels[-1] if excess[-1] <= 0 else levels[0]


@lru_cache
def _band_pass(sample_rate: int) -> np.ndarray:
    """Second-order sections: high-pass, and low-pass where the sample rate leaves room for one."""
    low, high = PASS_BAND
    sections = _second_order_sections(np.tan(np.pi * low / sample_rate), "high")
    if sample_rate < 2.2 * high:
        return sections
    return np.concatenate([sections, _second_order_sections(np.tan(np.pi * high / sample_rate), "low")])


def _second_order_sections(edge: float, kind: str) -> np.ndarray:
    """Digital filter by the bilinear transform s = (z - 1) / (z + 1), `edge` being its pass band's edge in s."""
    attenuation = 10 ** (STOP_BAND / 10) - 1, 10 ** (RIPPLE / 10) - 1
    to_stop_band = np.cosh(np.arccosh(np.sqrt(attenuation[0] / attenuation[1])) / ORDER)  # T_n(x) = cosh(n arccosh x)
    stop_edge = edge / to_stop_band if kind == "high" else edge * to_stop_band
    zeros, poles, gain = scipy.signal.cheby2(ORDER, STOP_BAND, stop_edge, kind, analog=True, output="zpk")
    return scipy.signal.zpk2sos(*scipy.signal.bilinear_zpk(zeros, poles, gain, fs=0.5))
