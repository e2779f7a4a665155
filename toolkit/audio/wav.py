"""Uncompressed WAV without a library: where the samples lie, and any piece of them as float32."""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

import numpy as np

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
SUPPORTED = {(PCM, 16): "<i2", (PCM, 32): "<i4", (FLOAT, 32): "<f4"}  # other widths are libsndfile's work

UNKNOWN = 0xFFFFFFFF  # what a writer into a pipe gives as the size


class Layout(NamedTuple):
    """Where a WAV file keeps its samples: byte offset, frames, rate (Hz), channels, NumPy type."""

    offset: int
    frames: int
    sample_rate: int
    channels: int
    dtype: str


def layout(path: str) -> Layout | None:
    """Read the RIFF header (Microsoft, "Multimedia Programming Interface and Data Specifications 1.0", 1991).

    Returns:
        The layout, or None for what is not a WAV file of 16- or 32-bit samples.

    Raises:
        ValueError: the header promises more samples than the file holds.
    """
    with open(path, "rb") as stream:
        head = stream.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        form: tuple[int, int, int, int] | None = None
        while len(chunk := stream.read(8)) == 8:
            name, size = struct.unpack("<4sI", chunk)
            if name == b"fmt ":
                form = _read_format(stream.read(size + size % 2))
            elif name == b"data" and form is not None:
                return _locate(stream.tell(), size, os.fstat(stream.fileno()).st_size, form)
            else:
                stream.seek(size + size % 2, os.SEEK_CUR)
    return None


def read(path: str, layout: Layout, start: int = 0, frames: int | None = None) -> np.ndarray:
    """Samples (channels, time) as float32 in [-1, 1), `frames` of them from `start` or as many as there are."""
    left = max(layout.frames - start, 0)
    count = left if frames is None else min(frames, left)
    width = layout.channels * int(layout.dtype[-1])
    handle = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(handle, count * width, layout.offset + start * width)
    finally:
        os.close(handle)
    if len(data) < count * width:
        raise ValueError(f"truncated: expected {count} samples from {start}, found {len(data) // width}")
    samples = np.frombuffer(data, layout.dtype).reshape(count, layout.channels).T
    if layout.dtype == "<f4":
        return np.array(samples, order="C")
    scale = np.float32(2.0 ** (1 - 8 * int(layout.dtype[-1])))
    return np.multiply(samples, scale, dtype=np.float32, order="C", casting="unsafe")


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
