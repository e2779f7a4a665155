"""Sound within a page: as many seconds as there is room for, as FLAC or MP3 in an address of its own."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import soundfile
from torch import Tensor

from toolkit.audio.encode import MP3_RATES

SHORTEST = 0.1  # seconds below which nothing is cut
MARGIN = 0.95  # of the room that is aimed at, where there was too little: bytes do not follow seconds exactly
LOSSLESS_RATE = 16000  # Hz
STEREO = 2  # channels
MP3_LEVEL = 0.5  # of libsndfile, of 0 (the best) to 1: about 125 kbit/s, less where there is little to hear


def fitting(heard: list[tuple[Tensor, int]], room: float, longest: float) -> tuple[float, list[bytes]]:
    """Cut signals equally short, so that their files fit. Several are written at once, as the encoders leave Python alone.

    Args:
        heard: signals (channels, time) with their rates in Hz.
        room: bytes of the page for all of them, as `address` writes them there.
        longest: seconds of each, at most.

    Returns:
        The seconds that are left of each, at most, and the files.
    """
    seconds = longest
    room *= 3 / 4  # as base64, three bytes are four
    with ThreadPoolExecutor() as pool:
        while True:
            pending = [pool.submit(_encode, wave, rate, seconds) for wave, rate in heard]
            encoded = [one.result() for one in pending]
            size = sum(map(len, encoded))
            if size <= room or seconds <= SHORTEST:
                return seconds, encoded
            there = max(wave.shape[1] / rate for wave, rate in heard)
            seconds = max(SHORTEST, MARGIN * room / size * min(seconds, there))


def address(encoded: bytes, sample_rate: int) -> str:
    """The data address of a file that `fitting` has made."""
    return f"data:audio/{'mpeg' if _is_music(sample_rate) else 'flac'};base64,{base64.b64encode(encoded).decode()}"


def _is_music(sample_rate: int) -> bool:
    """Whether a signal becomes MP3: as FLAC there would be room for no more than a second of it."""
    return sample_rate in MP3_RATES and sample_rate > LOSSLESS_RATE and "MP3" in soundfile.available_formats()


def _encode(waveform: Tensor, sample_rate: int, seconds: float) -> bytes:
    stream = io.BytesIO()
    form: dict[str, Any] = {"format": "FLAC", "subtype": "PCM_16"}
    if _is_music(sample_rate):
        form = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "VARIABLE", "compression_level": MP3_LEVEL}
    heard = waveform[:, : max(1, int(seconds * sample_rate))]
    heard = heard if len(heard) <= STEREO else heard.mean(0, keepdim=True)  # more are not played, and MP3 has no more
    soundfile.write(stream, heard.numpy().T, sample_rate, **form)
    return stream.getvalue()
