"""A band of synthetic instruments plays a song of a few bars: drums, bass, chords and a singer, for the mini corpora of music.

A seed makes a song: tempo, key, chords, patterns, sounds, places between the loudspeakers and levels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.dsp.instruments import drum_kit, fm_tone, plucked_string
from toolkit.dsp.stereo import pan, reverberate
from toolkit.dsp.voices import VOWELS, Note, fold, sing

STEMS = ("drums", "bass", "other", "vocals")
PEAK = 0.8  # of the mixture
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
PROGRESSIONS = ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 3), (0, 6, 5, 4), (0, 2, 3, 4))  # degrees, a chord a bar
BEATS = 4  # a bar
KICKS = ((0.0, 2.0), (0.0, 1.5, 2.0), (0.0, 1.0, 2.0, 3.0), (0.0, 2.5))  # beats
BASS_LINES = ((0.0, 1.0, 2.0, 3.0), (0.0, 1.5, 2.0, 3.5), (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5))


class Song(NamedTuple):
    """What all of the band agree on.

    Attributes:
        beat: seconds.
        root: MIDI number of the key note, 40 to 51.
        scale: semitones above the root.
        chords: degree of the scale that each bar's chord stands on.
        seconds: length.
        sample_rate: Hz.
    """

    beat: float
    root: int
    scale: tuple[int, ...]
    chords: tuple[int, ...]
    seconds: float
    sample_rate: int

    @property
    def bars(self) -> int:
        """How many begin before the end."""
        return int(np.ceil(self.seconds / (BEATS * self.beat)))

    def chord(self, bar: int) -> int:
        """Degree of a bar's chord."""
        return self.chords[bar % len(self.chords)]

    def frequency(self, degree: int, octave: int = 0) -> float:
        """The frequency in Hz of a degree of the scale (any whole number), `octave` octaves above the root's."""
        up, step = divmod(degree, len(self.scale))
        return 440.0 * 2.0 ** ((self.root + self.scale[step] - 69) / 12 + up + octave)


def compose(rng: np.random.Generator, seconds: float, sample_rate: int) -> Song:
    """Tempo, key and chords of so many seconds at random, to be played at `sample_rate` Hz."""
    return Song(
        beat=60.0 / rng.uniform(84, 144),
        root=int(rng.integers(40, 52)),
        scale=SCALES[("major", "minor")[rng.integers(2)]],
        chords=PROGRESSIONS[rng.integers(len(PROGRESSIONS))],
        seconds=seconds,
        sample_rate=sample_rate,
    )


def play(seed: int, seconds: float, sample_rate: int, vocals: bool = True) -> dict[str, np.ndarray]:
    """The stems of a song, about equally loud; their sum peaks at 0.8.

    Args:
        seed: of all that is random; other songs have other instruments, too.
        seconds: length.
        sample_rate: Hz.
        vocals: whether there is a singer; if not, that stem is silent.

    Returns:
        `drums`, `bass`, `other` and `vocals`, each (2, time), float64.
    """
    rng = np.random.default_rng([4, seed])
    song = compose(rng, seconds, sample_rate)
    dry = {"drums": _drums(song, rng), "bass": _bass(song, rng), "other": _chords(song, rng)}
    dry["vocals"] = pan(sing(seed, melody(song, rng), seconds, sample_rate), rng.uniform(-0.1, 0.1))
    stems = {}
    for name in STEMS:
        wet = reverberate(dry[name], sample_rate, rng, rng.uniform(0.2, 0.5), 0.0 if name == "bass" else rng.uniform(0.02, 0.1))
        level = 10 ** (rng.uniform(-1.5, 1.5) / 20) if vocals or name != "vocals" else 0.0
        stems[name] = wet * level / (np.sqrt(np.mean(wet**2)) + 1e-12)
    mixture = sum(stems.values())
    return {name: stem * (PEAK / np.abs(mixture).max()) for name, stem in stems.items()}


def _drums(song: Song, rng: np.random.Generator) -> np.ndarray:
    kit, pattern = drum_kit(song.sample_rate, rng), KICKS[rng.integers(len(KICKS))]
    places = {"kick": 0.0, "snare": rng.uniform(-0.2, 0.2), "closed_hat": rng.uniform(-0.6, 0.6)}
    places["open_hat"] = places["closed_hat"]
    strokes = {name: pan(sound, places[name]) for name, sound in kit.items()}
    track = silence(song)
    for bar in range(song.bars):
        hits = [("kick", beat, 0.9) for beat in pattern] + [("snare", 1.0, 0.8), ("snare", 3.0, 0.8)]
        hits += [("closed_hat", half / 2, 0.4 - 0.15 * (half % 2)) for half in range(2 * BEATS - 1)] + [("open_hat", 3.5, 0.35)]
        if bar % 2:
            hits.append(("snare", 3.75, 0.4))
        for name, beat, loudness in hits:
            add(track, strokes[name] * loudness * rng.uniform(0.8, 1.0), (bar * BEATS + beat) * song.beat, song.sample_rate)
    return track


