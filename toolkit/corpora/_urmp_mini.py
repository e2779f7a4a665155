"""A small URMP of synthetic music in the layout of the corpus: every part is made from a curve of its fundamental frequency.

So the annotations are true: `F0s_*.txt` holds samples of that curve, `Notes_*.txt` the notes it was drawn from.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from toolkit import audio, files, progress
from toolkit.corpora._urmp import RATE, codes
from toolkit.dsp import synths

LEAD, TAIL = 0.3, 0.2  # seconds of near silence before and after the music
START, STEP = 0.023, 0.01  # seconds, of the annotated frames
SCALE = (0, 2, 4, 7, 9)  # semitones above the key: any two of these notes go together
KEYS = (0, 2, 5, 7, 9)
VALUES = ((1.0, 1.0), (0.5, 0.5, 1.0), (2.0,), (1.5, 0.5), (1.0, 0.5, 0.5))  # beats of half a bar
TICKS = 480  # of a beat, in the MIDI file
GAP = 0.03  # seconds that the sound stops before most notes
HISS = 1e-4  # amplitude of what is heard in silence


class Voice(NamedTuple):
    """How an instrument sounds and moves.

    Attributes:
        low: Hz, lowest note; the range is two octaves.
        program: of General MIDI.
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
    program: int
    cutoff: float
    slope: float
    formants: tuple[tuple[float, float], ...]
    odd: float = 0.0
    attack: float = 0.05
    shade: float = 0.0
    vibrato: float = 0.0
    breath: float = 0.02
    glide: float = 0.02


VOICES = {
    "vn": Voice(220, 40, 3000, 1.3, ((480, 1.5), (2800, 3)), attack=0.08, vibrato=35, breath=0.05, glide=0.03),
    "vc": Voice(73, 42, 1200, 1.5, ((250, 3), (600, 1.5), (1500, 0.8)), attack=0.1, vibrato=30, breath=0.05, glide=0.04),
    "fl": Voice(294, 73, 700, 3.0, ((900, 0.5),), attack=0.06, vibrato=20, breath=0.3),
    "cl": Voice(165, 71, 1300, 2.0, ((1500, 0.5),), odd=0.9, attack=0.04),
    "tpt": Voice(208, 56, 2600, 2.0, ((1200, 2), (2500, 1)), attack=0.04, shade=0.8, vibrato=12),
    "hn": Voice(98, 60, 700, 2.0, ((450, 2),), attack=0.07, shade=0.7, vibrato=5),
}


class Piece(NamedTuple):
    """A piece of the mini corpus: its folder and length; `rest` is where one beat in the middle is silent."""

    folder: str
    seconds: float = 11.8
    rest: bool = False


PIECES = (
    Piece("01_Dawn_vn_vc"),
    Piece("03_Brook_fl_cl"),
    Piece("05_Signal_tpt_hn"),
    Piece("08_Tide_vn_fl"),
    Piece("11_Lantern_tpt"),
    Piece("44_Canon_vn_fl_tpt", seconds=8.0, rest=True),
)


class Note(NamedTuple):
    """A note: onset and length in seconds and in beats, MIDI pitch."""

    onset: float
    seconds: float
    beat: float
    beats: float
    pitch: int

    @property
    def hz(self) -> float:
        """Fundamental frequency in equal temperament."""
        return 440.0 * 2 ** ((self.pitch - 69) / 12)


class Part(NamedTuple):
    """What one player plays: samples (time,), fundamental frequency of each, 0 where unvoiced, and the notes."""

    samples: np.ndarray
    f0: np.ndarray
    notes: list[Note]


def write(corpus: Path, seed: int) -> None:
    """Write the folders of all pieces below `corpus`."""
    for piece in progress.track(PIECES, "pieces of the mini corpus"):
        _write_piece(corpus / piece.folder, piece, seed)


