"""Synthetic voices and what they are made of."""

import numpy as np
import pytest

from toolkit.dsp import synths
from toolkit.dsp.voices import speak, speaker


def test_a_voice_is_the_same_every_time() -> None:
    first = speak(3, 14, seconds=1.5, sample_rate=8000)
    assert first.shape == (12000,)
    assert first.dtype == np.float32
    assert np.array_equal(first, speak(3, 14, 1.5, 8000))
    assert not np.array_equal(first, speak(3, 15, 1.5, 8000))
    assert not np.array_equal(first, speak(4, 14, 1.5, 8000))


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
@pytest.mark.parametrize("seconds", [0.05, 0.333, 4.0])
def test_a_voice_has_its_length_and_level(seconds: float, sample_rate: int) -> None:
    waveform = speak(0, 0, seconds, sample_rate)
    assert len(waveform) == round(seconds * sample_rate)
    assert np.isfinite(waveform).all()
    assert np.abs(waveform).max() < 1.0
    if seconds > 1:
        assert 0.02 < waveform.std() < 0.2


def test_speakers_differ_in_pitch_and_tract() -> None:
    speakers = [speaker(seed) for seed in range(30)]
    pitches = sorted(s.pitch for s in speakers)
    assert 60 < pitches[0] < 90
    assert 230 < pitches[-1] < 300
    tracts = [s.formant_scale.mean() for s in sorted(speakers, key=lambda s: s.pitch)]
    assert np.mean(tracts[:10]) < np.mean(tracts[-10:])


def test_two_voices_can_be_separated_by_an_ideal_mask_but_not_by_a_filter() -> None:
    """Power ratio of a mixture's parts, by time and frequency and by frequency alone (D. Wang's "ideal ratio mask")."""
    voices = [speak(seed, 0, 4.0, 8000) for seed in (1, 2)]
    frames = [np.lib.stride_tricks.sliding_window_view(v / v.std(), 256)[::64] * np.hanning(256) for v in voices]
    first, second = (np.fft.rfft(f, axis=1) for f in frames)

    def snr(mask: np.ndarray) -> float:
        error = mask * (first + second) - first
        return 10 * np.log10(np.sum(np.abs(first) ** 2) / np.sum(np.abs(error) ** 2))

    powers = np.abs(first) ** 2, np.abs(second) ** 2
    assert snr(powers[0] / (powers[0] + powers[1] + 1e-9)) > 8
    averages = powers[0].mean(axis=0), powers[1].mean(axis=0)
    assert snr(averages[0] / (averages[0] + averages[1])) < 6


def test_pulse_train_is_the_sum_of_its_harmonics() -> None:
    sample_rate, f0 = 8000, np.full(400, 123.0)
    phase = 2 * np.pi * np.cumsum(f0 / sample_rate)
    highest = sample_rate / 2 / 123.0 - 1  # the topmost one is only partly there
    harmonics = np.arange(1, int(highest) + 1)
    expected = np.cos(harmonics[:, None] * phase).sum(axis=0) + (highest % 1) * np.cos((int(highest) + 1) * phase)
    assert np.allclose(synths.pulse_train(f0, sample_rate), expected, atol=1e-6)


def test_pulse_train_does_not_click_while_it_glides() -> None:
    gliding = synths.pulse_train(np.linspace(100, 103, 8000), 8000)
    steady = synths.pulse_train(np.full(8000, 101.5), 8000)
    assert np.abs(np.diff(gliding)).max() < 1.1 * np.abs(np.diff(steady)).max()


def test_shape_with_gain_one_changes_nothing() -> None:
    signal = np.random.default_rng(0).standard_normal(1003)
    gains = np.ones((1003 // 40 + 1, len(synths.frequencies(8000))))
    assert np.allclose(synths.shape(signal, gains, 8000), signal)


def test_shape_filters() -> None:
    frequency = synths.frequencies(8000)
    time = np.arange(8000) / 8000
    low, high = np.sin(2 * np.pi * 300 * time), np.sin(2 * np.pi * 2500 * time)
    gains = np.tile((frequency < 1000).astype(float), (8000 // 40 + 1, 1))
    assert np.abs(synths.shape(low + high, gains, 8000) - low)[400:-400].max() < 0.05
