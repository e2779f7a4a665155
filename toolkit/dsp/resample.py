"""Change of the sample rate as MATLAB's `resample` does it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
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


def resample_blocks(blocks: Iterable[np.ndarray], sample_rate: int, new_sample_rate: int) -> Iterator[np.ndarray]:
    """Resample a signal that comes in blocks: what `resample` makes of the whole, with no more than a block in memory.

    The filter is finite and the same for every `down` samples read, `up` samples written: a block with as many samples of its
    neighbours as the filter reaches gives exactly its own part.

    Args:
        blocks: (..., time), one after the other.
        sample_rate: their rate in Hz.
        new_sample_rate: the wanted rate in Hz.

    Yields:
        (..., time); none where a block is too short to give a sample yet.
    """
    common = math.gcd(sample_rate, new_sample_rate)
    up, down = new_sample_rate // common, sample_rate // common
    if up == down:
        yield from blocks
        return
    margin = down * math.ceil(HALF_WIDTH * max(up, down) / up / down)
    held: np.ndarray | None = None
    lead = 0  # samples of `held` that are there for the filter alone
    for block in blocks:
        held = block if held is None else np.concatenate([held, block], axis=-1)
        ready = (held.shape[-1] - lead - margin) // down * down
        if ready > 0:
            made = resample(held[..., : lead + ready + margin], sample_rate, new_sample_rate)
            yield made[..., lead * up // down : (lead + ready) * up // down]
            dropped = max(0, lead + ready - margin)
            held, lead = held[..., dropped:], lead + ready - dropped
    if held is not None:
        yield resample(held, sample_rate, new_sample_rate)[..., lead * up // down :]
