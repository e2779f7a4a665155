"""Lists of notes as scores have them, in steps of a twelfth of a quarter note: sixteenths and triplets fall on steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 12  # of a quarter note
PITCHES = 128  # MIDI numbers
SILENT, HELD, STRUCK = 0, 1, 2  # in a piano roll

Numbers = TypeVar("Numbers", float, "Tensor")


def midi_to_hz(pitch: Numbers) -> Numbers:
    """The frequencies (Hz) of MIDI numbers of any shape, with fractions; 69 is 440 Hz."""
    return 440.0 * 2.0 ** ((pitch - 69) / 12)


class NoteEvent(NamedTuple):
    """A note.

    Attributes:
        onset: step at which it begins.
        duration: steps, at least 1.
        pitch: MIDI number, 60 being middle C.
    """

    onset: int
    duration: int
    pitch: int

    @property
    def end(self) -> int:
        """The first step after it."""
        return self.onset + self.duration


Notes = Sequence[NoteEvent]


def moved(notes: Notes, steps: int = 0, semitones: int = 0) -> list[NoteEvent]:
    """The same notes, later and higher."""
    return [NoteEvent(note.onset + steps, note.duration, note.pitch + semitones) for note in notes]


def joined(parts: Iterable[Notes], steps: int) -> list[NoteEvent]:
    """Parts one after the other, each of so many `steps`."""
    return [note for place, part in enumerate(parts) for note in moved(part, place * steps)]


def voices(notes: Notes) -> list[list[NoteEvent]]:
    """As few melodies as hold all notes, none of them with two notes at once; the earliest and highest note goes first."""
    found: list[list[NoteEvent]] = []
    for note in sorted(notes, key=lambda note: (note.onset, -note.pitch)):
        free = next((voice for voice in found if voice[-1].end <= note.onset), None)
        if free is None:
            found.append([note])
        else:
            free.append(note)
    return found


def piano_roll(notes: Notes, steps: int, low: int = 0, high: int = PITCHES - 1) -> NDArray[np.uint8]:
    """What sounds at each step: (high - low + 1, steps), STRUCK where a note begins, HELD where it goes on, else SILENT.

    Args:
        notes: those outside of the picture are left out.
        steps: length of the picture.
        low: MIDI number of its first row.
        high: MIDI number of its last row.
    """
    roll = np.zeros((high - low + 1, steps), np.uint8)
    for note in notes:
        if low <= note.pitch <= high and note.end > 0:
            row = roll[note.pitch - low]
            row[max(0, note.onset) : note.end] = np.maximum(row[max(0, note.onset) : note.end], HELD)
            if 0 <= note.onset < steps:
                row[note.onset] = STRUCK
    return roll
