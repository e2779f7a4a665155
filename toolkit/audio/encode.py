"""Writing an audio file block by block, in the formats and with the care for clipping that separated sources need."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, get_args

import numpy as np
import soundfile

from toolkit import files, log
from toolkit.audio import io
from toolkit.log import UserError

if TYPE_CHECKING:
    from torch import Tensor

Format = Literal["wav", "flac", "mp3"]
Bits = Literal["16", "24", "float32"]
ClipMode = Literal["rescale", "clamp", "none"]

CLAMP = 0.99  # where `clamp` cuts, and what `rescale` brings a peak that is too loud to
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
WAV_LIMIT = 2**32 - 2**16  # bytes of samples; beyond that a WAV file is an RF64 file
SPOOL = 1 << 18  # samples that are scaled at once

logger = log.get(__name__)


@dataclass(frozen=True)
class Encoding:
    """How samples become a file.

    Attributes:
        format: `wav`, `flac` or `mp3`.
        bits: of a WAV or FLAC file; `float32` holds any level, so that nothing is done against clipping there.
        clip_mode: what happens to a signal that is louder than full scale: all of it is turned down (`rescale`), what is too
            loud is cut at 0.99 (`clamp`) or at full scale (`none`).
        mp3_bitrate: kbit/s.
    """

    format: Format = "wav"
    bits: Bits = "16"
    clip_mode: ClipMode = "rescale"
    mp3_bitrate: int = 320

    def __post_init__(self) -> None:
        for name, choices in (("format", Format), ("bits", Bits), ("clip_mode", ClipMode)):
            if getattr(self, name) not in get_args(choices):
                raise UserError(f"{name}: expected one of {', '.join(get_args(choices))}, found {getattr(self, name)!r}")
        if self.format == "flac" and self.bits == "float32":
            raise UserError("FLAC holds 16 or 24 bits, not float32. Next: --bits 24, or --format wav")
        if self.format == "mp3" and "MP3" not in soundfile.available_formats():
            raise UserError("this libsndfile cannot write MP3 (1.1 can). Next: pip install -U soundfile, or --format flac")
        if not 32 <= self.mp3_bitrate <= 320:
            raise UserError(f"mp3_bitrate: expected 32 to 320 kbit/s, found {self.mp3_bitrate}")

    @property
    def holds_any_level(self) -> bool:
        """Whether nothing can be too loud for it."""
        return self.format == "wav" and self.bits == "float32"


@contextlib.contextmanager
def writing(
    path: Path, frames: int, sample_rate: int, channels: int, encoding: Encoding
) -> Iterator[Callable[[Tensor | np.ndarray], None]]:
    """Give a function that takes the next samples (channels, time); the file stands at `path` when the block ends well.

    Args:
        path: the file.
        frames: how many samples will come.
        sample_rate: Hz.
        channels: how many.
        encoding: format, bits and what is done against clipping.

    Raises:
        UserError: the format does not have that rate or so many channels, or a sample is not finite.
    """
    if encoding.format == "mp3" and (sample_rate not in MP3_RATES or channels > 2):
        raise UserError(
            f"not written: {path}: MP3 has one or two channels at {', '.join(map(str, MP3_RATES))} Hz, "
            f"found {channels} at {sample_rate} Hz. Next: --format flac"
        )
    form = _form(frames, sample_rate, channels, encoding)
    with files.atomic(path) as partial:
        if encoding.clip_mode == "rescale" and not encoding.holds_any_level:
            with tempfile.TemporaryFile(dir=path.parent) as spool:
                peak = _Peak(path, spool)
                yield peak.keep
                with soundfile.SoundFile(partial, "w", **form) as stream:
                    for samples in _turned_down(path, spool, peak.value, channels):
                        stream.write(_encodable(samples, encoding))
        else:
            with soundfile.SoundFile(partial, "w", **form) as stream:
                yield lambda block: stream.write(_encodable(io.finite_samples(path, block), encoding))


class _Peak:
    """Keeps samples in a file, as they are, until the loudest of them is known."""

    def __init__(self, path: Path, spool: BinaryIO) -> None:
        self.path, self.spool, self.value = path, spool, 0.0

    def keep(self, block: Tensor | np.ndarray) -> None:
        samples = io.finite_samples(self.path, block)
        self.value = max(self.value, float(np.abs(samples).max(initial=0)))
        self.spool.write(np.ascontiguousarray(samples, np.float32).tobytes())


def _turned_down(path: Path, spool: BinaryIO, peak: float, channels: int) -> Iterator[np.ndarray]:
    gain = CLAMP / max(peak, CLAMP)
    if gain < 1:
        logger.info("%s: turned down by %.1f dB so as not to clip", path, -20 * np.log10(gain))
    spool.seek(0)
    while data := spool.read(4 * channels * SPOOL):
        yield np.frombuffer(data, np.float32).reshape(-1, channels) * np.float32(gain)


def _form(frames: int, sample_rate: int, channels: int, encoding: Encoding) -> dict[str, Any]:
    """What libsndfile is told; its compression level stands for MP3's bit rate, from 1 for the least to 0 for the most."""
    form: dict[str, Any] = {"samplerate": sample_rate, "channels": channels, "format": encoding.format.upper()}
    if encoding.format == "mp3":
        most, least = (320, 32) if sample_rate >= 32000 else (160, 8) if sample_rate >= 16000 else (64, 8)
        level = (most - min(encoding.mp3_bitrate, most)) / (most - least)
        return form | {"subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": level}
    if encoding.format == "wav" and 4 * frames * channels > WAV_LIMIT:
        form["format"] = "RF64"
    return form | {"subtype": "FLOAT" if encoding.bits == "float32" else f"PCM_{encoding.bits}"}


def _encodable(samples: np.ndarray, encoding: Encoding) -> np.ndarray:
    if encoding.clip_mode == "clamp" and not encoding.holds_any_level:
        samples = samples.clip(-CLAMP, CLAMP)
    if encoding.format == "mp3" or encoding.bits == "float32":
        return samples
    return io.quantise(samples, int(encoding.bits))
