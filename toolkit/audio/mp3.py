"""How many samples an MP3 file holds, counted frame by frame: without a Xing header, libsndfile guesses from the file's size.

Its guess takes tags for sound: 500 bytes of title and artist are 2,000 samples at 32 kbit/s and 16 kHz, which then cannot be
read.  A Xing header needs more room than a frame of such a low bit rate has, so just these files have none.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz, by version: MPEG-1, 2, 2.5
KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
SIDE = (4, 13, 21, 36)  # bytes before a Xing header: 4, and the side information of any version and number of channels


class _Frame(NamedTuple):
    size: int  # bytes
    samples: int  # per channel


def frames(path: Path | str) -> int | None:
    """Samples per channel of a file of MPEG layer III; None where a Xing header or an odd kind of file is left to libsndfile.

    Raises:
        OSError: the file cannot be read.
        ValueError: it ends within a frame.
    """
    status = os.stat(path)
    return _counted(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1 << 12)
def _counted(path: str, size: int, changed: int) -> int | None:
    return count(Path(path).read_bytes())


def count(data: bytes) -> int | None:
    """As `frames`, of a file's content.

    Raises:
        ValueError: it ends within a frame.
    """
    if data[-128:-125] == b"TAG":  # ID3v1
        data = data[:-128]
    at = _next_frame(data, _end_of_tags(data))
    if at is None or any(data[at + side : at + side + 4] in (b"Xing", b"Info", b"VBRI") for side in SIDE):
        return None
    samples = 0
    while at is not None:
        frame = _frame(data, at)
        if frame is None:
            at = _next_frame(data, at + 1)
            continue
        if at + frame.size > len(data):
            raise ValueError(f"truncated: expected {frame.size} bytes in the last frame, found {len(data) - at}")
        samples += frame.samples
        at += frame.size
    return samples


def _frame(data: bytes, at: int) -> _Frame | None:
    """The frame whose header stands at `at`, if one does (ISO/IEC 11172-3, 2.4.2.3)."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return None
    version, kbits, rate = data[at + 1] >> 3 & 3, data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or kbits in (0, 15) or rate == 3:
        return None
    table, samples = (KBITS_1, 1152) if version == 3 else (KBITS_2, 576)
    padding = data[at + 2] >> 1 & 1
    return _Frame(samples // 8 * 1000 * table[kbits] // RATES[version][rate] + padding, samples)


def _next_frame(data: bytes, at: int) -> int | None:
    """Where the next frame begins that is followed by another one, or by the end."""
    while (at := data.find(b"\xff", at)) >= 0:
        frame = _frame(data, at)
        if frame is not None and (at + frame.size >= len(data) or _frame(data, at + frame.size) is not None):
            return at
        at += 1
    return None


def _end_of_tags(data: bytes) -> int:
    """Where what follows the ID3v2 tags begins; their size is in four times seven bits."""
    at = 0
    while data[at : at + 3] == b"ID3" and at + 10 <= len(data):
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 127
        at += 10 + size + (10 if data[at + 5] & 16 else 0)  # a footer
    return at
