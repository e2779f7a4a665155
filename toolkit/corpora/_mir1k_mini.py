"""A small MIR-1K of synthetic singers and bands in the layout of the corpus, its annotations the true curves."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit import audio, files, progress
from toolkit.dsp import band, voices
from toolkit.dsp.voices import Note

RATE = 16000  # Hz
WINDOW, HOP = 640, 320  # samples, of the annotated frames
BREAK = 0.15  # seconds without singing before and after each clip's melody
HISS = 1e-4  # amplitude of what is heard in silence
UNVOICED, OTHER = 4, 5  # classes of frames: inhaling, none of the unvoiced ones
LYRICS = "啊噫嗚欸喔"  # what is sung: vowels


class Folders(NamedTuple):
    """The names of the corpus's folders."""

    sound: str = "Wavfile"
    songs: str = "UndividedWavfile"
    pitch: str = "PitchLabel"
    unvoiced: str = "UnvoicedFrameLabel"
    vocal: str = "vocal-nonvocalLabel"
    lyrics: str = "Lyrics"


FOLDERS = Folders()


class Singer(NamedTuple):
    """Who sings, a voice of `voices.speaker`, and how long (seconds) each clip of the one song is."""

    name: str
    voice: int
    clips: tuple[float, ...] = (4.1, 3.99937)  # not always whole frames


SINGERS = (
    Singer("abjones", 2),
    Singer("amy", 3),
    Singer("Ani", 6),
    Singer("bobon", 4),
    Singer("davidson", 5),
    Singer("heycat", 8),
    Singer("leon", 7),
    Singer("tammy", 1, (4.1, 3.078)),  # as short as the shortest
    Singer("khair", 10),
    Singer("yifen", 11, (5.2, 3.5)),
)


def write(folder: Path, seed: int) -> None:
    """Write the clips of all singers with their annotations, and each singer's song as a whole."""
    for number, singer in enumerate(progress.track(SINGERS, "singers of the mini corpus")):
        rng = np.random.default_rng([8, seed, number])
        stems = band.play(1000 * seed + number, sum(singer.clips), RATE, vocals=False)
        accompaniment = 0.5 * np.sum(list(stems.values()), axis=0).mean(0)
        parts = np.split(accompaniment, np.rint(np.cumsum(singer.clips) * RATE).astype(int)[:-1])
        clips = [_write_clip(folder, singer, place, part, rng) for place, part in enumerate(parts, 1)]
        song = folder / FOLDERS.songs / f"{singer.name}_1.wav"
        audio.write(song, np.concatenate(clips, axis=1), RATE)


def _write_clip(folder: Path, singer: Singer, place: int, accompaniment: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Write a clip and return it, (2, time): accompaniment, voice."""
    name, seconds = f"{singer.name}_1_{place:02d}", len(accompaniment) / RATE
    notes = band.solo(rng, voices.speaker(singer.voice).pitch, BREAK, seconds - BREAK)
    sung = voices.perform(singer.voice, notes, seconds, RATE)
    voice = sung.samples + HISS * rng.standard_normal(len(sung.samples))
    clip = np.stack([accompaniment, voice])
    audio.write(folder / FOLDERS.sound / f"{name}.wav", clip, RATE)
    hz = sung.f0[HOP : len(voice) - WINDOW + HOP + 1 : HOP]  # in the middle of every window
    pitch = [69 + 12 * np.log2(value / 440) if value else 0.0 for value in hz]
    _write_lines(folder / FOLDERS.pitch / f"{name}.pv", [f"{value:.6f}" for value in pitch])
    _write_lines(folder / FOLDERS.unvoiced / f"{name}.unv", [str(OTHER if value else UNVOICED) for value in hz])
    _write_lines(folder / FOLDERS.vocal / f"{name}.vocal", [str(int(value > 0)) for value in hz])
    with files.atomic(folder / FOLDERS.lyrics / f"{name}.txt") as partial:
        partial.write_bytes(_words(notes).encode("big5"))
    return clip


def _write_lines(path: Path, lines: list[str]) -> None:
    files.write_text(path, "".join(f"{line}\n" for line in lines))


def _words(notes: list[Note]) -> str:
    return "".join(LYRICS[note.vowel % len(LYRICS)] for note in notes)
