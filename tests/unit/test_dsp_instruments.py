"""Synthetic instruments, a singer, and the band that they make."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.dsp.band import STEMS, play
from toolkit.dsp.instruments import drum_kit, fm_tone, plucked_string
from toolkit.dsp.stereo import pan, reverberate
from toolkit.dsp.voices import Note, sing

RATE = 16000


def pitch(sound: np.ndarray, near: float) -> float:
    """The strongest frequency within a semitone of `near`, Hz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 16 * len(sound)))
    frequency = np.fft.rfftfreq(16 * len(sound), 1 / RATE)
    spectrum[np.abs(np.log2(np.maximum(frequency, 1) / near)) > 1 / 12] = 0
    return frequency[spectrum.argmax()]


def power(sound: np.ndarray) -> float:
    return float(np.mean(sound**2))


def decibels(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


@given(st.floats(41, 1000), st.integers(0, 99))
@settings(max_examples=15)
def test_a_string_is_in_tune_and_fades(frequency: float, seed: int) -> None:
    string = plucked_string(frequency, 1.0, RATE, np.random.default_rng(seed), decay=2.0)
    assert len(string) == RATE
    assert np.abs(string).max() == pytest.approx(1.0)
    assert pitch(string, frequency) == pytest.approx(frequency, rel=0.01)
    begin, end = string[: RATE // 4], string[-RATE // 4 :]
    assert decibels(power(begin) / power(end)) > 15  # 60 dB in 2 s are 22 dB in three quarters of one


def test_frequency_modulation() -> None:
    plain, rich = fm_tone(220.0, 1.0, RATE, index=0.0), fm_tone(220.0, 1.0, RATE, ratio=2.0, index=2.0)
    for tone in (plain, rich):
        assert pitch(tone, 220.0) == pytest.approx(220.0, rel=1e-3)
    spectra = [np.abs(np.fft.rfft(tone)) ** 2 for tone in (plain, rich)]
    above = [spectrum[440:].sum() / spectrum.sum() for spectrum in spectra]  # bins of 1 Hz
    assert above[0] < 0.01 < 0.3 < above[1]
    dying = fm_tone(220.0, 1.0, RATE, decay=1.0)
    assert decibels(power(dying[1600:3200]) / power(dying[9600:11200])) == pytest.approx(30, abs=2)


def test_a_drum_kit_is_low_and_high() -> None:
    kit = drum_kit(RATE, np.random.default_rng(0))
    assert sorted(kit) == ["closed_hat", "kick", "open_hat", "snare"]
    middles = {}
    for name, stroke in kit.items():
        assert np.abs(stroke).max() == pytest.approx(1.0)
        energy = np.cumsum(np.abs(np.fft.rfft(stroke)) ** 2)
        middles[name] = np.searchsorted(energy, energy[-1] / 2) * RATE / len(stroke)
    assert middles["kick"] < 150 < middles["snare"] < 4000 < middles["closed_hat"]
    assert len(kit["open_hat"]) > 2 * len(kit["closed_hat"])
    assert not np.array_equal(kit["kick"], drum_kit(RATE, np.random.default_rng(1))["kick"])


def test_places_and_rooms() -> None:
    sound = np.random.default_rng(0).standard_normal(RATE)
    for position in (-1.0, 0.0, 0.3, 1.0):
        np.testing.assert_allclose(np.sum(pan(sound, position) ** 2, axis=0), sound**2)
    np.testing.assert_allclose(pan(sound, -1.0)[1], 0, atol=1e-12)
    click = np.zeros((2, RATE))
    click[:, 100] = 1.0
    wet = reverberate(click, RATE, np.random.default_rng(0), seconds=0.3, wet=0.1)
    np.testing.assert_allclose(wet[:, :100], 0, atol=1e-12)
    np.testing.assert_allclose(np.sum((wet - click) ** 2, axis=1), 0.1)
    assert not np.allclose(wet[0], wet[1])


def test_a_melody_is_sung_in_tune_and_only_where_it_has_notes() -> None:
    notes = [Note(0.2, 0.6, 220.0, 4), Note(0.8, 0.6, 330.0, 0)]
    sung = sing(3, notes, 2.0, RATE)
    assert len(sung) == 2 * RATE
    for note in notes:
        middle = sung[round((note.start + 0.1) * RATE) : round((note.start + note.seconds - 0.05) * RATE)]
        assert pitch(middle, note.frequency) == pytest.approx(note.frequency, rel=0.03)  # vibrato
    assert np.abs(sung[round(1.55 * RATE) :]).max() < 1e-6
    assert np.abs(sung[: round(0.05 * RATE)]).max() < 1e-6
    np.testing.assert_array_equal(sung, sing(3, notes, 2.0, RATE))
    assert not np.array_equal(sung, sing(4, notes, 2.0, RATE))
    assert not sing(3, [], 1.0, RATE).any()


def test_a_band_plays() -> None:
    stems = play(1, 2.0, RATE)
    assert tuple(stems) == STEMS
    mixture = sum(stems.values())
    assert mixture.shape == (2, 2 * RATE)
    assert np.abs(mixture).max() == pytest.approx(0.8)
    for stem in stems.values():
        assert -8 < decibels(power(stem) / power(mixture - stem)) < -2  # about equally loud
    assert decibels(power(np.diff(stems["other"], axis=0)) / power(stems["other"])) > -20  # wide
    again, other = play(1, 2.0, RATE), play(2, 2.0, RATE)
    assert all(np.array_equal(stems[name], again[name]) for name in STEMS)
    assert not any(np.array_equal(stems[name], other[name]) for name in STEMS)
    assert not play(1, 1.0, RATE, vocals=False)["vocals"].any()
