"""Tempo without pitch, and pitch without tempo."""

import math

import numpy as np
import pytest
import torch

from toolkit.data.augment import PitchTempo
from toolkit.dsp.stretch import change_tempo

RATE = 16000
TEMPOS = [0.88, 0.97, 1.05, 1.12]


def sine(frequency: float, seconds: float = 3.0) -> np.ndarray:
    """Two channels, the right one softer and of another phase."""
    phase = 2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE
    return np.stack([np.sin(phase), 0.5 * np.sin(phase + 1)]).astype(np.float32)


def frequency_of(signal: np.ndarray) -> float:
    """Hz of the strongest partial, by the parabola through its logarithmic spectrum."""
    size = 8 * len(signal)
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), size))
    peak = int(spectrum.argmax())
    before, here, behind = np.log(spectrum[peak - 1 : peak + 2])
    return (peak + 0.5 * (before - behind) / (before - 2 * here + behind)) * RATE / size


def cents(found: float, expected: float) -> float:
    return 1200 * math.log2(found / expected)


@pytest.mark.parametrize("tempo", TEMPOS)
@pytest.mark.parametrize("frequency", [55.0, 440.0, 3000.0])
def test_a_tone_keeps_frequency_and_level(tempo: float, frequency: float) -> None:
    tone = sine(frequency)
    changed = change_tempo(tone, tempo, RATE)
    assert changed.shape == (2, math.ceil(tone.shape[1] / tempo))
    assert changed.dtype == np.float32
    middle = changed[:, RATE // 4 : -RATE // 4]
    assert cents(frequency_of(middle[0]), frequency) == pytest.approx(0, abs=1)
    assert 20 * np.log10(middle.std(axis=1) / tone.std(axis=1)) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("tempo", TEMPOS)
def test_clicks_keep_their_distance(tempo: float) -> None:
    clicks = np.zeros((1, 4 * RATE))
    clicks[0, :: RATE // 4] = 1
    found = np.flatnonzero(np.abs(change_tempo(clicks, tempo, RATE)[0]) > 0.3) / RATE
    found = found[np.diff(found, prepend=-1) > 0.02]  # where time is stretched, a click may sound twice at once
    assert len(found) == 16
    assert np.diff(found).mean() == pytest.approx(0.25 / tempo, rel=0.005)
    assert np.abs(found - np.arange(16) * 0.25 / tempo).max() < 0.015


def test_channels_are_treated_alike() -> None:
    """A side as loud as the middle stays where it is: what two channels have in common, and how they differ."""
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, 2 * RATE))
    changed = change_tempo(np.stack([left, right, left - right]), 1.1, RATE)
    assert np.allclose(changed[0] - changed[1], changed[2])
    same = change_tempo(np.stack([left, left]), 1.1, RATE)
    assert np.array_equal(same[0], same[1])


@pytest.mark.parametrize("frames", [1, 700, 5000])
def test_short_and_silent_recordings(frames: int) -> None:
    assert change_tempo(np.ones((1, frames)), 1.1, RATE).shape == (1, math.ceil(frames / 1.1))
    assert not change_tempo(np.zeros((2, frames)), 0.9, RATE).any()
    whole = np.ones((1, frames))
    assert change_tempo(whole, 1, RATE) is whole


class Fixed:
    """A generator that draws what it is told."""

    def __init__(self, semitones: int, percent: float) -> None:
        self.semitones, self.percent = semitones, percent

    def random(self) -> float:
        return 0.0

    def integers(self, low: int, high: int) -> int:
        assert low <= self.semitones < high
        return self.semitones

    def normal(self, mean: float, deviation: float) -> float:
        return self.percent


@pytest.mark.parametrize("semitones", [-2, -1, 0, 2])
@pytest.mark.parametrize("percent", [-9.0, 0.0, 30.0])  # 30 % is cut to 12 %
def test_pitch_moves_by_semitones_and_tempo_by_percent(semitones: int, percent: float) -> None:
    tones = torch.from_numpy(np.stack([sine(440.0), sine(220.0)]))
    changed = PitchTempo(sample_rate=RATE)(tones, Fixed(semitones, percent))
    assert changed.shape == (2, 2, math.ceil(tones.shape[-1] / (1 + min(percent, 12) / 100)))
    for stem, frequency in zip(changed.numpy(), (440.0, 220.0), strict=True):
        found = frequency_of(stem[0, RATE // 4 : -RATE // 4])
        assert cents(found, frequency) == pytest.approx(100 * semitones, abs=1)


def test_one_example_in_five_is_changed() -> None:
    tone = torch.from_numpy(sine(440.0, 0.2))[None]
    change = PitchTempo(probability=0.2, max_pitch=2, max_tempo=12, tempo_std=5, sample_rate=RATE)
    lengths = [change(tone, np.random.default_rng(seed)).shape[-1] for seed in range(200)]
    assert 20 < sum(length != tone.shape[-1] for length in lengths) < 60
    assert min(lengths) >= math.floor(tone.shape[-1] / change.stretch)
