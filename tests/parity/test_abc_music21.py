"""Tunes in ABC notation, note by note, against music21."""

from fractions import Fraction

import pytest

from toolkit.corpora import _nottingham_mini as mini
from toolkit.data import abc
from toolkit.data.abc_music import bars

converter = pytest.importorskip("music21.converter")
TUNES = """X:1
T:Lengths
M:4/4
L:1/8
K:Bb
B,2 C D/2E/4F/4 z2 G3/2A/|[B2d2]c>d e<f (3gab|c'2 =B4 _A2|^f f =f f F4|]

X:2
T:Modes
M:6/8
K:Ador
ABc def|^g3 z3|(2AB (2cd|[1 a6:|[2 A6||

X:4
T:Chords and fields
M:2/4
L:1/4
K:F
(3a/4g/4f/4|"F"[c/2 A/2 ][fA/2]|[eB]-[eB]|\\
M:3/4
K:D
"D7"f3 :|  [2 c2||[M:2/4]c>B|

X:3
T:Minor
M:3/4
L:1/4
K:C#m
c d e|f3|g/a/ b/c'/ a|c3|]
"""


def heard(text: str) -> list[tuple[tuple[int, ...], Fraction]]:
    """Pitches, from the lowest, and durations in whole notes, as music21 reads them.

    It lets accidentals hold to the end of the bar only where the text says that it keeps standard 2.1.
    """
    notes = []
    for element in converter.parse("%abc-2.1\n" + text, format="abc", forceSource=True).recurse().notesAndRests:
        if not element.duration.isGrace and "ChordSymbol" not in element.classes:
            notes.append(
                (tuple(sorted(p.midi for p in element.pitches)), Fraction(element.quarterLength).limit_denominator(96) / 4)
            )
    return notes


@pytest.mark.parametrize("text", [TUNES, mini.collection(seed=0, tunes=2)["reelsa-c.abc"]], ids=["by hand", "generated"])
def test_notes_are_music21s(text):
    for tune in abc.parse(text).tunes:
        own = [(tuple(sorted(note.pitches)), note.duration) for bar in bars(tune) for note in bar.notes]
        assert own == heard(f"X:1\nT:x\n{tune.text()}"), tune.title
