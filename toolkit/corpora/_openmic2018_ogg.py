"""Ogg Vorbis files whose bytes depend on their samples alone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import soundfile

from toolkit import files

BLOCK = 1 << 15  # samples; the coder keeps what it is given at once on its stack
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def write(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write (time, channels), atomically; libsndfile draws a number for the stream, here it is always 1."""
    with files.atomic(path) as partial:
        with soundfile.SoundFile(str(partial), "w", sample_rate, samples.shape[1], format="OGG", subtype="VORBIS") as stream:
            for start in range(0, len(samples), BLOCK):
                stream.write(samples[start : start + BLOCK])
        partial.write_bytes(b"".join(_renumbered(partial.read_bytes())))


def _renumbered(content: bytes) -> list[bytes]:
    """The pages of one stream (RFC 3533, section 6) with serial number 1 and a new checksum."""
    pages, start = [], 0
    while start < len(content):
        segments = content[start + 26]
        end = start + 27 + segments + sum(content[start + 27 : start + 27 + segments])
        page = bytearray(content[start:end])
        page[14:18], page[22:26] = struct.pack("<I", 1), bytes(4)
        page[22:26] = struct.pack("<I", _checksum(page))
        pages.append(bytes(page))
        start = end
    return pages


def _checksum(page: bytes | bytearray) -> int:
    """CRC-32 with zlib's polynomial, but highest bit first, no initial value and no inversion."""
    mirrored = zlib.crc32(page.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
