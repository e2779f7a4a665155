"""Stems in one MP4 file, by the program ffmpeg: decoded once in preparation, encoded for mini corpora."""

from __future__ import annotations

import contextlib
import re
import shutil
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
        raise _unreadable(path, done.stderr)
    return [Stream(codec, int(rate), layout.strip()) for codec, rate, layout in found]


def decode(path: Path, targets: Sequence[Path]) -> None:
    """Decode the first audio streams to 16-bit WAV, one file each; all files or none.

    Raises:
        UserError: the file is damaged or has fewer streams, or ffmpeg is not installed.
    """
    with contextlib.ExitStack() as stack:
        partials = [stack.enter_context(files.atomic(target)) for target in targets]
        outputs = [
            word
            for number, partial in enumerate(partials)
            for word in ("-map", f"0:a:{number}", "-c:a", "pcm_s16le", "-bitexact", "-f", "wav", str(partial))
        ]
        done = _call(["-xerror", "-i", str(path), *outputs], "-v", "error")
        if done.returncode:
            raise _unreadable(path, done.stderr)


def encode(sources: Sequence[Path], path: Path, cover: Path | None = None) -> None:
    """Encode WAV files as the AAC streams of one MP4 file, after them the picture `cover`.

    Raises:
        UserError: a source cannot be read, or ffmpeg is not installed.
    """
    inputs = [word for source in (*sources, *([cover] if cover else [])) for word in ("-i", str(source))]
    maps = [word for number in range(len(sources)) for word in ("-map", f"{number}:a")]
    picture = ["-map", f"{len(sources)}:v", "-c:v", "copy", "-disposition:v", "attached_pic"] if cover else []
    with files.atomic(path) as partial:
        done = _call(
            [*inputs, *maps, *picture, "-c:a", "aac", "-b:a", BIT_RATE, "-bitexact", "-f", "mp4", str(partial)], "-v", "error"
        )
        if done.returncode:
            raise _unreadable(path, done.stderr)


def _call(words: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [program(), "-hide_banner", "-nostdin", "-y", *options, *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")


def _unreadable(path: Path, message: str) -> UserError:
    lines = message.strip().splitlines()
    return UserError(f"ffmpeg cannot read {path}: {lines[-1] if lines else 'no audio in it'}")
