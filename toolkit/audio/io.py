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
            stream.seek(start)
            wanted = stream.frames - start if frames is None else min(frames, stream.frames - start)
            samples = stream.read(wanted, dtype="float32", always_2d=True)
            if len(samples) < wanted:
                raise ValueError(f"truncated: expected {wanted} samples from {start}, found {len(samples)}")
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error
    return torch.from_numpy(np.ascontiguousarray(samples.T))


def write(path: Path | str, waveform: Tensor, sample_rate: int, subtype: str = "PCM_16") -> None:
    """Write a waveform (channels, time) atomically; the suffix chooses the format, `subtype` is libsndfile's name."""
    with files.atomic(path) as partial:
        soundfile.write(partial, waveform.detach().cpu().numpy().T, sample_rate, subtype=subtype)


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
