"""Synthetic instruments for the mini corpora of music: plucked string, frequency modulation, drum kit."""

from __future__ import annotations

import numpy as np
import scipy


def plucked_string(
    frequency: float, seconds: float, sample_rate: int, rng: np.random.Generator, decay: float = 1.5, partials: float = 8.0
) -> np.ndarray:
    """A string that is plucked once: noise runs round a delay line with a low-pass filter.

    K. Karplus and A. Strong, "Digital synthesis of plucked-string and drum timbres", Computer Music Journal 7(2), 1983; tuned
    between samples by linear interpolation as in D. Jaffe and J. O. Smith, same issue.

    Args:
        frequency: Hz, below a quarter of the sample rate.
        seconds: length.
        sample_rate: Hz.
        rng: of the noise.
        decay: seconds until the lowest partial has fallen by 60 dB.
        partials: up to about which the noise is strong: few for a thumb, many for a plectrum.

    Returns:
        (time,), its peak is 1; the end is faded over 10 ms.
    """
    period = sample_rate / frequency
    delay = int(period - 0.5)  # the mean of two neighbours delays by half a sample
    between = period - 0.5 - delay
    loss = 10.0 ** (-3 * period / (decay * sample_rate))
    taps = loss * np.array([between / 2, 0.5, (1 - between) / 2])  # of y[n - delay - 2], y[n - delay - 1], y[n - delay]
    number = np.arange(1, delay // 2 + 2)
    turns = np.exp(2j * np.pi * rng.random(len(number)))
    start = np.fft.irfft(np.concatenate([[0], turns / (1 + (number / partials) ** 2)]), delay + 2)
    length = round(seconds * sample_rate)
    sound = np.concatenate([start, np.empty(length + delay)])
    for begin in range(len(start), len(start) + length, delay):
        sound[begin : begin + delay] = np.convolve(sound[begin - delay - 2 : begin], taps[::-1], mode="valid")[:delay]
    return _finish(sound[:length], sample_rate)


def fm_tone(
    frequency: float,
    seconds: float,
    sample_rate: int,
    ratio: float = 1.0,
    index: float = 2.0,
    attack: float = 0.01,
    decay: float | None = None,
) -> np.ndarray:
    """One note of frequency modulation: J. Chowning, "The synthesis of complex audio spectra by means of FM", JAES 21(7), 1973.

    Args:
        frequency: of the carrier, Hz.
        seconds: length.
        sample_rate: Hz.
        ratio: frequency of the modulator over that of the carrier.
        index: of modulation, how rich the tone is; it follows the loudness.
        attack: seconds until it is loudest.
        decay: seconds until it has fallen by 60 dB; None holds it.

    Returns:
        (time,), its peak is 1; the end is faded over 10 ms.
    """
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    loudness = np.minimum(time / attack, 1.0)
    if decay is not None:
        loudness *= 10.0 ** (-3 * np.maximum(time - attack, 0.0) / decay)
    phase = 2 * np.pi * frequency * time
    return _finish(loudness * np.sin(phase + index * loudness * np.sin(ratio * phase)), sample_rate)


def drum_kit(sample_rate: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One stroke (time,) of `kick`, `snare`, `closed_hat` and `open_hat`, each with a peak of 1; `rng` tunes the kit."""
    low, drop, body = rng.uniform(42, 60), rng.uniform(80, 160), rng.uniform(0.08, 0.14)
    time = np.arange(round(0.5 * sample_rate)) / sample_rate
    phase = 2 * np.pi * (low * time + drop * 0.03 * (1 - np.exp(-time / 0.03)))  # falls from low + drop to low
    kick = np.sin(phase) * np.exp(-time / body) + 0.3 * _noise(rng, time, 0.004)

    head, ring = rng.uniform(160, 220), rng.uniform(0.05, 0.09)
    time = np.arange(round(0.35 * sample_rate)) / sample_rate
    snare = sum(np.sin(2 * np.pi * head * partial * time) for partial in (1.0, 1.59)) * np.exp(-time / ring) * 0.5
    snare = snare + _high_pass(_noise(rng, time, rng.uniform(0.07, 0.12)), 900, sample_rate)

    edge = rng.uniform(5500, 7500)
    kit = {"kick": kick, "snare": snare}
    for name, decay in (("closed_hat", rng.uniform(0.02, 0.04)), ("open_hat", rng.uniform(0.12, 0.2))):
        time = np.arange(round(5 * decay * sample_rate)) / sample_rate
        kit[name] = _high_pass(_noise(rng, time, decay), edge, sample_rate)
    return {name: _finish(sound, sample_rate) for name, sound in kit.items()}


def _noise(rng: np.random.Generator, time: np.ndarray, decay: float) -> np.ndarray:
    return rng.uniform(-1, 1, len(time)) * np.exp(-time / decay)


def _high_pass(sound: np.ndarray, edge: float, sample_rate: int) -> np.ndarray:
    sections = scipy.signal.butter(2, min(edge, 0.4 * sample_rate), "highpass", fs=sample_rate, output="sos")
    return scipy.signal.sosfilt(sections, sound)


def _finish(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Bring the peak to 1 and the end to 0, so that nothing clicks."""
    fade = min(len(sound), round(0.01 * sample_rate))
    sound = sound / (np.abs(sound).max(initial=0.0) + 1e-12)
    sound[len(sound) - fade :] *= np.linspace(1, 0, fade)
    return sound
