"""MP3: the length of files that do not tell it."""

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from toolkit import audio
from toolkit.audio import mp3
from toolkit.log import UserError

pytestmark = pytest.mark.skipif("MP3" not in soundfile.available_formats(), reason="this libsndfile cannot write MP3")


def encoded(path: Path, seconds: float = 2.0, rate: int = 16000, level: float = 0.8421) -> bytes:
    """Noise at 32 kbit/s and 16 kHz, too few bytes a frame for a Xing header; a lower level means a higher bit rate."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate))
    form = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": level}
    soundfile.write(path, noise, rate, **form)
    return path.read_bytes()


def id3v2(size: int) -> bytes:
    """A tag of `size` bytes: a title, then zeros."""
    title = b"TIT2" + struct.pack(">IHB", 21, 0, 0) + b"x" * 20
    head = b"ID3\x03\0\0" + bytes([(size - 10) >> 21 & 127, (size - 10) >> 14 & 127, (size - 10) >> 7 & 127, (size - 10) & 127])
    return head + title + bytes(size - 10 - len(title))


@pytest.mark.parametrize("before", [b"", id3v2(500), id3v2(4096)])
@pytest.mark.parametrize("after", [b"", b"TAG" + b"y" * 125, b"LYRICSBEGIN" + b"z" * 100])
def test_tags_are_no_sound(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "a.mp3"
    sound = encoded(path)
    path.write_bytes(before + sound + after)
    with soundfile.SoundFile(path) as stream:
        decoded = stream.read()
    assert audio.info(path) == (len(decoded), 16000, 1)
    assert len(decoded) == len(sound) // 144 * 576  # a frame has 144 bytes
    np.testing.assert_array_equal(audio.read(path)[0], decoded.astype(np.float32))
    assert sum(block.shape[1] for block in audio.blocks(path, 10000)) == len(decoded)


@pytest.mark.parametrize(("rate", "level"), [(8000, 0.9), (22050, 0.8), (44100, 0.9), (48000, 0.5)])
def test_frames_of_other_rates(tmp_path: Path, rate: int, level: float) -> None:
    path = tmp_path / "a.mp3"
    sound = encoded(path, rate=rate, level=level)
    if mp3.count(sound) is None:  # the first frame is a Xing header, which libsndfile goes by
        assert audio.info(path).frames == 2 * rate
        sound = sound[sound.find(sound[:2], 4) :]
        path.write_bytes(sound)
    with soundfile.SoundFile(path) as stream:
        assert mp3.count(sound) == audio.info(path).frames == len(stream.read())


def test_a_file_that_ends_within_a_frame_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    sound = encoded(path)
    path.write_bytes(sound[: 144 * 40 + 30])
    for function in (audio.info, audio.read):
        with pytest.raises(UserError, match=r"truncated: expected 144 bytes in the last frame, found 30"):
            function(path)
    path.write_bytes(sound[: 144 * 40])
    assert audio.read(path).shape == (1, 40 * 576)


@given(st.binary(max_size=400))
def test_any_bytes_are_counted_or_refused(data: bytes) -> None:
    found = None
    with contextlib.suppress(ValueError):
        found = mp3.count(data)
    assert found is None or found % 576 == 0
