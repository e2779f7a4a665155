"""Sopranos as music21 itself plays them: repeats and paddings of the whole score, then what begins at each tick."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from toolkit.corpora._bach_chorales import bars, read, read_soprano
from toolkit.dsp.tick_grid import HOLD, REST

TICKS = (Fraction(0), Fraction(1, 4), Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(3, 4))


def padded(name: str) -> Any:
    """The whole score, its upbeat filled with a rest in the soprano and its last bar in the bass, as AR-VAE's code does it."""
    music21 = pytest.importorskip("music21")
    score = music21.corpus.parse(name, forceSource=True).expandRepeats()
    measures = list(score.recurse().getElementsByClass(music21.stream.Measure))
    first, last = measures[0], measures[-1]
    if first.barDurationProportion() not in (1, 1 - measures[1].barDurationProportion()):
        upbeat = first.paddingLeft
        first.insertAndShift(0.0, music21.note.Rest(quarterLength=upbeat))
        for measure in measures[1:]:
            measure.offset += upbeat
    if last.barDurationProportion() != 1:
        last.append(music21.note.Rest(quarterLength=last.paddingRight))
    return score


@pytest.mark.parametrize("name", ["bach/bwv269", "bach/bwv153.1", "bach/bwv281", "bach/bwv324", "bach/bwv244.10"])
def test_a_soprano_tick_by_tick(name: str) -> None:
    score = padded(name)
    begins = {
        Fraction(event.offset).limit_denominator(96): REST if event.isRest else event.pitch.midi
        for event in score.parts[0].flatten().notesAndRests
    }
    times = [beat + tick for beat in range(int(score.highestTime) + 1) for tick in TICKS][: int(score.highestTime * 6)]
    expected = [begins.get(time, HOLD) for time in times]
    assert np.array(read_soprano(name)["tokens"]).tolist() == expected


def test_transposed_notes_are_called_as_music21_calls_them() -> None:
    """All transpositions from 55 to 84, by the intervals that music21 names for so many semitones."""
    music21 = pytest.importorskip("music21")
    name = "bach/bwv324"
    pieces = read(nj=1, chosen=[name])
    made = bars(pieces, margins=False)
    soprano = music21.corpus.parse(name, forceSource=True).parts[0].flatten().notes
    assert len(set(made.semitones)) == 30 - (int(pieces[0].tokens[pieces[0].tokens < 128].max()) - int(pieces[0].tokens.min()))
    for semitones in np.unique(made.semitones):
        specifier, generic = music21.interval.convertSemitoneToSpecifierGeneric(int(semitones))
        interval = music21.interval.Interval(f"{generic}{specifier}")
        expected = [note.pitch.transpose(interval) for note in soprano]
        ours = made.tokens[made.semitones == semitones], made.fifths[made.semitones == semitones]
        pitched = ours[0] < 128
        found = list(zip(ours[0][pitched].tolist(), ours[1][pitched].tolist(), strict=True))
        named = [(pitch.midi, "FCGDAEB".index(pitch.step) - 1 + 7 * int(pitch.alter)) for pitch in expected]
        assert found == named[: len(found)]
        assert len(found) > 20
