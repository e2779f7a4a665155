"""Programme loudness, ITU-R BS.1770-4.

K-weighting is designed for any sample rate by the formulas of the audio EQ cookbook (R. Bristow-Johnson), as the package
pyloudnorm does, with which the LibriMix corpora were made; at 48 kHz it differs from the Recommendation's own coefficients
by a few hundredths of a decibel.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy

BLOCK, STEP = 0.4, 0.25  # gating block in seconds, its hop as a share of it
ABSOLUTE_GATE, RELATIVE_GATE, OFFSET = -70.0, -10.0, -0.691  # LUFS, LU, LUFS of unit power
CHANNEL_WEIGHTS = np.array([1.0, 1.0, 1.0, 1.41, 1.41])  # left, right, centre, left and right surround


def integrated_loudness(waveform: np.ndarray, sample_rate: int) -> float:
    """Gated loudness of a whole recording.

    Args:
        waveform: (time,) or (channels, time), at most 5 channels.
        sample_rate: Hz.

    Returns:
        Loudness in LUFS; -inf where no block is louder than -70 LUFS.

    Raises:
        ValueError: it is shorter than one gating block of 0.4 s.
    """
    samples = np.atleast_2d(np.asarray(waveform, np.float64))
    channels, time = samples.shape
    if time < BLOCK * sample_rate:
        raise ValueError(f"loudness needs at least {BLOCK} s, found {time / sample_rate:.3f} s")
    blocks = _block_powers(scipy.signal.sosfilt(_k_weighting(sample_rate), samples), sample_rate)
    powers = np.sum(CHANNEL_WEIGHTS[:channels, None] * blocks, axis=0)
    loud = powers[_lufs(powers) >= ABSOLUTE_GATE]
    if not len(loud):
        return -np.inf
    gate = max(_lufs(loud.mean()) + RELATIVE_GATE, ABSOLUTE_GATE)
    return float(_lufs(loud[_lufs(loud) > gate].mean()))


def _block_powers(weighted: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean squares (channels, blocks); the last block may reach over the end by less than half a hop."""
    time = weighted.shape[-1]
    blocks = int(np.round((time / sample_rate - BLOCK) / (BLOCK * STEP))) + 1
    index = np.arange(blocks)
    begins = (BLOCK * (index * STEP) * sample_rate).astype(int)
    ends = np.minimum((BLOCK * (index * STEP + 1) * sample_rate).astype(int), time)
    sums = np.pad(np.cumsum(weighted**2, axis=-1), ((0, 0), (1, 0)))
    return (sums[:, ends] - sums[:, begins]) / (BLOCK * sample_rate)


def _lufs(power: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return OFFSET + 10 * np.log10(power)


@lru_cache
def _k_weighting(sample_rate: int) -> np.ndarray:
    """Two second-order sections: high shelf of 4 dB at 1500 Hz (Q = 1/√2), high-pass at 38 Hz (Q = 1/2)."""
    return np.stack([_high_shelf(4.0, np.sqrt(0.5), 1500 / sample_rate), _high_pass(0.5, 38 / sample_rate)])


def _high_shelf(gain: float, q: float, frequency: float) -> np.ndarray:
    a, cosine = 10 ** (gain / 40), np.cos(2 * np.pi * frequency)
    slope = np.sqrt(a) * np.sin(2 * np.pi * frequency) / q
    b = [a * (a + 1 + (a - 1) * cosine + slope), -2 * a * (a - 1 + (a + 1) * cosine), a * (a + 1 + (a - 1) * cosine - slope)]
    c = [a + 1 - (a - 1) * cosine + slope, 2 * (a - 1 - (a + 1) * cosine), a + 1 - (a - 1) * cosine - slope]
    return np.array([*b, *c]) / c[0]


def _high_pass(q: float, frequency: float) -> np.ndarray:
    cosine, alpha = np.cos(2 * np.pi * frequency), np.sin(2 * np.pi * frequency) / (2 * q)
    return np.array([(1 + cosine) / 2, -(1 + cosine), (1 + cosine) / 2, 1 + alpha, -2 * cosine, 1 - alpha]) / (1 + alpha)
