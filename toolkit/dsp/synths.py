"""Building blocks of synthetic sound in NumPy: a band-limited pulse train and a filter that changes with time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FRAME_RATE = 200  # control values a second


def pulse_train(f0: np.ndarray, sample_rate: int) -> np.ndarray:
    """All harmonics of a gliding fundamental, in phase and equally strong, up to half the sample rate.

    The sum of H cosines is known in closed form, sin((H + 1/2) φ) / (2 sin(φ / 2)) - 1/2 (J. A. Moorer, "The synthesis of
    complex audio spectra by means of discrete summation formulas", JAES 24(9), 1976); the highest harmonic fades in and out as
    the fundamental moves, so that nothing clicks and nothing aliases.

    Args:
        f0: fundamental frequency of every sample (time,), Hz.
        sample_rate: Hz.

    Returns:
        Signal (time,) of amplitude 1 per harmonic.
    """
    phase = 2 * np.pi * np.cumsum(f0 / sample_rate)
    highest = sample_rate / 2 / f0 - 1
    count = np.floor(highest)
    half = np.sin(phase / 2)
    near_zero = np.abs(half) < 1e-6
    total = np.sin((count + 0.5) * phase) / np.where(near_zero, 1, 2 * half) - 0.5
    total = np.where(near_zero, count, total)
    return total + (highest - count) * np.cos((count + 1) * phase)


def frequencies(sample_rate: int) -> np.ndarray:
    """Frequencies (bins,) in Hz that `shape` wants gains for."""
    return np.fft.rfftfreq(8 * (sample_rate // FRAME_RATE), 1 / sample_rate)


def body(frequency: np.ndarray, formants: Sequence[tuple[float, float]], late: float, rng: np.random.Generator) -> np.ndarray:
    """What an instrument's body makes of a sound: resonances half an octave wide, and highs that come a little later.

    Args:
        frequency: (bins,), Hz.
        formants: Hz and gain of each resonance.
        late: seconds that the highest frequencies come later, so that pulses are not sharp.
        rng: moves each formant by up to a twentieth, as no instrument is like the other.

    Returns:
        Complex gains (bins,).
    """
    gains = np.ones(len(frequency))
    for centre, gain in formants:
        apart = np.log2(np.maximum(frequency, 1.0) / (centre * rng.uniform(0.95, 1.05)))
        gains += gain * np.exp(-0.5 * (apart / 0.25) ** 2)
    spread = late * (frequency + 2000.0 * np.expm1(-frequency / 2000.0))
    return gains * np.exp(-2j * np.pi * spread)


def shape(signal: np.ndarray, gains: np.ndarray, sample_rate: int) -> np.ndarray:
    """Filter `signal` (time,) by gains (frames, bins) that change `FRAME_RATE` times a second (overlap-add, zero phase).

    Args:
        signal: (time,).
        gains: (time // (sample_rate // FRAME_RATE) + 1, bins), at the `frequencies` of this sample rate.
        sample_rate: Hz.

    Returns:
        Filtered signal (time,).
    """
    hop = sample_rate // FRAME_RATE
    gains = np.pad(gains, ((1, 2), (0, 0)), mode="edge")  # windows that reach in from outside
    frames = len(gains)
    window = 0.5 * np.hanning(4 * hop + 1)[:-1]  # four of them overlap and add up to 1
    padded = np.pad(signal, (3 * hop, 6 * hop))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 4 * hop)[::hop][:frames] * window
    centred = np.pad(pieces, ((0, 0), (2 * hop, 2 * hop)))  # room for what rings before and after
    pieces = np.fft.irfft(np.fft.rfft(centred, axis=1) * gains, 8 * hop, axis=1)
    out = np.zeros((frames + 8) * hop)
    for part in range(8):
        out[part * hop : (part + frames) * hop] += pieces[:, part * hop : (part + 1) * hop].ravel()
    return out[5 * hop : 5 * hop + len(signal)]


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Weighted mean of values (frames,) over `width` frames on either side; the ends are held."""
    window = np.hanning(2 * width + 1)[1:-1]
    held = np.pad(values, len(window) // 2, mode="edge")
    return np.convolve(held, window / window.sum(), mode="valid")
