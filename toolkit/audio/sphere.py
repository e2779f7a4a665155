"""NIST SPHERE, the format of the Linguistic Data Consortium's corpora: a text header and samples as PCM, μ-law or shorten."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from toolkit import files, log
from toolkit.audio import shorten

MAGIC = b"NIST_1A\n"
HEADER_SIZE = 1024
SHORTEN = "pcm,embedded-shorten-v"  # followed by the version of the program: 1.09, 1.1, 2.00
PCM_TYPES = {"01": "<i2", "10": ">i2"}  # by `sample_byte_format`

logger = log.get(__name__)


class Header(NamedTuple):
    """What the header says.

    Attributes:
        frames: samples per channel.
        sample_rate: Hz.
        channels: audio channels.
        coding: ``pcm``, ``ulaw`` or ``pcm,embedded-shorten-v…``.
        byte_order: ``01`` low byte first, ``10`` high byte first.
        checksum: sum of all samples modulo 65536; None where it is not told.
        offset: byte where the samples begin.
    """

    frames: int
    sample_rate: int
    channels: int
    coding: str
    byte_order: str
    checksum: int | None
    offset: int


def is_sphere(path: str) -> bool:
    """Whether the file begins as a SPHERE file does."""
    with open(path, "rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def read_header(path: str) -> Header:
    """Read the header: lines of name, type and value, as NIST's SPHERE package writes them.

    Raises:
        ValueError: the header is cut short or lacks a field.
    """
    with open(path, "rb") as stream:
        begin = stream.read(16)
        if begin[:8] != MAGIC or not begin[8:].strip().isdigit():
            raise ValueError(f"expected a SPHERE header, found {begin!r}")
        offset = int(begin[8:])
        text, mark, _ = stream.read(max(offset - 16, 0)).partition(b"end_head")
    if not mark:
        raise ValueError(f"truncated: expected a header of {offset} bytes with `end_head`, found none")
    lines = (line.split(maxsplit=2) for line in text.decode("latin-1").split("\n"))
    fields = {line[0]: line[2].strip() for line in lines if len(line) == 3}
    try:
        frames, sample_rate = int(fields["sample_count"]), int(fields["sample_rate"])
        checksum = fields.get("sample_checksum")
        return Header(
            frames=frames,
            sample_rate=sample_rate,
            channels=int(fields.get("channel_count", "1")),
            coding=fields.get("sample_coding", "pcm").replace("mu-law", "ulaw"),
            byte_order=fields.get("sample_byte_format", "01"),
            checksum=None if checksum is None else int(checksum) & 0xFFFF,
            offset=offset,
        )
    except KeyError as error:
        raise ValueError(f"SPHERE header without {error.args[0]}") from error


def read(path: str) -> np.ndarray:
    """Samples (channels, time), float32 in [-1, 1).

    A checksum that does not fit is told in the log only: headers of old corpora are not always right about it.

    Raises:
        ValueError: the coding is unknown, or the file does not hold as many samples as its header says.
    """
    header = read_header(path)
    data = Path(path).read_bytes()[header.offset :]
    if header.coding.startswith(SHORTEN):
        samples = shorten.decode(data)
    elif header.coding == "pcm" and header.byte_order in PCM_TYPES:
        samples = _deinterleave(data, PCM_TYPES[header.byte_order], header)
    elif header.coding == "ulaw":
        samples = _expand_ulaw(_deinterleave(data, "u1", header))
    else:
        raise ValueError(f"expected SPHERE coding pcm (16 bit), ulaw or {SHORTEN}…, found {header.coding} {header.byte_order}")
    if samples.shape != (header.channels, header.frames):
        raise ValueError(
            f"truncated: expected {header.channels} x {header.frames} samples, found {samples.shape[0]} x {samples.shape[1]}"
        )
    if header.checksum is not None and header.coding != "ulaw" and _checksum(samples) != header.checksum:
        logger.warning("%s: checksum of the samples: expected %d, found %d", path, header.checksum, _checksum(samples))
    return np.multiply(samples, np.float32(2**-15), dtype=np.float32, casting="unsafe")


def write(path: Path | str, samples: np.ndarray, sample_rate: int, coding: str = "pcm") -> None:
    """Write a SPHERE file atomically.

    Args:
        path: the file.
        samples: (channels, time), int16.
        sample_rate: Hz.
        coding: ``pcm`` or ``shorten``.
    """
    channels, frames = samples.shape
    label, body = {
        "pcm": lambda: ("pcm", np.ascontiguousarray(samples.T, "<i2").tobytes()),
        "shorten": lambda: (SHORTEN + "2.00", shorten.encode(samples)),
    }[coding]()
    lines = [
        f"sample_count -i {frames}",
        f"sample_rate -i {sample_rate}",
        f"channel_count -i {channels}",
        "sample_n_bytes -i 2",
        "sample_byte_format -s2 01",
        "sample_sig_bits -i 16",
        f"sample_coding -s{len(label)} {label}",
        f"sample_checksum -i {_checksum(samples)}",
        "end_head",
        "",
    ]
    head = MAGIC + f"{HEADER_SIZE:7d}\n".encode() + "\n".join(lines).encode()
    with files.atomic(path) as partial:
        partial.write_bytes(head.ljust(HEADER_SIZE) + body)


def _deinterleave(data: bytes, dtype: str, header: Header) -> np.ndarray:
    width = np.dtype(dtype).itemsize * header.channels
    frames = min(header.frames, len(data) // width)
    return np.frombuffer(data[: frames * width], dtype).reshape(frames, header.channels).T


def _expand_ulaw(codes: np.ndarray) -> np.ndarray:
    """μ-law (ITU-T G.711) to 16-bit linear."""
    inverted = ~codes
    exponent, mantissa = (inverted >> 4) & 7, (inverted & 15).astype(np.int32)
    magnitude = ((2 * mantissa + 33) << (exponent + 2).astype(np.int32)) - 132
    return np.where(inverted & 128, -magnitude, magnitude)


def _checksum(samples: np.ndarray) -> int:
    return int(samples.sum(dtype=np.int64)) & 0xFFFF
