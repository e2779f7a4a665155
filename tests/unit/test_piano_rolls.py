"""Scores as pictures."""

import re

import pytest

from toolkit.dsp.notes import NoteEvent
from toolkit.report.piano_rolls import Traversal, piano_roll, traversals

SCALE = [NoteEvent(12 * place, 12, pitch) for place, pitch in enumerate((60, 62, 64, 65))]
HELD = [NoteEvent(0, 48, 72)]


def texts(picture: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture)


class TestPianoRolls:
    def test_a_melody(self) -> None:
        picture = piano_roll([*SCALE, NoteEvent(48, 24, 67)], 96)
        assert 'aria-label="Piano roll of 5 notes in 2 bars"' in picture
        assert {"C4", "1", "2", "bar"} <= set(texts(picture))
        assert "var(--series-0)" in picture
        assert "#010203" not in picture

    def test_nothing_to_play(self) -> None:
        assert "0 notes" in piano_roll([], 48)

    def test_a_row_for_each_attribute(self) -> None:
        rows = [
            Traversal("note_density", [[], HELD, SCALE], [0.0, 1 / 24, 4 / 24]),
            Traversal("pitch_range", [HELD, HELD, SCALE], [0.0, 0.0, 5 / 26]),
        ]
        picture = traversals(rows)
        assert {"note density", "pitch range", "C4", "C5"} <= set(texts(picture))
        assert "note_density: 0.00, 0.04, 0.17; pitch_range: 0.00, 0.00, 0.19" in picture
        assert picture == traversals(rows)

    @pytest.mark.parametrize(
        "rows", [[], [Traversal("contour", [], [])], [Traversal("contour", [HELD], [0.0]), Traversal("pitch_range", [], [])]]
    )
    def test_rows_of_different_lengths(self, rows: list[Traversal]) -> None:
        with pytest.raises(ValueError, match="as many bars and values each"):
            traversals(rows)
