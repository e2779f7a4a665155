"""A small collection of generated folk tunes in the files and the notation of the Nottingham Music Database."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit import files
from toolkit.data.abc_music import key_signature

LETTERS = "CDEFGAB"
LOWEST, HIGHEST = 1, 13  # steps above middle C that tunes move between: d to the b an octave above


class Form(NamedTuple):
    """A kind of tune.

    Attributes:
        file: where such tunes stand.
        word: of their titles.
        meter: field `M`.
        unit: field `L`; None leaves it out, which means eighths in these meters.
        rhythms: of bars, in eighths.
        ends: of the last bar of a part, in eighths.
    """

    file: str
    word: str
    meter: str
    unit: str | None
    rhythms: tuple[tuple[int, ...], ...]
    ends: tuple[int, ...]


FORMS = (
    Form("jigs.abc", "Jig", "6/8", None, ((1,) * 6, (2, 1, 2, 1), (3, 1, 1, 1), (2, 1, 1, 1, 1)), (3, 3)),
    Form("reelsa-c.abc", "Reel", "4/4", "1/4", ((1,) * 8, (2, 1, 1, 2, 2), (1, 1, 2, 1, 1, 2), (3, 1, 2, 2)), (4, 4)),
    Form("waltzes.abc", "Waltz", "3/4", "1/4", ((2, 2, 2), (4, 2), (2, 1, 1, 2), (3, 1, 2)), (6,)),
)
KEYS = ("G", "D", "A", "C", "F", "Em", "Am", "Dm")
PROGRESSIONS = {  # degrees of the eight bars of a part, from 0; the first of major keys, the second of minor ones
    "major": ((0, 0, 3, 4, 0, 3, 4, 0), (0, 3, 0, 4, 0, 3, 4, 0), (0, 5, 1, 4, 0, 5, 4, 0), (3, 0, 4, 0, 3, 0, 4, 0)),
    "minor": ((0, 0, 6, 6, 0, 0, 6, 0), (0, 5, 6, 0, 3, 0, 6, 0), (0, 2, 6, 0, 0, 5, 6, 0)),
}
WHOSE = ("Miller", "Tinker", "Fiddler", "Widow", "Captain", "Drover", "Weaver", "Shepherd", "Sailor", "Piper", "Zoë", "O'Hara")
WHAT = ("Delight", "Farewell", "Return", "Fancy", "Frolic", "Garden", "Daughter", "Morning", "Old Coat", "Last", "Luck", "Road")


def write(folder: Path, seed: int, tunes: int = 40) -> None:
    """Write `ABC_cleaned/*.abc` below `folder`, see `collection`."""
    for name, text in collection(seed, tunes).items():
        files.write_text(folder / "ABC_cleaned" / name, text)


def collection(seed: int, tunes: int = 40) -> dict[str, str]:
    """Files of tunes, by name: `tunes` jigs, reels and waltzes each, and at the end of the first a tune that has no key.

    A tune has two parts of eight bars, both repeated; its melody walks by steps between the notes of the bar's chord, which is
    written above it.  Some have an upbeat, two endings, another key in the second part, broken lines or comments.

    Args:
        seed: of all random numbers.
        tunes: in each file, at most 144.
    """
    written = {}
    for number, form in enumerate(FORMS):
        generator = np.random.default_rng([11, seed, number])
        names = generator.permutation(len(WHOSE) * len(WHAT))[:tunes]
        pieces = [_tune(generator, form, place, int(name)) for place, name in enumerate(names, 1)]
        written[form.file] = "\n\n".join(pieces)
    written[FORMS[0].file] += "\n\nX: 999\nT:Lost Leaf\n% Nottingham Music Database\nM:6/8\n"
    return written


def _tune(generator: np.random.Generator, form: Form, number: int, name: int) -> str:
    key = KEYS[generator.integers(len(KEYS))]
    title = f"{WHOSE[name // len(WHAT)]}'s {WHAT[name % len(WHAT)]} {form.word}"
    lines = [f"X: {number}", f"T:{title}", "% Nottingham Music Database", "S:Generated", f"M:{form.meter}"]
    lines += [f"L:{form.unit}"] if form.unit else []
    lines += [f"K:{key}"]
    upbeat = generator.random() < 0.3
    unit = Fraction(2 if form.unit == "1/4" else 1)
    place = int(generator.integers(5, 9))
    for part in range(2):
        if part and generator.random() < 0.15:
            key = KEYS[generator.integers(len(KEYS))]
            lines.append(f"K:{key}")
        bars, place = _part(generator, form, key, unit, place)
        if upbeat and not part:
            lines.append(_write(place, 1, unit) + "|:" + _lines(generator, bars[:-1]) + "|" + bars[-1] + ":|")
        elif generator.random() < 0.25:
            last, _ = _part(generator, form, key, unit, place)
            lines.append("|:" + _lines(generator, bars[:-1]) + f"|[1{bars[-1]}:|[2{last[-1]}||")
        else:
            lines.append("|:" + _lines(generator, bars) + ":|")
    return "\n".join(lines) + "\n"


def _part(generator: np.random.Generator, form: Form, key: str, unit: Fraction, place: int) -> tuple[list[str], int]:
    """Eight bars of a part, and the step where it ends."""
    tonic = LETTERS.index(key[0])
    kind = "minor" if key.endswith("m") else "major"
    choices = PROGRESSIONS[kind]
    motif = form.rhythms[generator.integers(len(form.rhythms))]
    bars = []
    for number, degree in enumerate(choices[generator.integers(len(choices))]):
        rhythm = form.ends if number == 7 else motif if number % 2 == 0 else form.rhythms[generator.integers(len(form.rhythms))]
        root, notes = (tonic + degree) % 7, ""
        for count, eighths in enumerate(rhythm):
            goal = root if number == 7 else root + 2 * int(generator.integers(3))
            place = _nearest(goal, place) if count % 2 == 0 else _step(generator, place)
            middle = count > 0 and 2 * sum(rhythm[:count]) == sum(rhythm)
            notes += " " * middle + _write(place, eighths, unit)
        bars.append(f'"{_chord(root, degree, key, kind)}"{notes}')
    return bars, place


def _nearest(goal: int, place: int) -> int:
    """The step of the letter `goal`, modulo an octave, that is nearest to `place`."""
    steps = [step for step in range(LOWEST, HIGHEST + 1) if (step - goal) % 7 == 0]
    return min(steps, key=lambda step: (abs(step - place), step))


def _step(generator: np.random.Generator, place: int) -> int:
    return int(np.clip(place + generator.choice((-2, -1, 1, 2)), LOWEST, HIGHEST))


def _write(place: int, eighths: int, unit: Fraction) -> str:
    """A note, its letter after its octave."""
    letter = LETTERS[place % 7]
    length = Fraction(eighths) / unit
    below = f"/{length.denominator}" if length.denominator > 1 else ""
    above = str(length.numerator) if length.numerator > 1 else ""
    return (letter.lower() if place >= 7 else letter) + above + below


def _chord(root: int, degree: int, key: str, kind: str) -> str:
    """The name of the triad on a step of the key."""
    mark = {1: "#", -1: "b"}.get(key_signature(key).get(LETTERS[root], 0), "")
    minor = degree in ((1, 2, 5) if kind == "major" else (0, 3, 4))
    return LETTERS[root] + mark + ("m" if minor else "")


def _lines(generator: np.random.Generator, bars: list[str]) -> str:
    """Bars between bar lines, four on a line; some lines are written as two that belong together."""
    join = "|\\\n" if generator.random() < 0.3 else "|\n"
    return join.join("|".join(bars[start : start + 4]) for start in range(0, len(bars), 4))
