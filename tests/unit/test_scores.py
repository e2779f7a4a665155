"""Scores in files."""

import sys
from pathlib import Path

import pytest

from toolkit.audio.scores import parse_abc, read_score, write_midi
from toolkit.dsp.notes import NoteEvent
from toolkit.dsp.tick_grid import HOLD, SIXTEENTHS_AND_TRIPLETS
from toolkit.log import UserError

TUNE = """X:1
T:Ours
M:4/4
L:1/8
K:G
"G" G2 A>B (3cBA G2- | G4 [GB]2 z2 |
"""


class TestScoreFiles:
    @pytest.fixture(autouse=True)
    def _music21(self) -> None:
        pytest.importorskip("music21")

    def test_a_tune_in_abc(self) -> None:
        notes = parse_abc(TUNE)
        expected = [(0, 12, 67), (12, 9, 69), (21, 3, 71), (24, 4, 72), (28, 4, 71), (32, 4, 69), (36, 36, 67)]
        assert notes == [*(NoteEvent(*note) for note in expected), NoteEvent(72, 12, 67), NoteEvent(72, 12, 71)]
        tokens = SIXTEENTHS_AND_TRIPLETS.encode(notes[:7], 36)
        assert tokens[18:].tolist() == [67, *[HOLD] * 17]

    def test_midi_there_and_back(self, tmp_path: Path) -> None:
        notes = [NoteEvent(0, 12, 60), NoteEvent(12, 4, 64), NoteEvent(16, 4, 65), NoteEvent(36, 24, 72), NoteEvent(36, 24, 48)]
        write_midi(tmp_path / "ours.mid", notes)
        assert read_score(tmp_path / "ours.mid") == sorted(notes)

    def test_no_score(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="found no file"):
            read_score(tmp_path / "missing.mid")
        (tmp_path / "broken.mid").write_bytes(b"no MIDI")
        with pytest.raises(UserError, match=r"broken\.mid: expected a score that music21 can read"):
            read_score(tmp_path / "broken.mid")


def test_music21_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(UserError, match=r"not installed .* Next: pip install music21"):
        parse_abc(TUNE)
