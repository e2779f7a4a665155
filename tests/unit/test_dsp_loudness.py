"""Loudness (ITU-R BS.1770)."""

import numpy as np
import pytest

from toolkit.dsp.loudness import integrated_loudness

RATE = 48000


def tone(seconds: float, amplitude: float = 1.0, frequency: float = 997.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


def test_full_scale_tone_on_one_channel_is_minus_three() -> None:
    assert integrated_loudness(tone(2), RATE) == pytest.approx(-3.01, abs=0.05)  # BS.1770-4, annex 1


def test_two_equal_channels_are_three_decibels_louder() -> None:
    mono = integrated_loudness(tone(2), RATE)
    assert integrated_loudness(np.stack([tone(2), tone(2)]), RATE) - mono == pytest.approx(3.01, abs=0.001)


def test_pauses_do_not_count() -> None:
    with_pause = np.concatenate([tone(4, 0.1), np.zeros(8 * RATE), tone(4, 0.1)])
    assert integrated_loudness(with_pause, RATE) == pytest.approx(integrated_loudness(tone(8, 0.1), RATE), abs=0.2)


def test_gain_shifts_loudness() -> None:
    assert integrated_loudness(tone(1, 0.05), RATE) - integrated_loudness(tone(1, 0.5), RATE) == pytest.approx(-20, abs=1e-6)


def test_silence_is_minus_infinity_and_a_click_is_refused() -> None:
    assert integrated_loudness(np.zeros(RATE), RATE) == -np.inf
    with pytest.raises(ValueError, match=r"at least 0.4 s, found 0.100 s"):
        integrated_loudness(tone(0.1), RATE)
