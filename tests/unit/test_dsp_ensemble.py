"""Pieces for chosen instruments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from toolkit.dsp.ensemble import INSTRUMENTS, OPENMIC_INSTRUMENTS, play

OPENMIC = list(OPENMIC_INSTRUMENTS)
RATE = 16000


def picture(sound: np.ndarray) -> np.ndarray:
    """How strong a sound is in third octaves (mean and change over time), dB; its loudness does not count."""
    frequency, _, spectra = signal.stft(sound.mean(0), RATE, nperseg=1024)
    edges = 60 * 2.0 ** (np.arange(22) / 3)
    power = np.abs(spectra) ** 2
    bands = np.stack([power[(frequency >= low) & (frequency < 1.3 * low)].sum(0) for low in edges])
    levels = 10 * np.log10(bands + 1e-5 * power.sum(0).mean())
    return np.concatenate([levels.mean(1) - levels.mean(), levels.std(1)])


def test_a_piece() -> None:
    piece = play(["piano", "drums", "voice"], 2.5, RATE, seed=1, tempo=90.0, level=0.5)
    assert piece.shape == (2, 40000)
    assert piece.dtype == np.float32
    assert np.abs(piece).max() == pytest.approx(0.5)
    assert not np.array_equal(piece[0], piece[1])
    np.testing.assert_array_equal(piece, play(["piano", "drums", "voice"], 2.5, RATE, seed=1, tempo=90.0, level=0.5))
    for other in (play(["piano", "drums", "voice"], 2.5, RATE, seed=2), play(["piano", "drums"], 2.5, RATE, seed=1)):
        assert not np.allclose(piece, other)


def test_the_names_are_those_of_openmic() -> None:
    assert len(OPENMIC) == 20
    assert list(OPENMIC) == sorted(OPENMIC)
    assert (OPENMIC[0], OPENMIC[-1]) == ("accordion", "voice")
    assert {"harpsichord", "harp", "sitar", "strings", "choir", "male_voice", "female_voice"} <= set(INSTRUMENTS)


def test_an_unknown_instrument() -> None:
    with pytest.raises(ValueError, match="no instrument 'kazoo'; known: accordion, banjo"):
        play(["piano", "kazoo"], 1.0, RATE, seed=0)


def test_nobody_plays() -> None:
    assert not play([], 1.0, RATE, seed=0).any()


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_every_instrument_is_heard(name: str) -> None:
    piece = play([name], 1.5, RATE, seed=3)
    assert np.isfinite(piece).all()
    assert 0.1 < np.abs(piece).max() < 1.0
    assert np.sqrt(np.mean(piece**2)) > 0.003


@given(samples=st.integers(1, 9000), rate=st.sampled_from([8000, 22050, 44100]), name=st.sampled_from(OPENMIC))
@settings(max_examples=15, deadline=None)
def test_odd_lengths(samples: int, rate: int, name: str) -> None:
    piece = play([name], samples / rate, rate, seed=samples)
    assert piece.shape == (2, samples)
    assert np.isfinite(piece).all()
    assert np.abs(piece).max() < 1.0


def test_instruments_are_told_apart_whatever_they_play() -> None:
    """The nearest of two examples of each names most instruments."""
    known = {name: np.mean([picture(play([name], 2.0, RATE, seed)) for seed in range(2)], axis=0) for name in OPENMIC}
    heard = {name: picture(play([name], 2.0, RATE, seed=7)) for name in OPENMIC}
    named = {name: min(known, key=lambda other: float(np.sum((known[other] - sound) ** 2))) for name, sound in heard.items()}
    right = sum(name == given_name for name, given_name in named.items())
    assert right >= 15, named
