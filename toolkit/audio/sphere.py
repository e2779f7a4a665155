"""NIST SPHERE: placeholder interface, replaced by the SPHERE/shorten decoder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Header(NamedTuple):
    """frames, sample_rate (Hz), channels, coding, data offset (bytes)."""

    frames: int
    sample_rate: int
    channels: int
    coding: str
    offset: int


def is_sphere(path: str) -> bool:
    """Whether the file begins as a SPHERE file does."""
    with open(path, "rb") as stream:
        return stream.read(7) == b"NIST_1A"


def read_header(path: str) -> Header:
    """Read the header."""
    raise ValueError(f"{path}: SPHERE files are not read yet")


def read(path: str) -> np.ndarray:
    """Samples (channels, time), float32."""
    raise ValueError(f"{path}: SPHERE files are not read yet")
