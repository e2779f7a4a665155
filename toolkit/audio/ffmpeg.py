"""Stems in one MP4 file, by the program ffmpeg: decoded once in preparation, encoded for mini corpora."""

from __future__ import annotations

import contextlib
import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from toolkit import files
from toolkit.log import UserError

BIT_RATE = "256k"  # of each stereo AAC stream, as in MUSDB18


class Stream(NamedTuple):
    """An audio stream: codec, sample_rate (Hz), layout of channels as ffmpeg calls it (`stereo`, `mono`, …)."""

    codec: str
    sample_rate: int
    layout: str


def program() -> str:
    """Path of ffmpeg: the system's, else that of the package imageio-ffmpeg.

    Raises:
        UserError: neither is there.
    """
    if found := shutil.which("ffmpeg"):
        return found
    with contextlib.suppress(ImportError, RuntimeError):
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    raise UserError(
        "stem.mp4 files are decoded by ffmpeg, which is not installed. "
        "Next: pip install imageio-ffmpeg, or install ffmpeg by your system's packages"
    )


def streams(path: Path) -> list[Stream]:
    """The audio streams of a file, in order.

    Raises:
        UserError: ffmpeg cannot read it, or is not installed.
    """
    done = _call(["-i", str(path)])  # fails since no output is asked for, but describes the input before
    found = re.findall(r"Stream #0:\d+.*?: Audio: (\w+).*?, (\d+) Hz, ([^,\n]+)", done.stderr)
    if not found:
        raise _unreadable(path, "no sound in it" if "\nInput #0" in f"\n{done.stderr}" else done.stderr)
    return [Stream(codec, int(rate), layout.strip()) for codec, rate, layout in found]


def decode(path: Path, targets: Sequence[Path]) -> None:
    """Decode the first audio streams to 16-bit WAV, one file each; all files or none.

    What the coder put before and after the sound is cut off as the file's edit list says; older releases of ffmpeg, 5.1 for
    one, would leave up to 1,023 samples of it at the end.

    Raises:
        UserError: the file is damaged or has fewer streams, or ffmpeg is not installed.
    """
    seconds = edited_seconds(path)
    until = [] if seconds is None else ["-t", f"{seconds:.6f}"]
    with contextlib.ExitStack() as stack:
        partials = [stack.enter_context(files.atomic(target)) for target in targets]
        outputs = [
            word
            for number, partial in enumerate(partials)
            for word in ("-map", f"0:a:{number}", *until, "-c:a", "pcm_s16le", "-bitexact", "-f", "wav", str(partial))
        ]
        done = _call(["-xerror", "-i", str(path), *outputs], "-v", "error")
        if done.returncode:
            raise _unreadable(path, done.stderr)


def edited_seconds(path: Path) -> float | None:
    """How long the sound lasts by the edit list of an MP4 file's first track (ISO/IEC 14496-12, 8.6.6); None without one."""
    movie = _movie_box(path)
    header, edits = movie.find(b"mvhd") + 4, movie.find(b"elst") + 4
    if header < 4 or edits < 4:
        return None
    (unit,) = struct.unpack_from(">I", movie, header + (20 if movie[header] == 1 else 12))
    entry = ">QqI" if movie[edits] == 1 else ">IiI"  # duration, where it begins (-1: an empty edit), rate
    (count,) = struct.unpack_from(">I", movie, edits + 4)
    entries = [struct.unpack_from(entry, movie, edits + 8 + number * struct.calcsize(entry)) for number in range(count)]
    return sum(duration for duration, begin, _ in entries if begin >= 0) / unit


def encode(sources: Sequence[Path], path: Path, cover: Path | None = None) -> None:
    """Encode WAV files as the AAC streams of one MP4 file, after them the picture `cover`.

    Raises:
        UserError: a source cannot be read, or ffmpeg is not installed.
    """
    inputs = [word for source in (*sources, *([cover] if cover else [])) for word in ("-i", str(source))]
    maps = [word for number in range(len(sources)) for word in ("-map", f"{number}:a")]
    picture = ["-map", f"{len(sources)}:v", "-c:v", "copy", "-disposition:v", "attached_pic"] if cover else []
    with files.atomic(path) as partial:
        coder = ["-c:a", "aac", "-aac_coder", "fast", "-b:a", BIT_RATE]
        done = _call([*inputs, *maps, *picture, *coder, "-bitexact", "-f", "mp4", str(partial)], "-v", "error")
        if done.returncode:
            raise _unreadable(path, done.stderr)


def _movie_box(path: Path) -> bytes:
    """The content of the box `moov`, empty if there is none."""
    with path.open("rb") as stream:
        while len(head := stream.read(8)) == 8:
            size, kind = struct.unpack(">I4s", head)
            left = struct.unpack(">Q", stream.read(8))[0] - 16 if size == 1 else size - 8
            if kind == b"moov":
                return stream.read(left)
            if left < 0:  # the last box, up to the file's end
                break
            stream.seek(left, 1)
    return b""


def _call(words: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [program(), "-hide_banner", "-nostdin", "-y", *options, *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")


def _unreadable(path: Path, message: str) -> UserError:
    lines = message.strip().splitlines()
    said = re.sub(r"^\[.*?\] ", "", lines[0]) if lines else "it does not say why"
    return UserError(f"ffmpeg cannot read {path}: {said}")
