"""Pieces for chosen instruments, each with a timbre of its own, for the mini corpora that are labelled with instruments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy

from toolkit.dsp.band import BASS_LINES, BEATS, KICKS, Song, compose, melody
from toolkit.dsp.stereo import pan, reverberate
from toolkit.dsp.timbres import STROKES, Lines, Modulated, Plucked, Struck, Sung, Sustained, Timbre
from toolkit.dsp.voices import VOWELS, Note, fold

Score = Callable[[Song, np.random.Generator], Lines]
STRUM = (0.0, 1.0, 1.5, 2.5, 3.0)  # beats
PEAKS = (0.3, 0.9)  # of a piece, if not said otherwise


class Instrument(NamedTuple):
    """What it plays, with which sound, and where: every note is brought between `low` and `high` (Hz) by octaves."""

    score: Score
    timbre: Timbre
    low: float = 0.0
    high: float = 0.0


def _melody(song: Song, rng: np.random.Generator) -> Lines:
    return [melody(song, rng)]


def _roots(song: Song, rng: np.random.Generator) -> Lines:
    beats = BASS_LINES[rng.integers(len(BASS_LINES))]
    line = []
    for bar in range(song.bars):
        for beat, until in zip(beats, (*beats[1:], float(BEATS)), strict=True):
            degree = song.chord(bar) + (4 if beat >= 2 and rng.random() < 0.25 else 0)
            line.append(_note(song, bar, beat, 0.95 * (until - beat), degree))
    return [line]


def _chords(song: Song, rng: np.random.Generator) -> Lines:
    """A triad that is held for a bar, or twice for half of one."""
    times = int(rng.integers(1, 3))
    beats = [half * BEATS / times for half in range(times)]
    return _triads(song, beats, 0.95 * BEATS / times)


def _strum(song: Song, rng: np.random.Generator) -> Lines:
    return _triads(song, STRUM, 1.5)


def _triads(song: Song, beats: Sequence[float], held: float) -> Lines:
    return [
        [_note(song, bar, beat, held, song.chord(bar) + third) for bar in range(song.bars) for beat in beats]
        for third in (0, 2, 4)
    ]


def _arpeggio(song: Song, rng: np.random.Generator, notes: int = 8, held: float = 1.5) -> Lines:
    """The notes of the chord one after the other, up and down over two octaves."""
    order = rng.permutation([0, 2, 4, 7, 9, 11, 7, 4])
    return [
        [
            _note(song, bar, step * BEATS / notes, held, song.chord(bar) + int(order[step % len(order)]))
            for bar in range(song.bars)
            for step in range(notes)
        ]
    ]


def _picking(song: Song, rng: np.random.Generator) -> Lines:
    return _arpeggio(song, rng, notes=16, held=0.6)


def _tremolo(song: Song, rng: np.random.Generator) -> Lines:
    """A melody whose notes are struck again and again."""
    stroke = 0.125 * song.beat
    return [
        [
            note._replace(start=note.start + again * stroke, seconds=2 * stroke)
            for note in melody(song, rng)
            for again in range(int(note.seconds / stroke))
        ]
    ]


def _rhythm(song: Song, rng: np.random.Generator) -> Lines:
    hits = {
        "kick": KICKS[rng.integers(len(KICKS))],
        "snare": (1.0, 3.0),
        "closed_hat": tuple(half / 2 for half in range(2 * BEATS - 1)),
        "open_hat": (3.5,),
    }
    return _strokes(song, hits)


def _ride(song: Song, rng: np.random.Generator) -> Lines:
    hits = {"ride": ((0.0, 1.0, 1.67, 2.0, 3.0, 3.67), (0.0, 1.0, 2.0, 3.0))[rng.integers(2)], "crash": (0.0, 2.0)}
    return _strokes(song, hits)


def _strokes(song: Song, hits: Mapping[str, tuple[float, ...]]) -> Lines:
    return [[_note(song, bar, beat, 0.0) for bar in range(song.bars) for beat in hits.get(name, ())] for name in STROKES]


def _note(song: Song, bar: int, beat: float, beats: float, degree: int = 0) -> Note:
    vowel = (3 * bar + degree) % len(VOWELS)
    return Note((bar * BEATS + beat) * song.beat, beats * song.beat, song.frequency(degree, 1), vowel)


DRAWBARS = ((0.5, 1.0, 0.0, 0.5), (1.0, 2.0, 0.7, 1.0), (4.0, 1.0, 0.0, 0.6))
HAMMERS = ((1.0, 1.0, 1.4, 1.0), (1.003, 7.0, 0.3, 0.4))
BARS = ((1.0, 4.0, 0.4, 1.0), (3.93, 2.0, 0.2, 0.35))
SAWS = (0.994, 1.0, 1.006)
OPENMIC_INSTRUMENTS = {
    "accordion": Instrument(
        _chords, Sustained(3500, 1, ((1100, 2), (2600, 1.5)), attack=0.06, tremolo=0.2, detune=(0.995, 1.005)), 220, 660
    ),
    "banjo": Instrument(_picking, Plucked(30, 0.45), 220, 880),
    "bass": Instrument(_roots, Plucked(3, 3.0), 41, 110),
    "cello": Instrument(
        _melody, Sustained(900, 1.5, ((250, 3), (600, 1.5), (1500, 0.8)), attack=0.12, vibrato=0.25, breath=0.05), 70, 220
    ),
    "clarinet": Instrument(_melody, Sustained(1200, 2, ((1500, 0.5),), odd=0.95, attack=0.05), 150, 600),
    "cymbals": Instrument(_ride, Struck()),
    "drums": Instrument(_rhythm, Struck()),
    "flute": Instrument(_melody, Sustained(500, 4, attack=0.08, vibrato=0.15, tremolo=0.35, breath=0.8), 520, 1400),
    "guitar": Instrument(_arpeggio, Plucked(9, 2.2), 82, 330),
    "mallet_percussion": Instrument(_arpeggio, Modulated(BARS, 0.002, 0.6), 350, 1400),
    "mandolin": Instrument(_tremolo, Plucked(16, 0.9, (1.0, 1.004)), 390, 1200),
    "organ": Instrument(_chords, Modulated(DRAWBARS, 0.01, None), 130, 520),
    "piano": Instrument(_arpeggio, Modulated(HAMMERS, 0.004, 2.2), 130, 1040),
    "saxophone": Instrument(
        _melody, Sustained(1800, 1.2, ((650, 3), (1400, 2.0)), attack=0.04, vibrato=0.3, breath=0.35, glide=0.06), 140, 420
    ),
    "synthesizer": Instrument(_chords, Sustained(900, 2, attack=0.01, detune=SAWS, sweep=2.0), 110, 330),
    "trombone": Instrument(_melody, Sustained(700, 2, ((520, 2),), attack=0.09, shade=0.8, glide=0.14), 80, 250),
    "trumpet": Instrument(_melody, Sustained(2600, 2, ((1200, 2), (2500, 1)), attack=0.05, shade=0.85), 330, 900),
    "ukulele": Instrument(_strum, Plucked(4, 0.7), 260, 660),
    "violin": Instrument(
        _melody, Sustained(3200, 1.2, ((480, 1.5), (2800, 3)), attack=0.1, vibrato=0.35, tremolo=0.1, breath=0.15), 400, 1300
    ),
    "voice": Instrument(_melody, Sung(80, 270), 130, 500),
}
INSTRUMENTS = {
    **OPENMIC_INSTRUMENTS,
    "choir": Instrument(_chords, Sung(80, 270), 130, 400),
    "electric_guitar": Instrument(
        _strum, Sustained(2500, 1, ((900, 2), (2200, 3)), attack=0.005, detune=(0.998, 1.002)), 82, 250
    ),
    "female_voice": Instrument(_melody, Sung(190, 270), 230, 700),
    "harp": Instrument(_arpeggio, Plucked(5, 4.0), 200, 1600),
    "harpsichord": Instrument(_picking, Plucked(60, 1.6, (1.0, 2.0)), 130, 1000),
    "male_voice": Instrument(_melody, Sung(75, 130), 100, 260),
    "sitar": Instrument(_picking, Plucked(45, 3.5, (0.5, 1.0, 1.006)), 140, 500),
    "strings": Instrument(
        _chords, Sustained(2000, 1.5, ((400, 1), (2500, 1)), attack=0.3, vibrato=0.1, breath=0.05, detune=SAWS), 200, 800
    ),
}


def play(
    instruments: Sequence[str],
    seconds: float,
    sample_rate: int,
    seed: int,
    tempo: float | None = None,
    level: float | None = None,
) -> np.ndarray:
    """A short piece: the instruments play the same chords, about equally loud; each rests in a bar now and then.

    Args:
        instruments: names in `INSTRUMENTS`; none of them gives silence.
        seconds: length.
        sample_rate: Hz.
        seed: of all that is random: chords, rhythms, how one instrument differs from others of its kind, places.
        tempo: beats a minute; None draws it.
        level: peak of the piece, between 0 and 1; None draws it.

    Returns:
        (2, time), float32.

    Raises:
        ValueError: there is no such instrument.
    """
    unknown = [name for name in instruments if name not in INSTRUMENTS]
    if unknown:
        raise ValueError(f"no instrument {unknown[0]!r}; known: {', '.join(sorted(INSTRUMENTS))}")
    rng = np.random.default_rng([5, seed])
    song = compose(rng, seconds, sample_rate)
    if tempo is not None:
        song = song._replace(beat=60.0 / tempo)
    peak = rng.uniform(*PEAKS) if level is None else level
    room = rng.uniform(0.2, 0.5), rng.uniform(0.02, 0.1)
    piece = np.zeros((2, round(seconds * sample_rate)))
    for name in instruments:
        own = np.random.default_rng([6, seed, *name.encode()])  # a part does not depend on who else plays
        part = _part(INSTRUMENTS[name], song, own)
        loudness = 10 ** (own.uniform(-2, 2) / 20) / (np.sqrt(np.mean(part**2)) + 1e-12)
        piece += pan(part * loudness, own.uniform(-0.7, 0.7))
    if instruments:
        piece = reverberate(piece, sample_rate, rng, *room)
    return (piece * (peak / (np.abs(piece).max(initial=0.0) + 1e-12))).astype(np.float32)


def _part(instrument: Instrument, song: Song, rng: np.random.Generator) -> np.ndarray:
    """What one instrument plays (time,)."""
    plays = rng.random(song.bars) < 0.8
    plays[rng.integers(song.bars)] = True
    bar = BEATS * song.beat
    lines = [
        [
            note._replace(frequency=fold(note.frequency, instrument.low, instrument.high or np.inf))
            for note in line
            if plays[min(int(note.start / bar + 1e-6), song.bars - 1)]
        ]
        for line in instrument.score(song, rng)
    ]
    if instrument.timbre.bright or song.sample_rate < 32000:
        return instrument.timbre.sound(lines, song.seconds, song.sample_rate, rng)
    half = instrument.timbre.sound(lines, song.seconds + 2 / song.sample_rate, song.sample_rate // 2, rng)
    return scipy.signal.resample_poly(half, 2, 1)[: round(song.seconds * song.sample_rate)]
