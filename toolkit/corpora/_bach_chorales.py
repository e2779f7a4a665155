"""Bach's chorales as music21 brings them: their sopranos as bars of 24 ticks, in every transposition that fits.

This is how AR-VAE's released code makes its bars (Pati & Lerch 2020, arXiv 2004.05485): repeats are played out, an upbeat is
filled with a rest, tied notes begin anew, and a chorale any note of which lies between ticks is left out.  Each chorale has a
bar before its first one.  The code takes chorales of any meter and cuts them every four beats; the paper speaks of 4/4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.audio import scores
from toolkit.data import parallel
from toolkit.data.parallel import Job
from toolkit.dsp.notes import PITCHES, STEPS
from toolkit.dsp.tick_grid import END, HOLD, REST, SIXTEENTHS_AND_TRIPLETS, START, Tokens, transposed
from toolkit.log import UserError

GRID = SIXTEENTHS_AND_TRIPLETS
BEAT = len(GRID.ticks)  # ticks
BAR = 4 * BEAT
VOICES = 4
LOWEST, HIGHEST = 55, 84  # MIDI numbers between which a soprano is transposed, both included
SPLITS = {"train": (0.0, 0.70), "valid": (0.70, 0.70 + 0.20), "test": (0.85 + 0.10, 1.0)}  # shares of the bars
ON_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
SHARP = 7  # fifths
INTERVALS = (0, -5, 2, -3, 4, -1, -6, 1, -4, 3, -2, 5)  # fifths by which so many semitones up are spelled: six as a fifth
NAME = 256  # by which a spelled token is larger for each fifth
EDITION = 1  # of `read_soprano`: another one reads all chorales again


class Chorale(NamedTuple):
    """The soprano of a chorale.

    Attributes:
        name: music21's, such as `bach/bwv269`.
        meters: that occur, such as `4/4`.
        tokens: (ticks,), the first being the first beat of a bar.
        fifths: (ticks,), where the name of each note stands on the line of fifths, C being 0; 0 where none begins.
    """

    name: str
    meters: tuple[str, ...]
    tokens: Tokens
    fifths: NDArray[np.int8]


class Bars(NamedTuple):
    """N bars: chorale by chorale, within each from the lowest transposition to the highest, within each from first to last.

    Attributes:
        tokens: (N, 24).
        fifths: (N, 24), of the notes' names.
        chorale: (N,), which of the chorales it is of.
        semitones: (N,), how far it is transposed.
    """

    tokens: Tokens
    fifths: NDArray[np.int8]
    chorale: NDArray[np.int16]
    semitones: NDArray[np.int8]

    def spelled(self) -> NDArray[np.int16]:
        """Tokens (N, 24) that tell C sharp from D flat, as those of the released code do; modulo 256 they are `tokens`."""
        return self.tokens + np.int16(NAME) * self.fifths


def names() -> list[str]:
    """The 371 numbers of Riemenschneider's edition in their order; 21 of them name a chorale that stands there before.

    Raises:
        UserError: music21 is not installed.
    """
    return [str(name) for name in scores.music21().corpus.chorales.Iterator(returnType="filename")]


def read(journal: Path | None = None, nj: int | None = None, chosen: Sequence[str] | None = None) -> list[Chorale]:
    """Read sopranos; a minute of one processor for all.  A chorale that cannot be used is named in the log and left out.

    Args:
        journal: file that keeps what was read, so that it is read once.
        nj: processes; as many as there are processors if null.
        chosen: names, in this order; all if null.

    Raises:
        UserError: music21 is not installed.
    """
    version = scores.music21().__version__
    wanted = names() if chosen is None else list(chosen)
    jobs = [Job(name, name, f"music21 {version}, edition {EDITION}") for name in dict.fromkeys(wanted)]
    results = parallel.run(read_soprano, jobs, "chorales", nj=nj, journal=journal).results
    found = {name: of_row({"name": name, **result}) for name, result in results.items()}
    return [found[name] for name in wanted if name in found]


def read_soprano(name: str) -> dict[str, Any]:
    """The meters, tokens and names of notes of one chorale's soprano, as JSON holds them.

    Raises:
        UserError: it has not four voices, its repeats contradict each other, or a note lies between ticks.
    """
    music21 = scores.music21()
    parser = music21.converter.Converter()
    found = music21.corpus.getWork(name)  # a list where there are several files, the first of which music21 takes, too
    parser.parseFileNoPickle(found[0] if isinstance(found, list) else found)
    score = parser.stream
    if len(score.parts) != VOICES:
        raise UserError(f"expected {VOICES} voices, found {len(score.parts)}")
    meters = sorted({meter.ratioString for meter in score.recurse().getElementsByClass("TimeSignature")})
    try:
        soprano = score.parts[0].expandRepeats()
    except music21.repeat.ExpanderException as error:
        raise UserError(f"expected repeats that can be played out, found others ({error})") from error
    upbeat, after = _missing(list(soprano.getElementsByClass("Measure")))
    tokens = np.full(int((upbeat + soprano.highestTime + after) * BEAT), HOLD, np.uint8)
    tokens[0] = REST  # where there is an upbeat
    fifths = [0] * len(tokens)
    for event in soprano.flatten().notesAndRests:
        if not event.isRest and not event.isNote:
            raise UserError(f"expected one note at a time, found {event} at beat {float(event.offset):g}")
        tick = _tick(upbeat + event.offset)
        tokens[tick] = event.pitch.midi if event.isNote else REST
        fifths[tick] = ON_FIFTHS[event.pitch.step] + SHARP * int(event.pitch.alter) if event.isNote else 0
    return {"meters": meters, "tokens": tokens.tolist(), "fifths": fifths}


def of_row(row: Mapping[str, Any]) -> Chorale:
    """A chorale of its parts as JSON has them.

    Raises:
        KeyError: a part is missing.
        ValueError: parts are of different lengths, or no numbers of their kind.
    """
    tokens, fifths = np.array(row["tokens"], np.uint8), np.array(row["fifths"], np.int8)
    if tokens.ndim != 1 or not len(tokens) or tokens.shape != fifths.shape:
        raise ValueError(f"expected as many tokens as fifths, found shapes {tokens.shape} and {fifths.shape}")
    return Chorale(str(row["name"]), tuple(row["meters"]), tokens, fifths)


def bars(chorales: Sequence[Chorale], meter: str | None = "4/4", transpose: bool = True, margins: bool = True) -> Bars:
    """Cut sopranos into bars.

    Args:
        chorales: whose sopranos.
        meter: only those that are in this meter from beginning to end; all if null, cut every four beats.
        transpose: to all semitones at which all of a chorale lies between `LOWEST` and `HIGHEST`; as written if not.
        margins: with a bar of START before each chorale, and its last bar filled up with END where it is too short; if not,
            whole bars alone.
    """
    tokens, names, sources, semitones = [], [], [], []
    for place, chorale in enumerate(chorales):
        if meter is not None and chorale.meters != (meter,):
            continue
        spelling, cut = np.divmod(_cut(chorale.tokens + np.int16(NAME) * chorale.fifths, margins), NAME)
        pitches = chorale.tokens[chorale.tokens < PITCHES].astype(int)
        least, most = (LOWEST - pitches.min(), HIGHEST - pitches.max()) if transpose else (0, 0)
        for interval in range(least, most + 1):
            tokens.append(transposed(cut.astype(np.uint8), interval))
            names.append(np.where(cut < PITCHES, spelling + np.sign(interval) * INTERVALS[abs(interval) % 12], 0))
            sources += [place] * len(cut)
            semitones += [interval] * len(cut)
    empty = [np.empty((0, BAR), np.uint8)]
    found = np.concatenate(tokens or empty), np.concatenate(names or empty).astype(np.int8)
    return Bars(*found, np.array(sources, np.int16), np.array(semitones, np.int8))


def split(count: int) -> dict[str, slice]:
    """Which of so many bars are for what, in their order, as the released code has it.

    It trains with shares of .70 and .20 but tests by a default of .85 and .10, so that the bars between are for nothing.  A
    chorale may be cut in two, and its melody is met again where Bach has set it more than once.
    """
    return {name: slice(int(begin * count), int(end * count)) for name, (begin, end) in SPLITS.items()}


def _cut(tokens: NDArray[np.int16], margins: bool) -> NDArray[np.int16]:
    """Bars (n, BAR) of one soprano."""
    if not margins:
        return tokens[: len(tokens) // BAR * BAR].reshape(-1, BAR)
    count = -(-(len(tokens) // BEAT * BEAT) // BAR)  # of the bars, what is less than a beat making none
    filled = np.full((1 + count, BAR), END, np.int16)
    filled[0] = START
    heard = tokens[: count * BAR]
    filled.reshape(-1)[BAR : BAR + len(heard)] = heard
    return filled


def _missing(measures: list[Any]) -> tuple[Fraction, Fraction]:
    """Quarter notes that the first measure lacks, unless the second makes up for it, and that the last one lacks."""
    lacking = [Fraction(measure.barDuration.quarterLength - measure.highestTime) for measure in (measures[0], measures[-1])]
    made_up = len(measures) > 1 and measures[0].barDurationProportion() + measures[1].barDurationProportion() == 1
    return Fraction(0) if made_up else max(Fraction(0), lacking[0]), max(Fraction(0), lacking[1])


def _tick(offset: Fraction) -> int:
    """The tick at so many quarter notes."""
    beat, step = divmod(Fraction(offset).limit_denominator(1000) * STEPS, STEPS)
    if step not in GRID.ticks:
        raise UserError(f"expected notes on sixteenths and triplets, found one at beat {float(offset):g}")
    return int(beat) * BEAT + GRID.ticks.index(int(step))
