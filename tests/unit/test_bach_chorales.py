"""Sopranos of chorales as bars of ticks."""

import sys
from pathlib import Path

import numpy as np
import pytest

from toolkit.corpora._bach_chorales import BAR, Chorale, bars, names, read, read_soprano, split
from toolkit.corpora._bach_chorales_mini import make_mini
from toolkit.dsp.bar_attributes import attributes
from toolkit.dsp.tick_grid import END, HOLD, REST, SIXTEENTHS_AND_TRIPLETS, START
from toolkit.log import UserError


def soprano(*pitches: int, meter: str = "4/4") -> Chorale:
    """Quarter notes, all of them called C."""
    tokens = np.array([token for pitch in pitches for token in (pitch, *[HOLD] * 5)], np.uint8)
    return Chorale("ours", (meter,), tokens, np.zeros(len(tokens), np.int8))


class TestChoraleBars:
    def test_bars_in_all_transpositions(self) -> None:
        """From 60 to 67: down to 55, up to 84."""
        made = bars([soprano(60, 62, 64, 65, 67, 65, 64, 62)], margins=False)
        assert made.tokens.shape == (2 * 23, BAR)
        assert made.tokens.dtype == np.uint8
        assert made.semitones.tolist() == sorted([*range(-5, 18)] * 2)
        assert made.tokens[:2, ::6].tolist() == [[55, 57, 59, 60], [62, 60, 59, 57]]
        assert made.tokens[-2:, ::6].tolist() == [[77, 79, 81, 82], [84, 82, 81, 79]]

    def test_margins(self) -> None:
        made = bars([soprano(60, 62, 64, 65, 67)], transpose=False)
        assert (made.tokens[0] == START).all()
        assert made.tokens[1, ::6].tolist() == [60, 62, 64, 65]
        assert made.tokens[2].tolist() == [67, *[HOLD] * 5, *[END] * 18]
        assert len(bars([soprano(60, 62, 64, 65, 67)], transpose=False, margins=False).tokens) == 1

    def test_less_than_a_beat_makes_no_bar(self) -> None:
        short = soprano(60, 62, 64, 65)
        longer = short._replace(tokens=np.append(short.tokens, [60, HOLD]).astype(np.uint8), fifths=np.zeros(26, np.int8))
        assert len(bars([longer], transpose=False).tokens) == 2

    def test_other_meters(self) -> None:
        pieces = [soprano(60, 62, 64, meter="3/4"), soprano(60, 62, 64, 65), soprano(60)._replace(meters=("3/4", "4/4"))]
        assert set(bars(pieces).chorale) == {1}
        assert set(bars(pieces, meter=None).chorale) == {0, 1, 2}
        assert bars(pieces, meter="6/8").tokens.shape == (0, BAR)

    def test_a_melody_of_too_wide_a_range_fits_nowhere(self) -> None:
        assert len(bars([soprano(50, 80, 60, 70)]).tokens) == 0
        assert len(bars([soprano(55, 84, 60, 70)], margins=False).tokens) == 1

    def test_names_of_notes(self) -> None:
        """B flat and C sharp; one semitone up C flat and D, one down A and B sharp, a fifth up F and G sharp."""
        tokens = np.array([70, *[HOLD] * 11, 73, *[HOLD] * 11], np.uint8)
        fifths = np.zeros(24, np.int8)
        fifths[[0, 12]] = -2, 7
        made = bars([Chorale("ours", ("4/4",), tokens, fifths)], margins=False)
        named = {interval: made.fifths[made.semitones == interval][0, [0, 12]].tolist() for interval in (-1, 0, 1, 7, -12)}
        assert named == {0: [-2, 7], 1: [-7, 2], -1: [3, 12], 7: [-1, 8], -12: [-2, 7]}
        assert not made.fifths[made.tokens > 127].any()
        assert made.spelled().dtype == np.int16
        assert (made.spelled() % 256 == made.tokens).all()
        assert len(np.unique(made.spelled())) > len(np.unique(made.tokens))

    def test_shares(self) -> None:
        parts = split(4826)
        assert parts == {"train": slice(0, 3378), "valid": slice(3378, 4343), "test": slice(4584, 4826)}


class TestMiniChorales:
    def test_as_real_ones(self) -> None:
        pieces = make_mini()
        made = bars(pieces)
        assert set(made.chorale) == set(range(8))
        assert 1000 < len(made.tokens) < 2500
        notes = made.tokens[made.tokens < 128]
        assert (notes.min(), notes.max()) == (55, 84)
        assert set(np.unique(made.tokens[made.tokens > 127])) == {HOLD, REST, START}
        assert pieces[1].tokens[0] == REST
        assert len(np.unique(made.spelled())) > len(np.unique(made.tokens))
        for piece in pieces:
            assert (
                SIXTEENTHS_AND_TRIPLETS.encode(SIXTEENTHS_AND_TRIPLETS.decode(piece.tokens), len(piece.tokens)) == piece.tokens
            ).all()

    def test_every_attribute_varies(self) -> None:
        assert (attributes(bars(make_mini(), margins=False).tokens).std(0) > 0.02).all()

    def test_of_a_seed(self) -> None:
        assert (make_mini(3)[0].tokens == make_mini(3)[0].tokens).all()
        assert len(make_mini(3, 2)) == 2
        assert any(not np.array_equal(a.tokens, b.tokens) for a, b in zip(make_mini(3), make_mini(4), strict=True))


class TestRealChorales:
    @pytest.fixture(autouse=True)
    def _music21(self) -> None:
        pytest.importorskip("music21")

    def test_names(self) -> None:
        found = names()
        assert len(found) == 371
        assert len(set(found)) == 350
        assert found[:2] == ["bach/bwv269", "bach/bwv347"]

    def test_a_chorale(self) -> None:
        """An upbeat of a quarter; 13 bars are written, the first part of which is repeated; the last note fills its bar."""
        found = read_soprano("bach/bwv347")
        tokens = np.array(found["tokens"])
        assert found["meters"] == ["4/4"]
        assert len(tokens) == 18 * BAR
        assert tokens[:18].tolist() == [REST, *[HOLD] * 17]
        first = [note.pitch for note in SIXTEENTHS_AND_TRIPLETS.decode(tokens[18 : 3 * BAR])]
        assert first == [69, 69, 69, 69, 71, 67, 66, 64, 71]
        assert tokens[-17:].tolist() == [HOLD] * 17
        assert np.array(found["fifths"])[tokens < 128][:7].tolist() == [3, 3, 3, 3, 5, 1, 6]  # A A A A B G F sharp

    def test_what_cannot_be_used_is_left_out(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        chosen = ["bach/bwv347", "bach/bwv41.6", "bach/bwv347"]
        pieces = read(tmp_path / "journal.jsonl", nj=1, chosen=chosen)
        assert [piece.name for piece in pieces] == ["bach/bwv347", "bach/bwv347"]
        assert "bach/bwv41.6: expected 4 voices, found 9" in caplog.text
        again = read(tmp_path / "journal.jsonl", nj=1, chosen=chosen[:1])
        assert (again[0].tokens == pieces[0].tokens).all()


def test_without_music21(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(UserError, match=r"not installed .* Next: pip install music21"):
        names()
