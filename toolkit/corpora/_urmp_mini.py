"""A small URMP of synthetic music in the layout of the corpus: every part is made from a curve of its fundamental frequency.

So the annotations are true: `F0s_*.txt` holds samples of that curve, `Notes_*.txt` the notes it was drawn from.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit import audio, files, progress
from toolkit.corpora._urmp import INSTRUMENTS, RATE, codes
from toolkit.dsp import players, voices
from toolkit.dsp.voices import Performed

LEAD, TAIL = 0.3, 0.2  # seconds of near silence before and after the music
START, STEP = 0.023, 0.01  # seconds, of the annotated frames
SCALE = (0, 2, 4, 7, 9)  # semitones above the key: any two of these notes go together
KEYS = (0, 2, 5, 7, 9)
VALUES = ((1.0, 1.0), (0.5, 0.5, 1.0), (2.0,), (1.5, 0.5), (1.0, 0.5, 0.5))  # beats of half a bar
TICKS = 480  # of a beat, in the MIDI file
GAP = 0.03  # seconds that the sound stops before most notes
PROGRAMS = {"vn": 40, "vc": 42, "fl": 73, "cl": 71, "tpt": 56, "hn": 60}  # of General MIDI


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


def write(corpus: Path, seed: int) -> None:
    """Write the folders of all pieces below `corpus`."""
    for piece in progress.track(PIECES, "pieces of the mini corpus"):
        _write_piece(corpus / piece.folder, piece, seed)


def _compose(code: str, piece: Piece, beat: float, key: int, rng: np.random.Generator) -> list[Note]:
    """A walk over the scale for the whole length; most notes are set apart from the next one."""
    lowest = round(69 + 12 * np.log2(players.PLAYERS[INSTRUMENTS[code]].low / 440))
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


def _play(code: str, piece: Piece, beat: float, key: int, rng: np.random.Generator) -> tuple[list[Note], Performed]:
    notes = _compose(code, piece, beat, key, rng)
    melody = [voices.Note(note.onset, note.seconds, note.hz, 0) for note in notes]
    return notes, players.play(INSTRUMENTS[code], melody, piece.seconds, RATE, rng)


def _write_piece(folder: Path, piece: Piece, seed: int) -> None:
    rng = np.random.default_rng([7, seed, *folder.name.encode()])
    beat, key = float(rng.uniform(0.5, 0.65)), KEYS[rng.integers(len(KEYS))]
    name = "_".join(folder.name.split("_")[:2])
    played = [_play(code, piece, beat, key, rng) for code in codes(folder.name)]
    for number, (code, (notes, part)) in enumerate(zip(codes(folder.name), played, strict=True), 1):
        own = f"{number}_{code}_{name}"
        _write_wav(folder / f"AuSep_{own}.wav", part.samples)
        times = np.arange(START, piece.seconds - STEP, STEP)
        values = part.f0[np.rint(times * RATE).astype(int)]
        rows = zip(times, values, strict=True)
        files.write_text(folder / f"F0s_{own}.txt", "".join(f"{time:.3f}\t{hz:.3f}\n" for time, hz in rows))
        lines = (f"{note.onset:.3f}\t{note.hz:.3f}\t{note.seconds:.3f}\n" for note in notes)
        files.write_text(folder / f"Notes_{own}.txt", "".join(lines))
    _write_wav(folder / f"AuMix_{folder.name}.wav", np.sum([part.samples for _, part in played], axis=0))
    score = _midi([(PROGRAMS[code], notes) for code, (notes, _) in zip(codes(folder.name), played, strict=True)], beat)
    with files.atomic(folder / f"Sco_{folder.name}.mid") as partial:
        partial.write_bytes(score)


def _write_wav(path: Path, samples: np.ndarray) -> None:
    audio.write(path, samples[None], RATE)


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
