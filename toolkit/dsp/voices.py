"""Synthetic voices for the mini corpora: as hard to tell apart as speech is, and free of any licence.

A source (glottal pulses, breath, friction) goes through the resonances of a vocal tract (D. H. Klatt, "Software for a
cascade/parallel formant synthesizer", JASA 67(3), 1980).  A seed makes a speaker (pitch, tract length, formants, tilt, breath,
pace), another one what is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from toolkit.dsp import synths

# First three formants (Hz) of ten vowels, means over men: G. E. Peterson and H. L. Barney, "Control methods used in a study of
# the vowels", JASA 24(2), 1952, table II.
VOWELS = np.array(
    [
        (270, 2290, 3010),
        (390, 1990, 2550),
        (530, 1840, 2480),
        (660, 1720, 2410),
        (730, 1090, 2440),
        (570, 840, 2410),
        (440, 1020, 2240),
        (300, 870, 2240),
        (640, 1190, 2390),
        (490, 1350, 1690),
    ]
)
FORMANTS = 8
BANDWIDTHS = np.array([60, 90, 130, 200, 250, 300, 350, 400])  # Hz
LEVEL = 0.08  # root mean square of a whole utterance, about


class Speaker(NamedTuple):
    """What stays the same whenever one person speaks.

    Attributes:
        pitch: usual fundamental frequency, Hz.
        formant_scale: (formants,), how far each formant lies from that of a 17.5 cm tract.
        tilt: fall of the glottal spectrum, as an exponent of frequency.
        breath: strength of noise in voiced sounds.
        pace: syllables run this much faster than usual.
        liveliness: range of intonation, octaves.
    """

    pitch: float
    formant_scale: np.ndarray
    tilt: float
    breath: float
    pace: float
    liveliness: float


class _Sound(NamedTuple):
    """A piece of an utterance: seconds, first three formants (Hz), loudness of voice and friction, centre of friction (Hz)."""

    seconds: float
    formants: tuple[float, float, float]
    voice: float
    friction: float = 0.0
    centre: float = 3000.0


def speaker(seed: int) -> Speaker:
    """The speaker of a seed: pitch 75 to 270 Hz, higher voices have the shorter tracts; neighbouring seeds differ much."""
    rng = np.random.default_rng([1, seed])
    pitch = 75.0 * 3.6 ** (seed * 0.618034 % 1.0)  # the golden ratio spreads them evenly
    length = (pitch / 110.0) ** 0.22 * rng.uniform(0.93, 1.07)
    return Speaker(
        pitch=pitch,
        formant_scale=length * rng.uniform(0.94, 1.06, FORMANTS),
        tilt=rng.uniform(0.7, 1.3),
        breath=rng.uniform(0.02, 0.15),
        pace=rng.uniform(0.85, 1.2),
        liveliness=rng.uniform(0.15, 0.4),
    )


def speak(speaker_seed: int, utterance_seed: int, seconds: float, sample_rate: int) -> np.ndarray:
    """One utterance: syllables of random vowels and consonants in words, with pauses.

    Args:
        speaker_seed: who speaks.
        utterance_seed: what is said; the same for two speakers gives different words.
        seconds: length.
        sample_rate: Hz.

    Returns:
        Waveform (time,), float32, its peak below 1.
    """
    voice = speaker(speaker_seed)
    rng = np.random.default_rng([2, speaker_seed, utterance_seed])
    length = round(seconds * sample_rate)
    frames = length // (sample_rate // synths.FRAME_RATE) + 1
    controls = _trajectories(_sounds(rng, seconds, voice.pace), frames)
    frequency = synths.frequencies(sample_rate)
    tract = _resonances(frequency, _formants(controls[:, :3], voice.formant_scale))
    glottis = (1 + (frequency / 200.0) ** 2) ** (-voice.tilt / 2) * (frequency > 40)
    spoken, friction, centre = controls[:, 3:4], controls[:, 4:5], controls[:, 5:6]
    rubbing = np.exp(-0.5 * (np.log2(np.maximum(frequency, 1.0) / centre) / 0.4) ** 2)

    pulses = synths.pulse_train(_intonation(rng, voice, frames, length), sample_rate) * 0.2
    noise = rng.standard_normal(length)
    sound = synths.shape(pulses, spoken * tract * glottis, sample_rate)
    sound += synths.shape(noise, voice.breath * spoken * tract * np.sqrt(glottis) + friction * rubbing, sample_rate)
    level = LEVEL * rng.uniform(0.7, 1.4) / np.sqrt(np.mean(sound**2) + 1e-12)
    sound = sound * min(level, 0.95 / (np.abs(sound).max() + 1e-12)) + 1e-4 * rng.standard_normal(length)
    return sound.astype(np.float32)


class Note(NamedTuple):
    """A sung note: where it begins and how long it lasts (seconds), its pitch (Hz), which of `VOWELS`."""

    start: float
    seconds: float
    frequency: float
    vowel: int


def fold(frequency: float, low: float, high: float) -> float:
    """The same note in an octave where it lies between `low` and `high` (Hz), which are at least an octave apart."""
    while frequency > high:
        frequency /= 2
    while frequency < low:
        frequency *= 2
    return frequency


class Performed(NamedTuple):
    """A melody as sound (time,) and the fundamental frequency of every sample (time,), Hz, 0 between notes."""

    samples: np.ndarray
    f0: np.ndarray


def timeline(notes: Sequence[Note], time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The note's number at moments (n,) in seconds, the seconds since it began and until it ends (< 0: rest), (n,) each."""
    starts, ends = (
        np.array(values) for values in zip(*((note.start, note.start + note.seconds) for note in notes), strict=True)
    )
    which = np.maximum(np.searchsorted(starts, time, side="right") - 1, 0)
    return which, time - starts[which], ends[which] - time