def _bass(song: Song, rng: np.random.Generator) -> np.ndarray:
    """Roots, now and then the fifth, between 41 and 156 Hz."""
    line, plucked = BASS_LINES[rng.integers(len(BASS_LINES))], bool(rng.integers(2))
    partials, index = rng.uniform(1.5, 4.0), rng.uniform(0.8, 2.0)
    track = silence(song)
    for bar in range(song.bars):
        for beat, until in zip(line, (*line[1:], float(BEATS)), strict=True):
            degree = song.chord(bar) + (4 if beat >= 2 and rng.random() < 0.25 else 0)
            frequency = song.frequency(degree)
            while frequency > 110.0:
                frequency /= 2
            frequency = max(frequency, 41.0)
            seconds = 0.95 * (until - beat) * song.beat
            if plucked:
                note = plucked_string(frequency, seconds, song.sample_rate, rng, 3.0, partials)
            else:
                note = fm_tone(frequency, seconds, song.sample_rate, 1.0, index, 0.008, 2.5)
            add(track, pan(note * rng.uniform(0.8, 1.0), 0.0), (bar * BEATS + beat) * song.beat, song.sample_rate)
    return track


def _chords(song: Song, rng: np.random.Generator) -> np.ndarray:
    """Triads: a pad of detuned voices left and right, and a plucked arpeggio."""
    ratio, index, detune = rng.choice([1.0, 2.0, 3.0]), rng.uniform(0.5, 1.5), rng.uniform(0.002, 0.005)
    place, partials = rng.uniform(-0.7, 0.7), rng.uniform(4.0, 10.0)
    track = silence(song)
    for bar in range(song.bars):
        triad = [song.chord(bar) + third for third in (0, 2, 4)]
        begin, seconds = bar * BEATS * song.beat, BEATS * song.beat
        for degree in triad:
            for side in (-1, 1):
                frequency = song.frequency(degree, 1) * (1 + side * detune)
                note = fm_tone(frequency, seconds, song.sample_rate, ratio, index, 0.08)
                add(track, pan(0.25 * note, 0.8 * side), begin, song.sample_rate)
        for eighth in range(2 * BEATS):
            frequency = song.frequency(triad[(0, 1, 2, 1)[eighth % 4]], 2)
            note = plucked_string(frequency, song.beat, song.sample_rate, rng, 1.0, partials)
            add(track, pan(0.5 * note, place), begin + eighth * song.beat / 2, song.sample_rate)
    return track


def melody(song: Song, rng: np.random.Generator) -> list[Note]:
    """Phrases of steps and small leaps around the chords' notes, a rest at the end of every other bar."""
    octave, degree = int(rng.integers(1, 3)), 0
    notes = []
    for bar in range(song.bars):
        beat, end = 0.0, BEATS - (1.0 if bar % 2 else 0.0)
        degree = song.chord(bar) % 7 + int(rng.choice([0, 2, 4])) - 3
        while beat < end:
            beats = min(float(rng.choice([0.5, 1.0, 1.0, 1.5])), end - beat)
            start = (bar * BEATS + beat) * song.beat
            notes.append(Note(start, 0.92 * beats * song.beat, song.frequency(degree, octave), int(rng.integers(len(VOWELS)))))
            degree = int(np.clip(degree + rng.choice([-2, -1, -1, 0, 1, 1, 2]), -3, 6))
            beat += beats
    return notes


def solo(rng: np.random.Generator, low: float, begin: float, end: float) -> list[Note]:
    """The melody of a piece for one player, from `begin` to `end` (seconds), between `low` (Hz) and a twelfth above it."""
    song = compose(rng, end - begin, 0)
    notes = (
        note._replace(start=begin + note.start, frequency=fold(note.frequency, low, 3 * low)) for note in melody(song, rng)
    )
    return [note._replace(seconds=min(note.seconds, end - note.start)) for note in notes if note.start < end - 0.1]


def silence(song: Song) -> np.ndarray:
    """An empty track (2, time)."""
    return np.zeros((2, round(song.seconds * song.sample_rate)))


def add(track: np.ndarray, sound: np.ndarray, start: float, sample_rate: int) -> None:
    """Add a sound (…, time) to a track (…, time) from `start` (seconds) on; what reaches over the end is lost."""
    begin = round(start * sample_rate)
    length = min(sound.shape[-1], track.shape[-1] - begin)
    if length > 0:
        track[..., begin : begin + length] += sound[..., :length]
