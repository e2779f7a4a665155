"""What the speech corpora share: finding and reading utterances, writing samples."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from toolkit import audio, files
from toolkit.audio import wav
from toolkit.log import UserError

FULL_SCALE = 2**15


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders below `folder` with their visible files, in a fixed order; links are followed, each folder is entered once."""
    entered = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders.sort()
        yield Path(root), sorted(name for name in names if not name.startswith("."))


def read_utterance(path: Path, sample_rate: int) -> np.ndarray:
    """The samples of a recording of one voice, (time,), float32.

    Raises:
        UserError: it cannot be read, is empty, not mono, of another rate, or silent.
    """
    waveform = audio.read_array(path)
    found_rate = audio.info(path).sample_rate
    channels, frames = waveform.shape
    if (channels, found_rate) != (1, sample_rate):
        raise UserError(f"expected one channel at {sample_rate} Hz, found {channels} at {found_rate} Hz: {path}")
    if frames == 0:
        raise UserError(f"no samples: {path}")
    samples: np.ndarray = waveform[0]
    if not samples.any():
        raise UserError(f"silent throughout: {path}")
    return samples


def write_float(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write (time,) as float32 WAV, atomically."""
    _write_wav(path, np.ascontiguousarray(samples, "<f4"), sample_rate, wav.FLOAT)


def write_integers(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write (time,), int16, as WAV, atomically."""
    _write_wav(path, np.ascontiguousarray(samples, "<i2"), sample_rate, wav.PCM)


def _write_wav(path: Path, samples: np.ndarray, sample_rate: int, code: int) -> None:
    """Forty-four bytes and the samples: libsndfile waits for the disk after every file, most of the time a mixture takes."""
    width = samples.itemsize
    layout = struct.pack("<IHHIIHH", 16, code, 1, sample_rate, sample_rate * width, width, 8 * width)
    head = b"WAVEfmt " + layout + b"data" + struct.pack("<I", samples.nbytes)
    with files.atomic(path) as partial, partial.open("wb") as stream:
        stream.write(b"RIFF" + struct.pack("<I", len(head) + samples.nbytes) + head)
        stream.write(samples.data)
