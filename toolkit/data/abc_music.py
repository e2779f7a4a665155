"""ABC notation as music: bars of notes with pitches and durations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from toolkit.data.abc import FIELD, Tune

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}  # semitones above C
FIFTHS = "FCGDAEB"  # the order in which sharps come, and flats go
MODES = {"maj": 0, "ion": 0, "min": -3, "aeo": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5}  # sharps besides
NOTE = r"(?P<accidental>\^{1,2}|_{1,2}|=)?(?P<letter>[A-Ga-gzx])(?P<octave>[,']*)"
LENGTH = r"(?P<times>\d*)(?P<parts>/*)(?P<part>\d*)"
PITCH = re.compile(NOTE + LENGTH)
TOKEN = re.compile(
    r'(?P<skipped>"[^"]*"|![^!]*!|\{[^}]*\})'
    r"|\[(?P<field>[A-Za-z]):(?P<value>[^\]]*)\]"
    r"|(?P<bar>:*\|+[\]|:]*(?:\d+)?|\[\||::|:+(?=\s|$))"
    r"|(?P<ending>\[\d[\d,-]*)"
    r"|\[(?P<chord>[^\]|]*)\](?P<chord_times>\d*)(?P<chord_parts>/*)(?P<chord_part>\d*)"
    r"|\((?P<tuplet>\d)(?::(?P<tuplet_time>\d*))?(?::(?P<tuplet_notes>\d*))?"
    rf"|(?P<note>{NOTE}{LENGTH})"
    r"|(?P<broken>>+|<+)"
)


class Note(NamedTuple):
    """A note, a chord or a rest.

    Attributes:
        pitches: MIDI numbers, 60 for middle C; none of a rest.
        duration: in whole notes.
    """

    pitches: tuple[int, ...]
    duration: Fraction


class Bar(NamedTuple):
    """What stands between two bar lines.

    Attributes:
        meter: in whole notes; None where there is none.
        notes: in their order; grace notes are not counted.
    """

    meter: Fraction | None
    notes: tuple[Note, ...]

    @property
    def duration(self) -> Fraction:
        """How long its notes last together, in whole notes."""
        return sum((note.duration for note in self.notes), Fraction())


def bars(tune: Tune) -> list[Bar]:
    """The bars as they are written: repeats once, all endings one after the other, tied notes as two.

    Whatever is not understood is passed over, as is usual with this notation.
    """
    reader = _Reader(tune)
    for line in tune.body.split("\n"):
        field = FIELD.match(line)
        if field:
            reader.change(field[1], field[2])
        else:
            reader.read(line)
    reader.end_bar()
    return reader.bars


def full_bars(tune: Tune) -> tuple[int, int]:
    """How many bars have just the duration of their meter, and how many there are.

    An upbeat and the bars around repeats and endings may rightly be shorter, so that good tunes have some that are not full.
    """
    measured = [bar for bar in bars(tune) if bar.meter is not None]
    return sum(bar.duration == bar.meter for bar in measured), len(measured)


def key_signature(key: str) -> dict[str, int]:
    """Letters that are raised (1) or lowered (-1) in a key such as `G`, `Bb`, `Em`, `Ador` or `D mix`; none if it is no key."""
    if key.startswith(("HP", "Hp")):  # the bagpipe's
        key = "D"
    match = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", key)
    if match is None:
        return {}
    mode = match[3][:3].lower()
    sharps = FIFTHS.index(match[1]) - 1 + 7 * {"": 0, "#": 1, "b": -1}[match[2]] + MODES.get("min" if mode == "m" else mode, 0)
    if sharps < 0:
        return dict.fromkeys(FIFTHS[max(0, 7 + sharps) :], -1)
    return dict.fromkeys(FIFTHS[:sharps], 1)


class _Reader:
    """Goes through the tokens of a body, with what is in force there."""

    def __init__(self, tune: Tune) -> None:
        self.bars: list[Bar] = []
        self.notes: list[Note] = []
        self.meter: Fraction | None = None
        self.compound = False
        self.unit = Fraction(1, 8)
        self.signature: dict[str, int] = {}
        self.tuplet, self.left, self.broken = Fraction(1), 0, Fraction(1)
        self.change("M", tune.meter)
        for letter in ("L", "K"):
            for value in tune.fields.get(letter, []):
                self.change(letter, value)
        if "L" not in tune.fields and self.meter is not None and self.meter < Fraction(3, 4):
            self.unit = Fraction(1, 16)  # the notation's own rule
        self.accidentals: dict[str, int] = {}

    def change(self, letter: str, value: str) -> None:
        """A field comes into force."""
        if letter == "K":
            self.signature = key_signature(value)
        elif letter == "L" and (length := _fraction(value)):
            self.unit = length
        elif letter == "M":
            self.meter = {"C": Fraction(1), "C|": Fraction(1)}.get(value.strip()) or _fraction(value)
            self.compound = value.split("/")[0].strip() in ("6", "9", "12")

    def read(self, line: str) -> None:
        """Take in a line of music."""
        for token in TOKEN.finditer(line):
            if token["field"]:
                self.change(token["field"], token["value"])
            elif token["bar"]:
                self.end_bar()
            elif token["tuplet"]:
                self._begin_tuplet(int(token["tuplet"]), token["tuplet_time"], token["tuplet_notes"])
            elif token["broken"] and self.notes:
                self._break(token["broken"])
            elif token["chord"] is not None:
                inside = list(PITCH.finditer(token["chord"]))
                times = _length(token["chord_times"], token["chord_parts"], token["chord_part"])
                if inside:
                    first = _length(inside[0]["times"], inside[0]["parts"], inside[0]["part"])
                    self._add(tuple(p for note in inside for p in self._pitch(note)), first * times)
            elif token["note"]:
                self._add(tuple(self._pitch(token)), _length(token["times"], token["parts"], token["part"]))

    def end_bar(self) -> None:
        """A bar line; two in a row end one bar."""
        if self.notes:
            self.bars.append(Bar(self.meter, tuple(self.notes)))
        self.notes, self.accidentals = [], {}

    def _add(self, pitches: tuple[int, ...], units: Fraction) -> None:
        duration = units * self.unit * self.broken * (self.tuplet if self.left else 1)
        self.left, self.broken = max(0, self.left - 1), Fraction(1)
        self.notes.append(Note(pitches, duration))

    def _pitch(self, note: re.Match[str]) -> Iterator[int]:
        """The note's pitch; none of a rest.  An accidental holds to the end of its bar, in all octaves."""
        letter = note["letter"].upper()
        if letter in "ZX":
            return
        if note["accidental"]:
            self.accidentals[letter] = {"^": 1, "_": -1, "=": 0}[note["accidental"][0]] * len(note["accidental"])
        shift = self.accidentals.get(letter, self.signature.get(letter, 0))
        octave = 12 * (note["letter"].islower() + note["octave"].count("'") - note["octave"].count(","))
        yield 60 + STEPS[letter] + shift + octave

    def _begin_tuplet(self, notes: int, time: str | None, following: str | None) -> None:
        usual = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(notes, 3 if self.compound else 2)
        self.tuplet = Fraction(int(time) if time else usual, max(notes, 1))
        self.left = int(following) if following else notes

    def _break(self, marks: str) -> None:
        """`a>b`: the first has half of the second's time besides its own; each mark more halves again."""
        short = Fraction(1, 2 ** len(marks))
        before, self.broken = (2 - short, short) if marks[0] == ">" else (short, 2 - short)
        last = self.notes.pop()
        self.notes.append(last._replace(duration=last.duration * before))


def _length(times: str, parts: str, part: str) -> Fraction:
    """`3/2`, `/`, `//`, `2` and nothing, in units."""
    if not parts:
        return Fraction(int(times or 1))
    below = int(part) if part and int(part) else 2 ** len(parts)
    return Fraction(int(times or 1), below)


def _fraction(value: str) -> Fraction | None:
    match = re.match(r"\s*(\d+)\s*/\s*(\d+)", value)
    return Fraction(int(match[1]), int(match[2])) if match and int(match[2]) else None
