"""Melodies as tokens, one for every tick of a beat: a note begins, a rest begins, or what began before is held.

Tokens are bytes: a MIDI number below 128 begins that note, the others are HOLD, REST, and what stands beyond a piece's ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.dsp.notes import PITCHES, STEPS, NoteEvent, Notes

HOLD, REST, START, END = 128, 129, 130, 131
NAMES = {HOLD: "hold", REST: "rest", START: "start", END: "end"}

Tokens = NDArray[np.uint8]


@dataclass(frozen=True)
class TickGrid:
    """Where the ticks of a beat fall.

    Args:
        ticks: steps (twelfths of a quarter note) after the beat, the first being 0, rising.
        beat: steps.

    Raises:
        ValueError: there are no such ticks.
    """

    ticks: tuple[int, ...]
    beat: int = STEPS

    def __post_init__(self) -> None:
        rising = all(tick < following for tick, following in pairwise((*self.ticks, self.beat)))
        if self.ticks[:1] != (0,) or not rising:
            raise ValueError(f"TickGrid: expected ticks that rise from 0 to below {self.beat}, found {self.ticks}")

    def boundaries(self, ticks: int) -> NDArray[np.int64]:
        """The steps (ticks + 1) at which so many ticks begin, and that at which the last one ends."""
        beats, within = np.divmod(np.arange(ticks + 1), len(self.ticks))
        return beats * self.beat + np.array(self.ticks)[within]

    def encode(self, notes: Notes, ticks: int) -> Tokens:
        """Tokens (ticks,) of a melody that begins at step 0.

        Raises:
            ValueError: a note begins or ends between ticks, overlaps another, or lies outside of the ticks or MIDI's numbers.
        """
        at = {int(step): tick for tick, step in enumerate(self.boundaries(ticks))}
        tokens = np.full(ticks, HOLD, np.uint8)
        last = 0
        for note in sorted(notes):
            begin, end = at.get(note.onset), at.get(note.end)
            if begin is None or end is None or end <= begin:
                raise ValueError(f"{note}: expected one that begins and ends on the first {ticks} ticks of {self.ticks}")
            if begin < last or not 0 <= note.pitch < PITCHES:
                raise ValueError(f"{note}: expected a pitch from 0 to 127, and no other note at the same time")
            if begin > last:
                tokens[last] = REST
            tokens[begin] = note.pitch
            last = end
        if last < ticks:
            tokens[last] = REST
        return tokens

    def decode(self, tokens: ArrayLike) -> list[NoteEvent]:
        """The notes of tokens (T,), which begin on a beat; a note lasts until something else begins, or the tokens end."""
        array = np.asarray(tokens)
        steps = self.boundaries(len(array))
        begins = np.flatnonzero(array != HOLD)
        ends = np.append(begins, len(array))[1:]
        return [
            NoteEvent(int(steps[begin]), int(steps[end] - steps[begin]), int(array[begin]))
            for begin, end in zip(begins, ends, strict=True)
            if array[begin] < PITCHES
        ]


SIXTEENTHS_AND_TRIPLETS = TickGrid((0, 3, 4, 6, 8, 9))  # 24 ticks of unequal length a bar of 4/4: Pati & Lerch 2020
EIGHTHS = TickGrid((0, 6))  # as in dMelodies


def transposed(tokens: Tokens, semitones: int) -> Tokens:
    """Tokens of any shape whose notes are so much higher.

    Raises:
        ValueError: a note would leave MIDI's numbers.
    """
    pitched = tokens < PITCHES
    moved = np.where(pitched, tokens.astype(np.int16) + semitones, tokens)
    if (moved[pitched] < 0).any() or (moved[pitched] >= PITCHES).any():
        raise ValueError(f"transposition by {semitones} semitones leaves the MIDI numbers from 0 to 127")
    return moved.astype(np.uint8)


def vocabulary(tokens: Tokens) -> Tokens:
    """The tokens that occur, rising, (V,); `np.searchsorted(vocabulary, tokens)` numbers them."""
    return np.unique(tokens)


def name(token: int) -> str:
    """What a token is called: `hold`, `rest`, `start`, `end`, or the note as in `C4`, 60."""
    if token in NAMES:
        return NAMES[token]
    return f"{('C', 'C#', 'D', 'D#', 'E', 'F', 'F#', 'G', 'G#', 'A', 'A#', 'B')[token % 12]}{token // 12 - 1}"
