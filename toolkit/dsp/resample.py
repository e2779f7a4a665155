"""Change of the sample rate as MATLAB's `resample` does it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view

HALF_WIDTH, KAISER_BETA = 10, 5.0  # MATLAB's N and bta
GROUP = 16  # neighbouring samples that are made by one product of matrices
ONE_THREAD = 1 << 18  # multiplications of a product for which BLAS does not wake other threads, which takes longer than it


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
    if up == down or not waveform.size:
        return waveform
    banks = _banks(up, down, waveform.dtype)
    samples, length = waveform.shape[-1], -(-waveform.shape[-1] * up // down)
    periods = -(-length // banks.outputs)
    products = -(-periods // banks.at_once)
    rows = -(-periods // products)
    padded = np.zeros((*waveform.shape[:-1], banks.lead + products * rows * banks.inputs + banks.reach), waveform.dtype)
    padded[..., banks.lead : banks.lead + samples] = waveform
    made = np.empty((*waveform.shape[:-1], products, rows, banks.outputs), waveform.dtype)
    for place, start, taps in banks.filters:
        windows = sliding_window_view(padded[..., banks.lead + start :], len(taps), axis=-1)[..., :: banks.inputs, :]
        windows = windows[..., : products * rows, :].reshape(*made.shape[:-1], len(taps))
        made[..., place : place + taps.shape[1]] = windows @ taps
    return made.reshape(*waveform.shape[:-1], -1)[..., :length]


class _Banks(NamedTuple):
    """The filter as it meets the samples: every `inputs` samples read, `outputs` samples are written, always alike.

    Attributes:
        inputs: samples of a period that are read.
        outputs: samples that it gives.
        lead: samples before a period that are needed.
        reach: samples behind it.
        at_once: periods of one product of matrices.
        filters: for each `GROUP` of the outputs their place, the first sample they need, and their taps (samples, outputs).
    """

    inputs: int
    outputs: int
    lead: int
    reach: int
    at_once: int
    filters: list[tuple[int, int, np.ndarray]]


@lru_cache
def _banks(up: int, down: int, dtype: np.dtype) -> _Banks:
    """Outputs that are neighbours need nearly the same samples, so that a product of matrices hardly multiplies by zeros."""
    half = HALF_WIDTH * max(up, down)
    longest = ((GROUP - 1) * down + 2 * half) // up + 1
    repeats = -(-max(GROUP * down, longest * up) // (up * down))  # windows that do not overlap: BLAS takes them as they stand
    low_pass, filters = up * _low_pass(max(up, down)), []
    for place in range(0, repeats * up, GROUP):
        outputs = np.arange(place, min(place + GROUP, repeats * up))
        samples = np.arange(-((half - outputs[0] * down) // up), (outputs[-1] * down + half) // up + 1)
        delay = outputs * down - samples[:, None] * up
        taps = np.where(abs(delay) <= half, low_pass[np.clip(delay + half, 0, 2 * half)], 0)
        filters.append((place, int(samples[0]), taps.astype(dtype)))
    margin, at_once = -(-half // up), max(1, ONE_THREAD // (GROUP * longest))
    return _Banks(repeats * down, repeats * up, margin, margin + longest, at_once, filters)


@lru_cache
def _low_pass(factor: int) -> np.ndarray:
    return scipy.signal.firwin(2 * HALF_WIDTH * factor + 1, 1 / factor, window=("kaiser", KAISER_BETA))


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
