"""A tune that a model has written, in ABC notation, as a piano roll and as sound."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch

from toolkit.data import abc, abc_music
from toolkit.data.abc import Tune
from toolkit.dsp import note_sound
from toolkit.dsp.notes import STEPS, NoteEvent, Notes, moved
from toolkit.report import piano_rolls, sound

RATE = 16000  # Hz
SECONDS = 20.0  # of a tune that can be heard, at most
BARS = 8  # that are drawn, at most
WHOLE = 4 * STEPS  # steps of a whole note
LONGEST = 4 * WHOLE  # steps of a bar: a model may write any meter
INSTRUMENT = "flute"


@dataclass(frozen=True)
class WrittenTune:
    """One tune.

    Attributes:
        title: who wrote it.
        text: in ABC notation.
        full_bars: how many of its bars are as long as its meter, and how many there are.
        picture: SVG of the piano roll of its bars from the first note on; empty where there is no note.
        audio: data address; empty where there is no note.
    """

    title: str
    text: str
    full_bars: tuple[int, int]
    picture: str
    audio: str


def shown(title: str, text: str, tempo: float = 140.0) -> WrittenTune:
    """Read a text as a tune, draw it and play it; what is no tune is shown as text alone.

    Args:
        title: above it.
        text: fields and music.
        tempo: quarter notes a minute.
    """
    tune = as_tune(text)
    notes = [] if tune is None else note_events(tune)
    if tune is None or not notes:
        return WrittenTune(title, text, (0, 0), "", "")
    bar = bar_steps(tune)
    notes = moved(notes, -(notes[0].onset // bar * bar))
    drawn, heard = _cut(notes, BARS * bar), _cut(notes, int(SECONDS * tempo / 60 * STEPS))
    length = -(-max(note.end for note in drawn) // bar) * bar
    wave = torch.from_numpy(note_sound.play_notes(heard, RATE, tempo, INSTRUMENT))[None]
    _, (encoded,) = sound.fitting([(wave, RATE)], float("inf"), SECONDS + note_sound.TAIL)
    picture = piano_rolls.piano_roll(drawn, length, STEPS, bar)
    return WrittenTune(title, text, abc_music.full_bars(tune), picture, sound.address(encoded, RATE))


def full_bars_of(text: str) -> tuple[int, int]:
    """How many bars of a text are as long as its meter, and how many there are; none where it is no tune."""
    tune = as_tune(text)
    return (0, 0) if tune is None else abc_music.full_bars(tune)


def as_tune(text: str) -> Tune | None:
    """The first tune of a text without a number; None where there is no key or no music."""
    found = abc.parse(f"X:1\n{text}").tunes
    return found[0] if found else None


def note_events(tune: Tune) -> list[NoteEvent]:
    """Its notes one after the other, repeats played once; times are rounded to steps."""
    events, at = [], Fraction()
    for bar in abc_music.bars(tune):
        for note in bar.notes:
            begin, end = round(at * WHOLE), round((at + note.duration) * WHOLE)
            events += [NoteEvent(begin, end - begin, pitch) for pitch in note.pitches if end > begin and 0 <= pitch < 128]
            at += note.duration
    return events


def bar_steps(tune: Tune) -> int:
    """Steps of a bar in the tune's first meter; four quarters where it has none, or none that could be counted."""
    steps = next((round(bar.meter * WHOLE) for bar in abc_music.bars(tune) if bar.meter), WHOLE)
    return steps if 1 <= steps <= LONGEST else WHOLE


def _cut(notes: Notes, end: int) -> list[NoteEvent]:
    """The notes that begin before the step `end`, none lasting beyond it."""
    return [note._replace(duration=min(note.duration, end - note.onset)) for note in notes if note.onset < end]
