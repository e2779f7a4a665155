"""A small MUSDB18 of synthetic music, in the layout of either release."""

from __future__ import annotations

import struct
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit import audio, progress
from toolkit.audio import ffmpeg
from toolkit.corpora import _musdb18
from toolkit.dsp.band import play

SECONDS = 8.0


class Track(NamedTuple):
    """A track of the mini corpus: folder, name and what is odd about it."""

    subset: str
    name: str
    seconds: float = SECONDS
    vocals: bool = True
    silence: float = 0.0  # seconds before the music begins


TRACKS = (
    Track("train", "The Oscillators - First Light"),
    Track("train", "The Oscillators - Slow Envelope"),
    Track("train", "Delay Line - Comb & Tooth", seconds=SECONDS / 2),  # shorter than the others
    Track("train", "Delay Line - Night Bus", vocals=False),  # that stem is silent
    Track("train", "Carrier Wave - Two To One"),
    Track("train", "Carrier Wave - Sidebands"),
    Track("train", "Johnny Lokke - Promises & Lies"),  # names of two of the official validation tracks
    Track("train", "Leaf - Summerghost"),
    Track("test", "Formant Choir - Ah And Oh"),
    Track("test", "Übertöne - Kör på søen", silence=1.0),
    Track("test", "Formant Choir - Glottis"),
)


def write(corpus: Path, seed: int, layout: str) -> None:
    """Write `train` and `test` below `corpus`: folders of WAV files (`wav`), or stem.mp4 files (`stems`)."""
    for number, track in enumerate(progress.track(TRACKS, "tracks of the mini corpus")):
        samples = _compose(track, 1000 * seed + number)
        if layout == "wav":
            _write_wavs(corpus / track.subset / track.name, samples)
            continue
        with tempfile.TemporaryDirectory() as folder:
            cover = Path(folder) / "cover.png"
            cover.write_bytes(_picture())
            sources = _write_wavs(Path(folder), samples)
            ffmpeg.encode(sources, corpus / track.subset / f"{track.name}{_musdb18.STEM_SUFFIX}", cover)


def _compose(track: Track, seed: int) -> dict[str, np.ndarray]:
    """Mixture and stems, (2, time), whole numbers; the mixture is exactly the stems' sum."""
    music = play(seed, track.seconds - track.silence, _musdb18.RATE, track.vocals)
    rest = ((0, 0), (round(track.silence * _musdb18.RATE), 0))
    stems = {name: np.rint(np.pad(music[name], rest) * 2**15) for name in _musdb18.SOURCES}
    return {"mixture": np.sum(list(stems.values()), axis=0)} | stems


def _write_wavs(folder: Path, samples: dict[str, np.ndarray]) -> list[Path]:
    paths = [folder / f"{role}.wav" for role in _musdb18.ROLES]
    for path, role in zip(paths, _musdb18.ROLES, strict=True):
        audio.write(path, samples[role] / 2**15, _musdb18.RATE)
    return paths


def _picture() -> bytes:
    """A grey square of 16 pixels as PNG: stems of Native Instruments' kind carry a cover after the sound."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = (b"\0" + b"\x80" * 16) * 16
    header = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
