"""Ways in which a synthetic instrument turns notes into sound; `ensemble.py` says which instrument sounds in which way.

A part is a list of lines: notes of one line follow each other, lines sound together (the three notes of a chord).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from toolkit.dsp import synths
from toolkit.dsp.band import add
from toolkit.dsp.instruments import drum_kit, fm_tone, plucked_string
from toolkit.dsp.voices import Note, sing, speaker, timeline

Lines = Sequence[Sequence[Note]]
STROKES = ("kick", "snare", "closed_hat", "open_hat", "ride", "crash")
PLATES = (1.414, 2.571, 3.733)  # ratios of modulation of a cymbal


class Timbre(ABC):
    """What an instrument sounds like.

    Attributes:
        bright: whether it has much to say above 11 kHz, so that it is worth computing.
    """

    bright: ClassVar[bool] = False

    @abstractmethod
    def sound(self, lines: Lines, seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
        """Play the lines at `sample_rate` Hz: (time,), as loud as it comes; `rng` draws what sets it apart from its kind."""


@dataclass(frozen=True)
class Plucked(Timbre):
    """Strings that are plucked or struck.

    Attributes:
        partials: up to about which a string is bright.
        decay: seconds until a note has fallen by 60 dB; higher notes fall faster.
        strings: of one note, as multiples of its frequency.
    """

    partials: float
    decay: float
    strings: tuple[float, ...] = (1.0,)

    def sound(self, lines: Lines, seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
        """Every note on its own."""
        partials, decay = self.partials * rng.uniform(0.85, 1.2), self.decay * rng.uniform(0.85, 1.2)
        track = np.zeros(round(seconds * sample_rate))
        for note in (note for line in lines for note in line):
            for string in self.strings:
                frequency = min(note.frequency * string, 0.2 * sample_rate)
                fall = decay * (220.0 / frequency) ** 0.3
                stroke = plucked_string(frequency, min(note.seconds, fall), sample_rate, rng, fall, partials)
                add(track, stroke * rng.uniform(0.7, 1.0), note.start, sample_rate)
        return track


@dataclass(frozen=True)
class Modulated(Timbre):
    """Tones of frequency modulation.

    Attributes:
        tones: of one note: multiple of its frequency, ratio of the modulator, index, loudness.
        attack: seconds.
        decay: seconds until a note has fallen by 60 dB; None holds it.
    """

    tones: tuple[tuple[float, float, float, float], ...]
    attack: float
    decay: float | None

    def sound(self, lines: Lines, seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
        """Every note on its own."""
        detune, index_scale = rng.uniform(0.9985, 1.0015, len(self.tones)), rng.uniform(0.8, 1.25)
        track = np.zeros(round(seconds * sample_rate))
        for note in (note for line in lines for note in line):
            loudness = rng.uniform(0.7, 1.0)
            for (multiple, ratio, index, level), apart in zip(self.tones, detune, strict=True):
                frequency = note.frequency * multiple * apart
                if frequency < 0.45 * sample_rate:
                    options = (ratio, index * index_scale, self.attack, self.decay)
                    tone = fm_tone(frequency, note.seconds, sample_rate, *options)
                    add(track, tone * level * loudness, note.start, sample_rate)
        return track


@dataclass(frozen=True)
class Sustained(Timbre):
    """Bow, reed or lips: a source rich in harmonics that glides from note to note, through the filter of the body.

    Attributes:
        cutoff: Hz above which the spectrum falls.
        slope: how steeply, 6 dB an octave each.
        formants: of the body: Hz, gain.
        odd: how much of the even harmonics is missing, 0 to 1.
        attack: seconds.
        shade: how much darker a quiet moment is than a loud one, 0 to 1 (brass).
        vibrato: semitones.
        tremolo: change of loudness with the vibrato, 0 to 1.
        breath: strength of noise.
        glide: seconds from note to note.
        detune: of several reeds, players or oscillators, as multiples of the frequency.
        sweep: octaves by which the cutoff moves up and down.
    """

    cutoff: float
    slope: float = 1.0
    formants: tuple[tuple[float, float], ...] = ()
    odd: float = 0.0
    attack: float = 0.05
    shade: float = 0.0
    vibrato: float = 0.0
    tremolo: float = 0.0
    breath: float = 0.0
    glide: float = 0.02
    detune: tuple[float, ...] = (1.0,)
    sweep: float = 0.0

    def sound(self, lines: Lines, seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
        """All lines go through one filter, whose loudness follows the first: they are to begin and end together."""
        length = round(seconds * sample_rate)
        if not lines or not lines[0]:
            return np.zeros(length)
        time = np.arange(length // (sample_rate // synths.FRAME_RATE) + 1) / synths.FRAME_RATE
        _, since, left = timeline(lines[0], time)
        loudness = np.clip(since / self.attack, 0, 1) * np.clip(left / 0.04, 0, 1)
        waver = np.clip(since / 0.3, 0, 1) * np.sin(2 * np.pi * rng.uniform(4.8, 6.2) * time)
        source = self.breath * rng.standard_normal(length) * 2.0
        for line in lines:
            source += self._source(line, time, waver, length, sample_rate)
        slow = np.sin(2 * np.pi * (rng.uniform(0.3, 0.7) * time + rng.random()))
        cutoff = self.cutoff * rng.uniform(0.85, 1.18) * (1 - self.shade + self.shade * loudness) * 2.0 ** (self.sweep * slow)
        frequency = synths.frequencies(sample_rate)
        gains = (1 + (frequency / cutoff[:, None]) ** 2) ** (-self.slope / 2) * (frequency > 30)
        body = synths.body(frequency, self.formants, 0.006, rng)
        return synths.shape(source, gains * body * (loudness * (1 + self.tremolo * waver))[:, None], sample_rate)

    def _source(self, line: Sequence[Note], time: np.ndarray, waver: np.ndarray, length: int, sample_rate: int) -> np.ndarray:
        which, _, _ = timeline(line, time)
        octaves = np.log2([note.frequency for note in line])[which]
        octaves = synths.smooth(octaves, max(1, round(self.glide * synths.FRAME_RATE))) + self.vibrato / 12 * waver
        hop = sample_rate // synths.FRAME_RATE
        f0 = np.interp(np.arange(length), np.arange(len(time)) * hop, 2.0**octaves)
        source = np.zeros(length)
        for apart in self.detune:
            source += synths.pulse_train(f0 * apart, sample_rate)
            if self.odd:
                source -= self.odd * synths.pulse_train(2 * f0 * apart, sample_rate)
        return source


@dataclass(frozen=True)
class Sung(Timbre):
    """Singers, one a line, of a pitch between `low` and `high` (Hz, as in `voices.Speaker`)."""

    low: float
    high: float

    def sound(self, lines: Lines, seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
        """Each line by another singer."""
        track = np.zeros(round(seconds * sample_rate))
        for line in lines:
            singer = int(rng.integers(1 << 16))
            while not self.low <= speaker(singer).pitch <= self.high:
                singer += 1
            track += sing(singer, line, seconds, sample_rate)
        return track


class Struck(Timbre):
    """Drums and cymbals: line i holds the strokes of `STROKES[i]`; what frequency their notes have does not matter."""

    bright = True

    def sound(self, lines: Lines, seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
        """Every stroke on its own."""
        strokes = {**drum_kit(sample_rate, rng), **_cymbals(sample_rate, rng)}
        track = np.zeros(round(seconds * sample_rate))
        for name, line in zip(STROKES, lines, strict=True):
            for note in line:
                add(track, strokes[name] * rng.uniform(0.7, 1.0), note.start, sample_rate)
        return track


def _cymbals(sample_rate: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Metal plates: modulation by ratios that are no harmonics, the low end taken away."""
    low = scipy.signal.butter(2, min(2500.0, 0.3 * sample_rate), "highpass", fs=sample_rate, output="sos")
    sounds = {}
    for name, decay, index in (("ride", 0.9, 9.0), ("crash", 2.5, 16.0)):
        tones = [fm_tone(rng.uniform(900, 1500), decay, sample_rate, ratio, index, 0.002, decay) for ratio in PLATES]
        plate = scipy.signal.sosfilt(low, sum(tones))
        sounds[name] = plate / np.abs(plate).max()
    return sounds
