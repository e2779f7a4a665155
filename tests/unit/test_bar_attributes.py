"""Attributes of bars, on bars made by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.dsp.bar_attributes import ATTRIBUTES, attributes, contour, note_density, pitch_range, rhythmic_complexity
from toolkit.dsp.notes import NoteEvent
from toolkit.dsp.tick_grid import END, HOLD, REST, SIXTEENTHS_AND_TRIPLETS, START, transposed

WHOLE = 0.2 + 0.67 + 0.25 + 0.67 + 4 * 6.5  # of all weights


def bar(*notes: tuple[int, int, int]) -> np.ndarray:
    return SIXTEENTHS_AND_TRIPLETS.encode([NoteEvent(*note) for note in notes], 24)


QUARTERS = bar((0, 12, 67), (12, 12, 71), (24, 12, 74), (36, 12, 69))
SYNCOPES = bar((0, 6, 67), (6, 12, 67), (18, 12, 67), (30, 12, 67), (42, 6, 67))
TRIPLET = bar((0, 36, 80), (36, 4, 79), (40, 4, 78), (44, 4, 54))
ONE = bar((12, 36, 60))


class TestBarAttributes:
    def test_by_hand(self) -> None:
        found = attributes(np.stack([QUARTERS, SYNCOPES, TRIPLET, ONE]))
        expected = [
            [(0.2 + 0.67 + 0.25 + 0.67) / WHOLE, 7 / 26, 4 / 24, 2 / 26],
            [(0.2 + 4 * 0.5) / WHOLE, 0, 5 / 24, 0],
            [(0.2 + 0.67 + 2 + 2) / WHOLE, 1, 4 / 24, -1],
            [0.67 / WHOLE, 0, 1 / 24, 0],
        ]
        assert found == pytest.approx(np.array(expected), rel=1e-6)
        assert found.dtype == np.float32

    @pytest.mark.parametrize("token", [HOLD, REST, START, END])
    def test_a_bar_without_notes_has_nothing(self, token: int) -> None:
        assert (attributes(np.full((1, 24), token, np.uint8)) == 0).all()

    def test_every_tick_is_as_complex_as_can_be(self) -> None:
        assert rhythmic_complexity(np.full(24, 60)) == 1
        assert note_density(np.full(24, 60)) == 1

    @given(st.lists(st.sampled_from([HOLD, REST, START, END, *range(30, 90)]), min_size=24, max_size=24), st.integers(-30, 30))
    def test_as_one_would_count_note_by_note(self, tokens: list[int], semitones: int) -> None:
        pitches = [token for token in tokens if token < 128]
        steps = sum(after - before for before, after in pairwise(pitches))
        assert pitch_range(tokens) == pytest.approx((max(pitches, default=0) - min(pitches, default=0)) / 26)
        assert contour(tokens) == pytest.approx(steps / 26)
        assert note_density(tokens) == pytest.approx(len(pitches) / 24)
        bars = np.array(tokens, np.uint8)
        assert attributes(transposed(bars, semitones)) == pytest.approx(attributes(bars))

    def test_chosen_by_name(self) -> None:
        assert list(ATTRIBUTES) == ["rhythmic_complexity", "pitch_range", "note_density", "contour"]
        assert attributes(QUARTERS, ["contour"]) == pytest.approx([2 / 26])

    def test_weights_are_of_24_ticks(self) -> None:
        with pytest.raises(ValueError, match="24 ticks, found 16"):
            rhythmic_complexity(np.zeros((3, 16)))
