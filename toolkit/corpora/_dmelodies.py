"""dMelodies: every two-bar melody that nine factors allow (Pati, Gururani & Lerch 2020, ISMIR, arXiv 2007.15067).

Nothing is stored but the rules.  A melody has a number from 0 to COUNT - 1, whose digits, tonic first, are its factors; this is
the order of the released data.  Its sixteen eighth notes are tokens: twelve notes, three of each chord of I IV V I, and a rest
wherever the rhythm has no onset.
"""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.corpora._factors import digits

FACTORS = {  # how many values each has, the last one changing fastest
    "tonic": 12,  # semitones over C
    "octave": 3,
    "scale": 3,
    "rhythm_bar1": 28,
    "rhythm_bar2": 28,
    "arp_chord1": 2,  # 0 up, 1 down
    "arp_chord2": 2,
    "arp_chord3": 2,
    "arp_chord4": 2,
}
COUNT = math.prod(FACTORS.values())
TICKS = 16  # eighth notes

SCALES = {  # semitones of the first nine degrees over the tonic
    "major": (0, 2, 4, 5, 7, 9, 11, 12, 14),
    "minor": (0, 2, 3, 5, 7, 8, 11, 12, 14),
    "blues": (0, 2, 3, 5, 6, 9, 10, 12, 14),
}
CHORDS = ((0, 2, 4), (3, 5, 7), (4, 6, 8), (0, 2, 4))  # degrees, counted from 0
LOWEST = 60  # MIDI number of C of the first octave
BAR, ONSETS = 8, 6
RHYTHMS = tuple(combinations(range(BAR), ONSETS))  # the eighth notes of a bar that a note begins at

SLUR, REST = 0, 1  # the released code lets the hashes of strings decide which of them comes first
SPLIT = (0.7, 0.2)  # training and validation; the rest is for testing
AT_ONCE = 1 << 16  # melodies, so that what lies between is small

Tokens = NDArray[np.uint8]


def factors(indices: ArrayLike) -> NDArray[np.uint8]:
    """Factors (N, 9) of melodies (N), named and counted by FACTORS.

    Raises:
        ValueError: there is no such melody.
    """
    return digits(indices, FACTORS, "melodies")


def melodies(indices: ArrayLike) -> Tokens:
    """Tokens (N, 16) of melodies (N): REST, or what `pitches` has a MIDI number for; SLUR is in the vocabulary and never comes.

    Raises:
        ValueError: there is no such melody.
    """
    numbers = np.asarray(indices).reshape(-1)
    tokens = np.empty((len(numbers), TICKS), np.uint8)
    for first in range(0, len(numbers), AT_ONCE):
        values = factors(numbers[first : first + AT_ONCE]).astype(np.intp)
        tonic, octave, scale, *rhythms = values[:, :5].T
        for bar, rhythm in enumerate(rhythms):
            notes = BARS[bar, tonic, octave, scale, values[:, 5 + 2 * bar], values[:, 6 + 2 * bar]]
            tokens[first : first + AT_ONCE, bar * BAR : (bar + 1) * BAR] = np.take_along_axis(notes, PLACES[rhythm], 1)
    return tokens


def pitches() -> NDArray[np.int16]:
    """MIDI number of each token of the vocabulary (52); -1 for SLUR and REST."""
    return PITCHES.copy()


def split(seed: int, count: int = COUNT) -> dict[str, NDArray[np.int32]]:
    """The melodies of each split, as the benchmark deals `count` of them out with that seed: 948,326, 270,950 and 135,476.

    Its data are shuffled by NumPy's generator of old, seeded with the seed of the training, so that each seed tests on other
    melodies.  The latent metrics see the first 201 batches of 512 of the test split, in this order.
    """
    order = np.random.RandomState(seed).permutation(count).astype(np.int32)
    train, valid = SPLIT
    first, second = int(train * count), int((train + valid) * count)
    return {"train": order[:first], "valid": order[first:second], "test": order[second:]}


def _notes(tonic: int, octave: int, scale: str, directions: tuple[int, ...]) -> list[int]:
    """MIDI numbers of the twelve notes."""
    root = LOWEST + 12 * octave + tonic
    chords = (chord[::-1] if down else chord for chord, down in zip(CHORDS, directions, strict=True))
    return [root + SCALES[scale][degree] for chord in chords for degree in chord]


def _vocabulary() -> dict[int, int]:
    """Token of each MIDI number: in the order in which the released code meets them, melody after melody.

    The first melody of each scale on each tonic has all of its notes, so that no other one needs to be looked at.
    """
    tokens: dict[int, int] = {}
    for tonic, octave, scale in product(range(FACTORS["tonic"]), range(FACTORS["octave"]), SCALES):
        for note in _notes(tonic, octave, scale, (0, 0, 0, 0)):
            tokens.setdefault(note, REST + 1 + len(tokens))
    return tokens


def _bars(tokens: dict[int, int]) -> Tokens:
    """Tokens of the six notes of a bar and of the rest: (bar, tonic, octave, scale, first and second direction, 7)."""
    bars = np.full((2, FACTORS["tonic"], FACTORS["octave"], len(SCALES), 2, 2, ONSETS + 1), REST, np.uint8)
    for tonic, octave, scale, first, second in np.ndindex(bars.shape[1:-1]):
        notes = _notes(tonic, octave, list(SCALES)[scale], (first, second, first, second))
        bars[:, tonic, octave, scale, first, second, :ONSETS] = np.reshape([tokens[note] for note in notes], (2, ONSETS))
    return bars


def _places() -> NDArray[np.intp]:
    """Which of the six notes each eighth of a bar has, 6 being the rest, for each rhythm: (28, 8)."""
    places = np.full((len(RHYTHMS), BAR), ONSETS)
    for rhythm, onsets in zip(places, RHYTHMS, strict=True):
        rhythm[list(onsets)] = range(ONSETS)
    return places


_TOKENS = _vocabulary()
VOCABULARY = REST + 1 + len(_TOKENS)  # 52
PITCHES = np.array([-1, -1, *_TOKENS], np.int16)
BARS, PLACES = _bars(_TOKENS), _places()