def play(code: str, notes: Sequence[Note], seconds: float, rng: np.random.Generator) -> Part:
    """Play notes on an instrument of `VOICES`, about a third as loud as a file can be.

    Args:
        code: of the instrument.
        notes: one after the other.
        seconds: of the whole.
        rng: draws vibrato, drift and how this instrument differs from others of its kind.
    """
    voice, length = VOICES[code], round(seconds * RATE)
    hop = RATE // synths.FRAME_RATE
    time = np.arange(length // hop + 1) / synths.FRAME_RATE
    starts, ends = (np.array(values) for values in zip(*((n.onset, n.onset + n.seconds) for n in notes), strict=True))
    which = np.maximum(np.searchsorted(starts, time, side="right") - 1, 0)
    since, left = time - starts[which], ends[which] - time
    octaves = synths.smooth(np.log2([note.hz for note in notes])[which], max(1, round(voice.glide * synths.FRAME_RATE)))
    waver = np.clip((since - 0.08) / 0.25, 0, 1) * np.sin(2 * np.pi * rng.uniform(4.8, 6.2) * time)
    drift = 5 * synths.smooth(rng.standard_normal(len(time)), 40)
    octaves += (voice.vibrato * rng.uniform(0.8, 1.2) * waver + drift) / 1200
    curve = 2.0 ** np.interp(np.arange(length), np.arange(len(time)) * hop, octaves)
    swell = rng.uniform(0.6, 1.0, len(notes))[which] * (0.8 + 0.2 * np.sin(np.pi * np.clip(since / (since + left), 0, 1)))
    loudness = np.clip(since / voice.attack, 0, 1) * np.clip(left / 0.03, 0, 1) * swell
    samples = _sound(voice, curve, loudness, rng)
    moments = np.arange(length) / RATE
    spans = np.searchsorted(starts, moments, side="right") - 1
    voiced = (spans >= 0) & (moments < ends[np.maximum(spans, 0)])
    samples *= 0.3 / np.abs(samples).max() * rng.uniform(0.8, 1.2)
    return Part(samples + HISS * rng.standard_normal(length), np.where(voiced, curve, 0.0), list(notes))


def _sound(voice: Voice, curve: np.ndarray, loudness: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All harmonics of `curve` (time,) in Hz, and breath, through the body of the instrument."""
    source = synths.pulse_train(curve, RATE) + 2 * voice.breath * rng.standard_normal(len(curve))
    if voice.odd:
        source -= voice.odd * synths.pulse_train(2 * curve, RATE)
    frequency = synths.frequencies(RATE)
    cutoff = voice.cutoff * rng.uniform(0.9, 1.1) * (1 - voice.shade + voice.shade * loudness)
    gains = (1 + (frequency / cutoff[:, None]) ** 2) ** (-voice.slope / 2) * (frequency > 30)
    body = np.ones(len(frequency))
    for centre, gain in voice.formants:
        apart = np.log2(np.maximum(frequency, 1.0) / (centre * rng.uniform(0.95, 1.05)))
        body += gain * np.exp(-0.5 * (apart / 0.25) ** 2)
    spread = 0.003 * (frequency + 2000.0 * np.expm1(-frequency / 2000.0))  # highs come 3 ms late: no sharp pulses
    return synths.shape(source, gains * (body * np.exp(-2j * np.pi * spread)) * loudness[:, None], RATE)


def _compose(code: str, piece: Piece, beat: float, key: int, rng: np.random.Generator) -> list[Note]:
    """A walk over the scale for the whole length; most notes are set apart from the next one."""
    lowest = round(69 + 12 * np.log2(VOICES[code].low / 440))
    pitches = [pitch for pitch in range(lowest, lowest + 25) if (pitch - key) % 12 in SCALE]
    total = int((piece.seconds - LEAD - TAIL) / beat)
    place, at, notes = len(pitches) // 2, 0.0, []
    while at < total:
        for beats in VALUES[rng.integers(len(VALUES))]:
            beats = min(beats, total - at)
            if beats > 0 and not (piece.rest and at <= total // 2 < at + beats):
                place = int(np.clip(place + rng.integers(-3, 4), 0, len(pitches) - 1))
                gap = GAP if rng.random() < 0.7 and at + beats < total else 0.0
                notes.append(Note(LEAD + at * beat, beats * beat - gap, at, beats, pitches[place]))
            at += beats
    end = piece.seconds - TAIL
    return [*notes[:-1], notes[-1]._replace(seconds=end - notes[-1].onset)]  # sounds till the end


def _write_piece(folder: Path, piece: Piece, seed: int) -> None:
    rng = np.random.default_rng([7, seed, *folder.name.encode()])
    beat, key = float(rng.uniform(0.5, 0.65)), KEYS[rng.integers(len(KEYS))]
    name = "_".join(folder.name.split("_")[:2])
    parts = [play(c, _compose(c, piece, beat, key, rng), piece.seconds, rng) for c in codes(folder.name)]
    for number, (code, part) in enumerate(zip(codes(folder.name), parts, strict=True), 1):
        own = f"{number}_{code}_{name}"
        _write_wav(folder / f"AuSep_{own}.wav", part.samples)
        times = np.arange(START, piece.seconds - STEP, STEP)
        values = part.f0[np.rint(times * RATE).astype(int)]
        rows = zip(times, values, strict=True)
        files.write_text(folder / f"F0s_{own}.txt", "".join(f"{time:.3f}\t{hz:.3f}\n" for time, hz in rows))
        lines = (f"{note.onset:.3f}\t{note.hz:.3f}\t{note.seconds:.3f}\n" for note in part.notes)
        files.write_text(folder / f"Notes_{own}.txt", "".join(lines))
    _write_wav(folder / f"AuMix_{folder.name}.wav", np.sum([part.samples for part in parts], axis=0))
    score = _midi([(VOICES[c].program, part.notes) for c, part in zip(codes(folder.name), parts, strict=True)], beat)
    with files.atomic(folder / f"Sco_{folder.name}.mid") as partial:
        partial.write_bytes(score)


def _write_wav(path: Path, samples: np.ndarray) -> None:
    audio.write(path, torch.from_numpy(samples)[None], RATE)


def _midi(parts: Sequence[tuple[int, Sequence[Note]]], beat: float) -> bytes:
    """A Standard MIDI File of format 1: the tempo, then a track for every part (program, notes)."""

    def track(events: Sequence[tuple[int, bytes]]) -> bytes:
        body, now = b"", 0
        for tick, message in sorted(events, key=lambda event: event[0]):
            body += _variable(tick - now) + message
            now = tick
        body += b"\0\xff\x2f\0"
        return b"MTrk" + struct.pack(">I", len(body)) + body

    def notes_of(channel: int, program: int, notes: Sequence[Note]) -> list[tuple[int, bytes]]:
        events = [(0, bytes([0xC0 | channel, program]))]
        for note in notes:
            begin, end = round(note.beat * TICKS), round((note.beat + note.beats) * TICKS)
            events += [(begin, bytes([0x90 | channel, note.pitch, 80])), (end - 1, bytes([0x80 | channel, note.pitch, 0]))]
        return events

    tempo = b"\xff\x51\x03" + struct.pack(">I", round(beat * 1e6))[1:]
    tracks = [track([(0, tempo)]), *(track(notes_of(n, program, notes)) for n, (program, notes) in enumerate(parts))]
    return struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), TICKS) + b"".join(tracks)


def _variable(number: int) -> bytes:
    """A number as MIDI writes it: seven bits a byte, the last byte below 128."""
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(0x80 | number & 0x7F)
    return bytes(reversed(out))