def sing(speaker_seed: int, notes: Sequence[Note], seconds: float, sample_rate: int) -> np.ndarray:
    """What `perform` gives, the sound alone."""
    return perform(speaker_seed, notes, seconds, sample_rate).samples


def perform(speaker_seed: int, notes: Sequence[Note], seconds: float, sample_rate: int) -> Performed:
    """A melody: each note a vowel with vibrato, gliding into the next, breath before it.

    Args:
        speaker_seed: who sings.
        notes: in order, none before the other's end.
        seconds: length.
        sample_rate: Hz.

    Returns:
        Sound, its root mean square where it is heard about 0.1, and the curve that it was made from; silence without notes.
    """
    length = round(seconds * sample_rate)
    if not notes:
        return Performed(np.zeros(length), np.zeros(length))
    voice = speaker(speaker_seed)
    rng = np.random.default_rng([3, speaker_seed, len(notes)])
    time = np.arange(length // (sample_rate // synths.FRAME_RATE) + 1) / synths.FRAME_RATE
    which, since, left = timeline(notes, time)
    sounds = synths.smooth(((since >= 0) & (left >= 0)).astype(float), 6) * (left > -0.05) * (since > -0.05)
    breath = np.exp(-0.5 * ((since - 0.01) / 0.02) ** 2) * rng.uniform(0.1, 0.5, len(notes))[which]

    octaves = synths.smooth(np.log2([note.frequency for note in notes])[which], 5)
    vibrato = np.clip(since / 0.3, 0, 1) * np.sin(2 * np.pi * rng.uniform(4.8, 6.2) * time)
    f0 = 2.0 ** (octaves + rng.uniform(0.02, 0.045) * vibrato + 0.003 * synths.smooth(rng.standard_normal(len(time)), 3))
    formants = np.stack([synths.smooth(column, 12) for column in VOWELS[[note.vowel for note in notes]][which].T], axis=1)

    frequency = synths.frequencies(sample_rate)
    tract = _resonances(frequency, _formants(formants, voice.formant_scale))
    glottis = (1 + (frequency / 400.0) ** 2) ** (-voice.tilt / 2) * (frequency > 40)  # brighter than in speech
    hop = sample_rate // synths.FRAME_RATE
    f0 = np.interp(np.arange(length), np.arange(len(time)) * hop, f0)
    pulses = synths.pulse_train(f0, sample_rate)
    sound = synths.shape(0.2 * pulses, sounds[:, None] * tract * glottis, sample_rate)
    sound += synths.shape(
        rng.standard_normal(length), (voice.breath * sounds + breath)[:, None] * tract * np.sqrt(glottis), sample_rate
    )
    audible = np.abs(sound) > 1e-6
    sound = 0.1 * sound / np.sqrt(np.mean(sound[audible] ** 2)) if audible.any() else np.zeros(length)
    _, since, left = timeline(notes, np.arange(length) / (hop * synths.FRAME_RATE))
    return Performed(sound, np.where((since >= 0) & (left > 0), f0, 0.0))


def _sounds(rng: np.random.Generator, seconds: float, pace: float) -> list[_Sound]:
    """Words of one to four syllables, and pauses, at least `seconds` long."""
    sounds = [_Sound(rng.uniform(0.02, 0.1), (500, 1500, 2500), 0.0)]
    left = seconds
    while left > 0:
        word: list[_Sound] = []
        for _ in range(rng.integers(1, 5)):
            vowel = tuple(VOWELS[rng.integers(len(VOWELS))].tolist())
            word += _consonant(rng, vowel)
            word.append(_Sound(rng.uniform(0.08, 0.22) / pace, vowel, rng.uniform(0.6, 1.0)))
        if rng.random() < 0.3:
            word.append(_Sound(rng.uniform(0.1, 0.3), vowel, 0.0))
        sounds += word
        left -= sum(sound.seconds for sound in word)
    return sounds


def _consonant(rng: np.random.Generator, vowel: tuple[float, float, float]) -> list[_Sound]:
    """The sounds before a vowel: none, a fricative (voiced or not), a stop with its burst, or a nasal."""
    kind = rng.integers(5)
    if kind == 0:
        return []
    if kind <= 2:
        centre, voice = rng.choice([1800.0, 2800.0, 4500.0, 6000.0]), float(kind == 2) * 0.3
        return [_Sound(rng.uniform(0.05, 0.12), vowel, voice, rng.uniform(0.15, 0.4), centre)]
    if kind == 3:
        burst = _Sound(0.015, vowel, 0.0, rng.uniform(0.5, 1.0), rng.choice([1000.0, 1800.0, 3500.0]))
        return [_Sound(rng.uniform(0.03, 0.08), vowel, 0.0), burst]
    return [_Sound(rng.uniform(0.04, 0.09), (260, rng.uniform(900, 1500), 2300), 0.4)]


def _trajectories(sounds: list[_Sound], frames: int) -> np.ndarray:
    """Controls (frames, 6): three formants, voice, friction, its centre; the mouth needs time from one sound to the next."""
    ends = np.cumsum([sound.seconds for sound in sounds]) * synths.FRAME_RATE
    which = np.minimum(np.searchsorted(ends, np.arange(frames), side="right"), len(sounds) - 1)
    steps = np.array([(*sound.formants, sound.voice, sound.friction, sound.centre) for sound in sounds])[which]
    controls = np.empty_like(steps)
    for column, seconds in enumerate([0.08, 0.08, 0.08, 0.03, 0.02, 0.02]):
        controls[:, column] = synths.smooth(steps[:, column], round(seconds * synths.FRAME_RATE))
    controls[-1, 3:5] = 0.0  # the last frame is the file's end: no click
    return controls


def _intonation(rng: np.random.Generator, voice: Speaker, frames: int, length: int) -> np.ndarray:
    """Fundamental frequency (time,), Hz: phrases that fall, accents, and the small unsteadiness of a real voice."""
    seconds = np.arange(frames) / synths.FRAME_RATE
    phrase = rng.uniform(1.5, 3.0)
    fall = 0.5 - (seconds / phrase + rng.random()) % 1.0
    accents = synths.smooth(rng.standard_normal(frames), round(0.25 * synths.FRAME_RATE)) * 4.0
    octaves = voice.liveliness * (synths.smooth(fall, round(0.1 * synths.FRAME_RATE)) + 0.5 * accents)
    octaves += 0.012 * synths.smooth(rng.standard_normal(frames), 3)
    f0 = np.clip(voice.pitch * 2.0**octaves, 60.0, 400.0)
    return np.interp(np.arange(length) * (frames - 1) / max(length - 1, 1), np.arange(frames), f0)


def _formants(first_three: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Formants (frames, formants), Hz: above the third those of a plain tube of 17.5 cm, odd multiples of 500 Hz."""
    tube = np.tile(500.0 * (2 * np.arange(4, FORMANTS + 1) - 1), (len(first_three), 1))
    return np.concatenate([first_three, tube], axis=1) * scale


def _resonances(frequency: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """Gains (frames, bins) of resonators in cascade, each 1 at 0 Hz (Klatt 1980, section I.B)."""
    gains = np.ones((len(formants), len(frequency)))
    for centre, bandwidth in zip(formants.T[..., None], BANDWIDTHS, strict=True):
        gains *= centre**2 / np.sqrt((centre**2 - frequency**2) ** 2 + (bandwidth * frequency) ** 2)
    return gains
