"""Stems in MP4 files."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit import audio
from toolkit.audio import ffmpeg
from toolkit.log import UserError

RATE = 44100


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def test_a_missing_program_is_the_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UserError, match=r"ffmpeg, which is not installed\. Next: pip install imageio-ffmpeg"):
        ffmpeg.program()


@pytest.mark.parametrize("wide", [False, True])
def test_the_edit_list_says_how_long_the_sound_is(tmp_path: Path, wide: bool) -> None:
    flags = struct.pack(">I", wide << 24)
    times = struct.pack(">QQIQ" if wide else ">IIII", 0, 0, 600, 999999)
    entries = [(600, -1), (1500, 2048)]  # a second of nothing, then two and a half of sound
    edits = b"".join(struct.pack(">QqI" if wide else ">IiI", length, begin, 1 << 16) for length, begin in entries)
    movie = box(
        b"moov", box(b"mvhd", flags, times), box(b"trak", box(b"edts", box(b"elst", flags, struct.pack(">I", 2), edits)))
    )
    path = tmp_path / "a.mp4"
    path.write_bytes(box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"mdat", 20) + b"1234" + movie)
    assert ffmpeg.edited_seconds(path) == 2.5
    path.write_bytes(box(b"ftyp", b"isom") + struct.pack(">I4s", 0, b"mdat") + b"1234")
    assert ffmpeg.edited_seconds(path) is None


def test_stems_come_back(tmp_path: Path) -> None:
    try:
        ffmpeg.program()
    except UserError:
        pytest.skip("ffmpeg is not installed")
    time = np.arange(5000) / RATE
    waves = [torch.from_numpy(0.5 * np.sin(2 * np.pi * np.array([[pitch], [2 * pitch]]) * time)) for pitch in (500, 700)]
    sources = [tmp_path / f"{number}.wav" for number in range(2)]
    for source, wave in zip(sources, waves, strict=True):
        audio.write(source, wave, RATE)
    path, targets = tmp_path / "ä 'b'.stem.mp4", [tmp_path / "out" / f"{number}.wav" for number in range(2)]
    ffmpeg.encode(sources, path)
    assert ffmpeg.streams(path) == [ffmpeg.Stream("aac", RATE, "stereo")] * 2
    ffmpeg.decode(path, targets)
    for target, wave in zip(targets, waves, strict=True):
        found = audio.read(target)
        assert abs(found.shape[1] - 5000) <= RATE // 1000  # the edit list counts milliseconds
        length = min(found.shape[1], 5000)
        assert (found[:, :length] - wave[:, :length]).square().mean() < 0.02 * wave.square().mean()

    with pytest.raises(UserError, match=r"ffmpeg cannot read .*stem\.mp4: .*matches no streams"):
        ffmpeg.decode(path, [*targets, tmp_path / "out/2.wav"])
    path.write_bytes(b"no music")
    with pytest.raises(UserError, match="ffmpeg cannot read"):
        ffmpeg.streams(path)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.wav", "1.wav"]
