"""Melodies as tokens: notes to ticks and back."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.dsp.notes import HELD, SILENT, STRUCK, NoteEvent, joined, moved, piano_roll, voices
from toolkit.dsp.tick_grid import (
    EIGHTHS,
    END,
    HOLD,
    REST,
    SIXTEENTHS_AND_TRIPLETS,
    START,
    TickGrid,
    name,
    transposed,
    vocabulary,
)

BAR = 24
GRIDS = [SIXTEENTHS_AND_TRIPLETS, EIGHTHS, TickGrid((0, 4, 8)), TickGrid((0,), beat=18)]


@st.composite
def melodies(draw: st.DrawFn) -> tuple[TickGrid, int, list[NoteEvent]]:
    """A grid, a number of ticks, and notes on them, none at the same time."""
    grid = draw(st.sampled_from(GRIDS))
    ticks = draw(st.integers(1, 2 * BAR))
    steps = grid.boundaries(ticks)
    cuts = sorted(draw(st.sets(st.integers(0, ticks), max_size=12)))
    notes = []
    for begin, end in pairwise(cuts):
        if draw(st.booleans()):
            notes.append(NoteEvent(int(steps[begin]), int(steps[end] - steps[begin]), draw(st.integers(0, 127))))
    return grid, ticks, notes


class TestTickGrid:
    def test_a_bar(self) -> None:
        """A quarter note, two sixteenths and an eighth, a quarter's rest, a triplet."""
        notes = [NoteEvent(0, 12, 67), NoteEvent(12, 3, 69), NoteEvent(15, 3, 71), NoteEvent(18, 6, 72)]
        notes += [NoteEvent(36, 4, 71), NoteEvent(40, 4, 69), NoteEvent(44, 4, 67)]
        tokens = SIXTEENTHS_AND_TRIPLETS.encode(notes, BAR)
        _ = HOLD
        assert tokens.tolist() == [67, _, _, _, _, _, 69, 71, _, 72, _, _, REST, _, _, _, _, _, 71, _, 69, _, 67, _]
        assert tokens.dtype == np.uint8
        assert SIXTEENTHS_AND_TRIPLETS.decode(tokens) == notes

    @given(melodies())
    def test_what_was_encoded_is_decoded(self, melody: tuple[TickGrid, int, list[NoteEvent]]) -> None:
        grid, ticks, notes = melody
        assert grid.decode(grid.encode(notes, ticks)) == notes

    @given(st.lists(st.sampled_from([HOLD, HOLD, HOLD, REST, 60, 62, 127, 0]), min_size=1, max_size=50))
    def test_what_a_model_writes_is_decoded_to_what_sounds_the_same(self, tokens: list[int]) -> None:
        notes = EIGHTHS.decode(tokens)
        assert EIGHTHS.decode(EIGHTHS.encode(notes, len(tokens))) == notes

    def test_beyond_the_ends_of_a_piece_nothing_sounds(self) -> None:
        assert EIGHTHS.decode([START, START, 60, HOLD, END, END]) == [NoteEvent(12, 12, 60)]
        assert EIGHTHS.decode([HOLD, HOLD, 60]) == [NoteEvent(12, 6, 60)]

    @pytest.mark.parametrize(
        "notes",
        [
            [NoteEvent(1, 5, 60)],  # between ticks
            [NoteEvent(0, 5, 60)],
            [NoteEvent(0, 0, 60)],
            [NoteEvent(0, 12, 60), NoteEvent(6, 6, 62)],  # at the same time
            [NoteEvent(42, 12, 60)],  # beyond the bar
            [NoteEvent(-6, 12, 60)],
            [NoteEvent(0, 12, 128)],
        ],
    )
    def test_what_the_grid_cannot_hold(self, notes: list[NoteEvent]) -> None:
        with pytest.raises(ValueError, match="expected"):
            EIGHTHS.encode(notes, 8)

    @pytest.mark.parametrize("ticks", [(), (3, 6), (0, 6, 6), (0, 12)])
    def test_no_grid(self, ticks: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="expected ticks that rise"):
            TickGrid(ticks)

    def test_transposition_moves_notes_alone(self) -> None:
        tokens = np.array([[60, HOLD, REST, START], [67, HOLD, HOLD, END]], np.uint8)
        assert transposed(tokens, -3).tolist() == [[57, HOLD, REST, START], [64, HOLD, HOLD, END]]
        with pytest.raises(ValueError, match="leaves the MIDI numbers"):
            transposed(tokens, 61)

    def test_a_vocabulary_numbers_what_occurs(self) -> None:
        tokens = np.array([[67, HOLD, REST], [60, HOLD, HOLD]], np.uint8)
        known = vocabulary(tokens)
        assert [name(int(token)) for token in known] == ["C4", "G4", "hold", "rest"]
        numbers = np.searchsorted(known, tokens)
        assert numbers.tolist() == [[1, 2, 3], [0, 2, 2]]
        assert (known[numbers] == tokens).all()


class TestNoteLists:
    def test_piano_roll(self) -> None:
        roll = piano_roll([NoteEvent(0, 3, 60), NoteEvent(3, 1, 62), NoteEvent(1, 9, 90)], 4, low=60, high=62)
        assert roll.tolist() == [[STRUCK, HELD, HELD, SILENT], [SILENT] * 4, [SILENT, SILENT, SILENT, STRUCK]]

    def test_what_lies_partly_outside_is_cut(self) -> None:
        assert piano_roll([NoteEvent(-2, 4, 60), NoteEvent(-9, 3, 60)], 4, 60, 60).tolist() == [[HELD, HELD, SILENT, SILENT]]

    def test_chords_are_parted_into_voices(self) -> None:
        chord = [NoteEvent(0, 12, 60), NoteEvent(0, 6, 64), NoteEvent(6, 6, 65), NoteEvent(0, 12, 67)]
        assert voices(chord) == [[chord[3]], [chord[1], chord[2]], [chord[0]]]

    def test_parts_one_after_the_other(self) -> None:
        assert joined([[NoteEvent(0, 6, 60)], [NoteEvent(6, 6, 62)]], 12) == [NoteEvent(0, 6, 60), NoteEvent(18, 6, 62)]
        assert moved([NoteEvent(0, 6, 60)], 3, -2) == [NoteEvent(3, 6, 58)]
