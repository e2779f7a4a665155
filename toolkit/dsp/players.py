"""Single instruments that play a melody, each made from one curve of its fundamental frequency: that curve is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from toolkit.dsp import synths
from toolkit.dsp.voices import Note, Performed, timeline

HISS = 1e-4  # amplitude of what is heard in silence


class Player(NamedTuple):
    """How an instrument sounds and moves.

    Attributes:
        low: Hz, lowest note; the range is two octaves.
        cutoff: Hz above which the spectrum falls.
        slope: how steeply, 6 dB an octave each.
        formants: of the body: Hz, gain.
        odd: how much of the even harmonics is missing, 0 to 1.
        attack: seconds.
        shade: how much darker quiet moments are than loud ones, 0 to 1.
        vibrato: depth in cents.
        breath: strength of noise.
        glide: seconds from note to note.
    """

    low: float
    cutoff: float
    slope: float
    formants: tuple[tuple[float, float], ...]
    odd: float = 0.0
    attack: float = 0.05
    shade: float = 0.0
    vibrato: float = 0.0
    breath: float = 0.02
    glide: float = 0.02


PLAYERS = {
    "violin": Player(220, 3000, 1.3, ((480, 1.5), (2800, 3)), attack=0.08, vibrato=35, breath=0.05, glide=0.03),
    "cello": Player(73, 1200, 1.5, ((250, 3), (600, 1.5), (1500, 0.8)), attack=0.1, vibrato=30, breath=0.05, glide=0.04),
    "flute": Player(294, 700, 3.0, ((900, 0.5),), attack=0.06, vibrato=20, breath=0.3),
    "clarinet": Player(165, 1300, 2.0, ((1500, 0.5),), odd=0.9, attack=0.04),
    "trumpet": Player(208, 2600, 2.0, ((1200, 2), (2500, 1)), attack=0.04, shade=0.8, vibrato=12),
    "horn": Player(98, 700, 2.0, ((450, 2),), attack=0.07, shade=0.7, vibrato=5),
}


def play(instrument: str, notes: Sequence[Note], seconds: float, sample_rate: int, rng: np.random.Generator) -> Performed:
    """Play notes on an instrument of `PLAYERS`, about a third as loud as a file can be; vowels do not matter.

    Args:
        instrument: its name.
        notes: one after the other.
        seconds: of the whole.
        sample_rate: Hz.
        rng: draws vibrato, drift and how this instrument differs from others of its kind.
    """
    player, length = PLAYERS[instrument], round(seconds * sample_rate)
    hop = sample_rate // synths.FRAME_RATE
    time = np.arange(length // hop + 1) * hop / sample_rate
    which, since, left = timeline(notes, time)
    octaves = synths.smooth(np.log2([note.frequency for note in notes])[which], max(1, round(player.glide * synths.FRAME_RATE)))
    waver = np.clip((since - 0.08) / 0.25, 0, 1) * np.sin(2 * np.pi * rng.uniform(4.8, 6.2) * time)
    drift = 5 * synths.smooth(rng.standard_normal(len(time)), 40)
    octaves += (player.vibrato * rng.uniform(0.8, 1.2) * waver + drift) / 1200
    curve = 2.0 ** np.interp(np.arange(length), np.arange(len(time)) * hop, octaves)
    swell = rng.uniform(0.6, 1.0, len(notes))[which] * (0.8 + 0.2 * np.sin(np.pi * np.clip(since / (since + left), 0, 1)))
    loudness = np.clip(since / player.attack, 0, 1) * np.clip(left / 0.03, 0, 1) * swell
    samples = _sound(player, curve, loudness, sample_rate, rng)
    _, begun, to_come = timeline(notes, np.arange(length) / sample_rate)
    samples *= 0.3 / np.abs(samples).max() * rng.uniform(0.8, 1.2)
    voiced = (begun >= 0) & (to_come > 0)
    return Performed(samples + HISS * rng.standard_normal(length), np.where(voiced, curve, 0.0))


def _sound(player: Player, curve: np.ndarray, loudness: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """All harmonics of `curve` (time,) in Hz, and breath, through the body of the instrument."""
    source = synths.pulse_train(curve, sample_rate) + 2 * player.breath * rng.standard_normal(len(curve))
    if player.odd:
        source -= player.odd * synths.pulse_train(2 * curve, sample_rate)
    frequency = synths.frequencies(sample_rate)
    cutoff = player.cutoff * rng.uniform(0.9, 1.1) * (1 - player.shade + player.shade * loudness)
    gains = (1 + (frequency / cutoff[:, None]) ** 2) ** (-player.slope / 2) * (frequency > 30)
    body = synths.body(frequency, player.formants, 0.003, rng)
    return synths.shape(source, gains * body * loudness[:, None], sample_rate)
