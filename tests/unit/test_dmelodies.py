"""All melodies of dMelodies from their numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.corpora import _dmelodies as dmelodies

NUMBERS = st.lists(st.integers(0, dmelodies.COUNT - 1), min_size=1, max_size=20)


def midi(numbers):
    """MIDI numbers, 0 for a rest."""
    return np.maximum(dmelodies.pitches()[dmelodies.melodies(numbers)], 0).tolist()


def number(*factors):
    return int(np.ravel_multi_index(factors, tuple(dmelodies.FACTORS.values())))


def test_how_many_there_are():
    assert dmelodies.COUNT == 1_354_752
    assert len(dmelodies.RHYTHMS) == 28
    assert dmelodies.VOCABULARY == len(dmelodies.pitches()) == 52  # fifty pitches, the rest and the slur
    assert sorted(dmelodies.pitches())[2:] == list(range(60, 110))


def test_the_first_melody_is_c_major_upwards_with_rests_at_the_end_of_each_bar():
    c, e, g, f, a, high_c, b, d = 60, 64, 67, 65, 69, 72, 71, 74
    assert midi([0]) == [[c, e, g, f, a, high_c, 0, 0, g, b, d, c, e, g, 0, 0]]
    tokens = dmelodies.melodies([0])
    assert tokens.dtype == np.uint8
    assert tokens.tolist() == [[2, 3, 4, 5, 6, 7, 1, 1, 4, 8, 9, 2, 3, 4, 1, 1]]  # as they are met


def test_the_last_melody_is_b_blues_downwards_with_rests_at_the_start_of_each_bar():
    root = 95
    chords = [[6, 3, 0], [12, 9, 5], [14, 10, 6], [6, 3, 0]]
    notes = [root + interval for chord in chords for interval in chord]
    assert midi([dmelodies.COUNT - 1]) == [[0, 0, *notes[:6], 0, 0, *notes[6:]]]


def test_a_melody_by_hand():
    melody = number(2, 1, 1, 27 - 1, 1, 0, 1, 1, 0)  # D5 minor; up, down, down, up
    first = [0, 74, 0, 77, 81, 86, 82, 79]  # onsets 1 3 4 5 6 7
    second = [88, 85, 81, 74, 77, 0, 81, 0]  # onsets 0 1 2 3 4 6
    assert dmelodies.RHYTHMS[26] == (1, 3, 4, 5, 6, 7)
    assert dmelodies.RHYTHMS[1] == (0, 1, 2, 3, 4, 6)
    assert midi([melody]) == [first + second]
    assert dmelodies.factors([melody]).tolist() == [[2, 1, 1, 26, 1, 0, 1, 1, 0]]


@given(NUMBERS)
def test_factors_are_the_digits_of_the_number(numbers):
    expected = np.stack(np.unravel_index(numbers, tuple(dmelodies.FACTORS.values())), 1)
    np.testing.assert_array_equal(dmelodies.factors(numbers), expected)


@given(NUMBERS)
def test_each_bar_has_six_notes_where_its_rhythm_says(numbers):
    factors, tokens = dmelodies.factors(numbers), dmelodies.melodies(numbers)
    for values, melody in zip(factors, tokens, strict=True):
        for bar in range(2):
            onsets = np.flatnonzero(melody[8 * bar : 8 * bar + 8] != dmelodies.REST)
            assert tuple(onsets) == dmelodies.RHYTHMS[values[3 + bar]]
    assert (tokens != dmelodies.SLUR).all()


def test_chunks_leave_no_seam():
    numbers = np.arange(dmelodies.AT_ONCE - 3, dmelodies.AT_ONCE + 3)
    first = np.arange(dmelodies.AT_ONCE + 3)
    np.testing.assert_array_equal(dmelodies.melodies(first)[-6:], dmelodies.melodies(numbers))


def test_no_two_melodies_of_a_tonic_are_the_same():
    several = np.arange(0, dmelodies.COUNT // 12, 7)
    assert len(np.unique(dmelodies.melodies(several), axis=0)) == len(several)


def test_the_split_is_that_of_the_benchmark():
    split = dmelodies.split(0)
    assert [len(part) for part in split.values()] == [948_326, 270_950, 135_476]
    everything = np.concatenate(list(split.values()))
    assert (np.bincount(everything, minlength=dmelodies.COUNT) == 1).all()


def test_the_split_shuffles_as_the_benchmark_does():
    rows = np.stack([np.arange(1000)] * 2, 1)
    np.random.RandomState(1).shuffle(rows)  # which shuffles the rows of the data themselves
    np.testing.assert_array_equal(np.concatenate(list(dmelodies.split(1, 1000).values())), rows[:, 0])


def test_numbers_that_are_none():
    assert dmelodies.melodies([]).shape == (0, 16)
    for wrong in (-1, dmelodies.COUNT):
        with pytest.raises(ValueError, match="melodies: expected numbers from 0 to 1354751"):
            dmelodies.melodies([wrong])
