"""One way in and one way out: PCM WAV straight from the disk's pages, NIST SPHERE by our own decoder, all else by libsndfile.

Training reads short pieces of long files many thousand times; for a WAV file that is one `pread` of the very bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import soundfile

from toolkit import files
from toolkit.audio import mp3, sphere, wav
from toolkit.log import UserError

if TYPE_CHECKING:
    from torch import Tensor

LAYOUTS_KEPT = 1 << 18
_layouts: dict[tuple[int, int, int, int], wav.Layout | None] = {}


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
    try:
        with _File(path) as file:
            if (layout := file.layout()) is not None:
                return AudioInfo(layout.frames, layout.sample_rate, layout.channels)
        if sphere.is_sphere(str(path)):
            header = sphere.read_header(str(path))
            return AudioInfo(header.frames, header.sample_rate, header.channels)
        found = soundfile.info(str(path))
        return AudioInfo(_frames(found, path), found.samplerate, found.channels)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error


def read(path: Path | str, start: int = 0, frames: int | None = None) -> Tensor:
    """Read `frames` samples (all, if None) from sample `start`; arguments and errors are those of `read_array`.

    Returns:
        Waveform (channels, time), float32; shorter than `frames` only where the file ends.
    """
    from torch import from_numpy

    return from_numpy(read_array(path, start, frames))


def read_array(path: Path | str, start: int = 0, frames: int | None = None) -> np.ndarray:
    """Read `frames` samples (all, if None) from sample `start`, without torch.

    Returns:
        Waveform (channels, time), float32; shorter than `frames` only where the file ends.

    Raises:
        UserError: the file is missing, is no audio file, holds less than its header says, or a sample that is not finite.
    """
    try:
        with _File(path) as file:
            if (layout := file.layout()) is not None:
                left = max(layout.frames - start, 0)
                samples = np.empty((layout.channels, left if frames is None else min(frames, left)), np.float32)
                wav.read_into(file.handle, layout, start, samples)
                return samples
        return _decode(str(path), start, frames)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error


def blocks(path: Path | str, frames: int) -> Iterator[Tensor]:
    """Read a file from its beginning, `frames` samples at a time.

    Yields:
        Waveforms (channels, time), float32; the last one may be shorter.

    Raises:
        UserError: as `read`.
    """
    from torch import from_numpy

    length = info(path).frames
    if sphere.is_sphere(str(path)):
        yield from read(path).split(frames, dim=-1)
        return
    with _File(path) as file:
        plain = file.layout() is not None
    try:
        with _Straight(str(path)) as stream:
            for start in range(0, length, frames):
                wanted = min(frames, length - start)
                yield from_numpy(read_array(path, start, wanted) if plain else _next_samples(stream, wanted, start))
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_into(path: Path | str, out: np.ndarray, start: int = 0, gain: float = 1.0) -> None:
    """Fill `out` (channels, time), float32, with `gain` times the samples from `start` on: how training reads, no copy for WAV.

    Raises:
        UserError: as `read`, or the file has other channels or fewer samples than asked for.
    """
    try:
        with _File(path) as file:
            if (layout := file.layout()) is not None and layout.channels == len(out):
                wav.read_into(file.handle, layout, start, out, gain)
                return
        samples = read(path, start, out.shape[1]).numpy()
        if samples.shape != out.shape:
            raise ValueError(f"expected (channels, samples) {out.shape} from sample {start}, found {samples.shape}")
        np.multiply(samples, np.float32(gain), out=out)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error


def write(path: Path | str, waveform: Tensor | np.ndarray, sample_rate: int, subtype: str = "PCM_16") -> None:
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
    samples = finite_samples(path, waveform)
    if subtype.startswith("PCM_") and subtype[4:].isdigit():
        samples = quantise(samples, int(subtype[4:]))
    with files.atomic(path) as partial:
        soundfile.write(partial, samples, sample_rate, subtype=subtype)


def finite_samples(path: Path | str, waveform: Tensor | np.ndarray) -> np.ndarray:
    """A waveform (channels, time) as libsndfile takes it, (time, channels).

    Raises:
        UserError: a sample is not finite; `path` is where it would have been written to.
    """
    samples = (waveform if isinstance(waveform, np.ndarray) else waveform.detach().cpu().numpy()).T
    if not np.isfinite(samples).all():
        raise UserError(f"not written: {path}: expected finite samples, found {np.count_nonzero(~np.isfinite(samples))} others")
    return samples


def quantise(samples: np.ndarray, bits: int) -> np.ndarray:
    """Samples of any shape as the numbers of `bits` bits that libsndfile writes, in the upper bits of int32; clipped."""
    full_scale = 2.0 ** (bits - 1)  # libsndfile would take full_scale - 1, and change most loud samples of a copy
    steps = np.clip(np.rint(samples.astype(np.float64) * full_scale), -full_scale, full_scale - 1)
    return steps.astype(np.int32) << (32 - bits)


def _decode(path: str, start: int, frames: int | None) -> np.ndarray:
    """What is no plain WAV file: samples (channels, time), float32."""
    if sphere.is_sphere(path):
        return sphere.read(path)[:, start : None if frames is None else start + frames]
    with soundfile.SoundFile(path) as stream:
        length = _frames(stream, path)
        stream.seek(min(start, length))
        left = length - stream.tell()
        wanted = left if frames is None else min(frames, left)
        return _next_samples(stream, wanted, start)


def _frames(found: Any, path: Path | str) -> int:
    """Samples per channel of an opened file, or of what libsndfile tells of it: of an MP3 file it may only guess them."""
    counted = mp3.frames(path) if found.format == "MP3" else None
    return found.frames if counted is None else min(found.frames, counted)


def _next_samples(stream: soundfile.SoundFile, wanted: int, start: int) -> np.ndarray:
    samples = stream.read(wanted, dtype="float32", always_2d=True)
    if len(samples) < wanted:
        raise ValueError(f"truncated: expected {wanted} samples from {start}, found {len(samples)}")
    wav.require_finite(samples.T, start)
    return np.ascontiguousarray(samples.T)


class _Straight(soundfile.SoundFile):
    """A file that is read straight on: soundfile would seek to where it is after each piece, which takes decoders long."""

    def seekable(self) -> bool:
        return False


class _File:
    """An open file, closed at the end of a `with` block."""

    __slots__ = ("handle",)

    def __init__(self, path: Path | str) -> None:
        self.handle = os.open(path, os.O_RDONLY)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)

    def layout(self) -> wav.Layout | None:
        """The layout of a WAV file, kept for as long as the file does not change; None for any other."""
        status = os.fstat(self.handle)
        identity = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        if identity not in _layouts:
            if len(_layouts) >= LAYOUTS_KEPT:
                _layouts.clear()
            _layouts[identity] = wav.layout(self.handle)
        return _layouts[identity]


def _unreadable(path: Path | str, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"no such audio file: {path}")
    return UserError(f"cannot read audio file {path}: {error}")
