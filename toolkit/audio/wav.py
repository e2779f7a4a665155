"""Uncompressed WAV without a library: where the samples lie, and any piece of them as float32."""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

import numpy as np

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
FLOAT_TYPE = "<f4"
SUPPORTED = {(PCM, 16): "<i2", (PCM, 32): "<i4", (FLOAT, 32): FLOAT_TYPE}  # other widths are libsndfile's work

UNKNOWN = 0xFFFFFFFF  # what a writer into a pipe gives as the size


class Layout(NamedTuple):
    """Where a WAV file keeps its samples: byte offset, frames, rate (Hz), channels, NumPy type."""

    offset: int
    frames: int
    sample_rate: int
    channels: int
    dtype: str


def layout(handle: int) -> Layout | None:
    """Read the RIFF header (Microsoft, "Multimedia Programming Interface and Data Specifications 1.0", 1991).

    Args:
        handle: an open file.

    Returns:
        The layout, or None for what is not a WAV file of 16- or 32-bit samples.

    Raises:
        ValueError: the header promises more samples than the file holds.
    """
    file_size = os.fstat(handle).st_size
    head = os.pread(handle, 12, 0)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    form: tuple[int, int, int, int] | None = None
    place = 12
    while len(chunk := os.pread(handle, 8, place)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        place += 8
        if name == b"fmt ":
            form = _read_format(os.pread(handle, min(size, 40), place))
        elif name == b"data" and form is not None:
            return _locate(place, size, file_size, form)
        place += size + size % 2
    return None


def read_into(handle: int, layout: Layout, start: int, out: np.ndarray, gain: float = 1.0) -> None:
    """Fill `out` (channels, time), float32, with `gain` times the samples, those in [-1, 1), from sample `start` on.

    Raises:
        ValueError: the file ends before, or a sample is not finite.
    """
    count, dtype = out.shape[1], np.dtype(layout.dtype)
    width = layout.channels * dtype.itemsize
    data = os.pread(handle, count * width, layout.offset + start * width)
    if len(data) < count * width:
        raise ValueError(f"truncated: expected {count} samples from {start}, found {len(data) // width}")
    samples = np.frombuffer(data, dtype).reshape(count, layout.channels).T
    if layout.dtype == FLOAT_TYPE:
        np.multiply(samples, np.float32(gain), out=out)
        require_finite(out, start)
    else:
        np.multiply(samples, np.float32(gain * 2.0 ** (1 - 8 * dtype.itemsize)), out=out, casting="unsafe")


def require_finite(samples: np.ndarray, start: int) -> None:
    """Refuse samples (channels, time) that are not numbers; `start` is where they stand in their file.

    Raises:
        ValueError: names the first one's place.
    """
    wrong = ~np.isfinite(samples)
    if wrong.any():
        raise ValueError(
            f"expected finite samples, found {samples[wrong][0]} at sample {start + int(wrong.any(axis=0).argmax())}"
        )


def _read_format(body: bytes) -> tuple[int, int, int, int]:
    if len(body) < 16:
        raise ValueError("truncated: its header ends within the format")
    code, channels, sample_rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if code == EXTENSIBLE and len(body) >= 26:
        (code,) = struct.unpack_from("<H", body, 24)
    return code, channels, sample_rate, bits


def _locate(offset: int, size: int, file_size: int, form: tuple[int, int, int, int]) -> Layout | None:
    code, channels, sample_rate, bits = form
    dtype = SUPPORTED.get((code, bits))
    if dtype is None or channels == 0:
        return None
    width = channels * bits // 8
    if size == UNKNOWN:
        size = file_size - offset
    if offset + size > file_size:
        raise ValueError(f"truncated: its header says {size // width} samples, the file holds {(file_size - offset) // width}")
    return Layout(offset, size // width, sample_rate, channels, dtype)
