"""Sopranos in the manner of a chorale, made by rule: the arrays of `_bach_chorales` without music21."""

from __future__ import annotations

import numpy as np

from toolkit.corpora._bach_chorales import BEAT, GRID, Chorale
from toolkit.dsp.notes import PITCHES, STEPS, NoteEvent

SCALE = ((0, 0), (2, 2), (4, 4), (5, -1), (7, 1), (9, 3), (11, 5))  # semitones and fifths
TONICS = ((62, 2), (64, 4), (65, -1), (67, 1), (69, 3))  # MIDI numbers and fifths
DEGREES = (-4, 7)  # lowest and highest, counted from the tonic
LEAPS = (-3, -2, -1, -1, -1, 0, 1, 1, 1, 2, 3)  # degrees from note to note
BEATS = (  # durations in steps; the first ones are the likely ones
    (12,),
    (6, 6),
    (9, 3),
    (6, 3, 3),
    (3, 3, 6),
    (3, 3, 3, 3),
    (4, 4, 4),
)
LIKELY = (0.62, 0.2, 0.06, 0.04, 0.03, 0.03, 0.02)
PHRASES = 4
BARS = 2  # of a phrase


def make_mini(seed: int = 0, count: int = 8) -> list[Chorale]:
    """Make sopranos of four phrases of two bars in 4/4, every second of them after an upbeat, in keys of their own.

    Args:
        seed: of all that is random.
        count: sopranos.
    """
    return [_chorale(np.random.default_rng([20, seed, number]), number) for number in range(count)]


def _chorale(rng: np.random.Generator, number: int) -> Chorale:
    upbeat = number % 2 == 1
    (tonic, key), at, degree = TONICS[rng.integers(len(TONICS))], 36 if upbeat else 0, int(rng.choice([0, 2, 4]))
    beats = (4 if upbeat else 0) + 4 * BARS * PHRASES
    notes = []
    for phrase in range(PHRASES):
        end = STEPS * (beats - 4 * BARS * (PHRASES - 1 - phrase) - (1 if upbeat else 0))
        while at < end - 2 * STEPS:  # a phrase ends with a half note on the tonic's chord
            for duration in BEATS[rng.choice(len(BEATS), p=LIKELY)]:
                notes.append(NoteEvent(at, duration, _pitch(tonic, degree)))
                at += duration
                degree = int(np.clip(degree + rng.choice(LEAPS), *DEGREES))
        degree = 0 if phrase == PHRASES - 1 else int(rng.choice([0, 2, 4]))
        notes.append(NoteEvent(at, end - at, _pitch(tonic, degree)))
        at = end
    tokens = GRID.encode(notes, beats * BEAT)
    name_of = {(tonic + semitones) % 12: key + fifths for semitones, fifths in SCALE}
    fifths = [name_of[token % 12] if token < PITCHES else 0 for token in tokens.tolist()]
    return Chorale(f"mini/{number}", ("4/4",), tokens, np.array(fifths, np.int8))


def _pitch(tonic: int, degree: int) -> int:
    octave, step = divmod(degree, len(SCALE))
    return tonic + 12 * octave + SCALE[step][0]
