"""One way in and one way out: PCM WAV straight from the disk's pages, NIST SPHERE by our own decoder, all else by libsndfile.

Training reads short pieces of long files many thousand times; for a WAV file that is one `pread` of the very bytes.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from torch import Tensor

from toolkit import files
from toolkit.audio import sphere, wav
from toolkit.log import UserError


class AudioInfo(NamedTuple):
    """What a file's header says: frames (samples per channel), sample_rate (Hz), channels."""

    frames: int
    sample_rate: int
    channels: int


def info(path: Path | str) -> AudioInfo:
    """Read a file's header.

    Raises:
        UserError: the file is missing or is no audio file.
    """
    path = str(path)
    try:
        if (layout := wav.layout(path)) is not None:
            return AudioInfo(layout.frames, layout.sample_rate, layout.channels)
        if sphere.is_sphere(path):
            header = sphere.read_header(path)
            return AudioInfo(header.frames, header.sample_rate, header.channels)
        found = soundfile.info(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error
    return AudioInfo(found.frames, found.samplerate, found.channels)


def read(path: Path | str, start: int = 0, frames: int | None = None) -> Tensor:
    """Read `frames` samples (all, if None) from sample `start`.

    Returns:
        Waveform (channels, time), float32; shorter than `frames` only where the file ends.

    Raises:
        UserError: the file is missing, is no audio file, or holds less than its header says.
    """
    path = str(path)
    try:
        if (layout := _cached_layout(path)) is not None:
            return torch.from_numpy(wav.read(path, layout, start, frames))
        if sphere.is_sphere(path):
            samples = sphere.read(path)[:, start : None if frames is None else start + frames]
            return torch.from_numpy(samples)
        with soundfile.SoundFile(path) as stream:
            stream.seek(min(start, stream.frames))
            left = stream.frames - stream.tell()
            wanted = left if frames is None else min(frames, left)
            samples = stream.read(wanted, dtype="float32", always_2d=True)
            if len(samples) < wanted:
                raise ValueError(f"truncated: expected {wanted} samples from {start}, found {len(samples)}")
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error
    return torch.from_numpy(np.ascontiguousarray(samples.T))


def write(path: Path | str, waveform: Tensor, sample_rate: int, subtype: str = "PCM_16") -> None:
    """Write a waveform (channels, time) atomically.

    PCM is rounded to full scale 1.0 = 2^(bits-1) and clipped, so what was read from a PCM file is written back bit by bit.

    Args:
        path: the file; its suffix chooses the format.
        waveform: (channels, time).
        sample_rate: Hz.
        subtype: libsndfile's name: ``PCM_16``, ``PCM_24``, ``PCM_32``, ``FLOAT``, …

    Raises:
        UserError: a sample is not finite.
    """
    samples = waveform.detach().cpu().numpy().T
    if not np.isfinite(samples).all():
        raise UserError(f"not written: {path}: expected finite samples, found {np.count_nonzero(~np.isfinite(samples))} others")
    if subtype.startswith("PCM_") and subtype[4:].isdigit():
        samples = _quantise(samples, int(subtype[4:]))
    with files.atomic(path) as partial:
        soundfile.write(partial, samples, sample_rate, subtype=subtype)


def _quantise(samples: np.ndarray, bits: int) -> np.ndarray:
    full_scale = 2.0 ** (bits - 1)  # libsndfile would take full_scale - 1, and change most loud samples of a copy
    steps = np.clip(np.rint(samples.astype(np.float64) * full_scale), -full_scale, full_scale - 1)
    return steps.astype(np.int32) << (32 - bits)


@lru_cache(maxsize=65536)
def _layout_at(path: str, modified: int, size: int) -> wav.Layout | None:
    return wav.layout(path)


def _cached_layout(path: str) -> wav.Layout | None:
    status = os.stat(path)
    return _layout_at(path, status.st_mtime_ns, status.st_size)


def _unreadable(path: str, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError) or not os.path.exists(path):
        return UserError(f"no such audio file: {path}")
    return UserError(f"cannot read audio file {path}: {error}")
