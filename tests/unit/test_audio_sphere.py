"""NIST SPHERE files: the three codings, and what a broken file says."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.audio import shorten, sphere


def speechlike(channels: int, frames: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 30, (channels, frames))
    return np.clip(np.cumsum(noise, axis=1) + 200 * np.sin(np.arange(frames) / 7), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("coding", ["pcm", "shorten"])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_is_read(tmp_path: Path, coding: str, channels: int) -> None:
    samples = speechlike(channels, 5000)
    path = tmp_path / "a.wv1"
    sphere.write(path, samples, 16000, coding)

    header = sphere.read_header(str(path))
    assert (header.frames, header.sample_rate, header.channels) == (5000, 16000, channels)
    read = sphere.read(str(path))
    assert read.dtype == np.float32
    assert np.array_equal(read * 32768, samples)


def test_shorten_saves_space(tmp_path: Path) -> None:
    sphere.write(tmp_path / "a.wv1", speechlike(1, 20000), 16000, "shorten")
    assert (tmp_path / "a.wv1").stat().st_size < 0.6 * 2 * 20000


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 3),
    frames=st.integers(0, 900),
    scale=st.sampled_from([0, 1, 40, 3000, 32767]),
    seed=st.integers(0, 2**32 - 1),
)
def test_shorten_loses_nothing(channels: int, frames: int, scale: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.integers(-scale - (scale == 32767), scale, (channels, frames), np.int16, endpoint=True)
    samples[:, rng.integers(0, frames + 1) :] = 0  # so that some blocks are silent
    assert np.array_equal(shorten.decode(shorten.encode(samples)), samples)


@pytest.mark.parametrize("coding", ["pcm", "shorten"])
@pytest.mark.parametrize("cut", [1, 700, 4000])
def test_a_truncated_file_is_refused(tmp_path: Path, coding: str, cut: int) -> None:
    path = tmp_path / "a.wv1"
    sphere.write(path, speechlike(1, 5000), 16000, coding)
    path.write_bytes(path.read_bytes()[: -cut - 4 * (coding == "shorten")])
    with pytest.raises(ValueError, match=r"truncated: .* \d+ (samples|x)"):
        sphere.read(str(path))


def test_a_header_that_promises_more_than_the_stream_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wv1"
    sphere.write(path, speechlike(1, 5000), 16000, "shorten")
    path.write_bytes(path.read_bytes().replace(b"sample_count -i 5000", b"sample_count -i 5001"))
    with pytest.raises(ValueError, match="expected 1 x 5001 samples, found 1 x 5000"):
        sphere.read(str(path))


@settings(max_examples=100, deadline=None)
@given(place=st.integers(5, 300), bit=st.integers(0, 7))
def test_a_damaged_stream_gives_samples_or_a_value_error(place: int, bit: int) -> None:
    stream = bytearray(shorten.encode(speechlike(2, 300)))
    stream[place] ^= 1 << bit
    with contextlib.suppress(ValueError):
        shorten.decode(bytes(stream))


def test_high_byte_first(tmp_path: Path) -> None:
    samples = speechlike(1, 100)
    path = tmp_path / "a.sph"
    sphere.write(path, samples, 8000)
    data = path.read_bytes().replace(b"sample_byte_format -s2 01", b"sample_byte_format -s2 10")
    path.write_bytes(data[:1024] + samples.T.astype(">i2").tobytes())
    assert np.array_equal(sphere.read(str(path)) * 32768, samples)


def test_a_wrong_checksum_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sph"
    sphere.write(path, np.array([[1, 2, 3]], np.int16), 8000)
    sphere.read(str(path))
    assert not caplog.records
    path.write_bytes(path.read_bytes().replace(b"sample_checksum -i 6", b"sample_checksum -i 7"))
    sphere.read(str(path))
    assert "expected 7, found 6" in caplog.text


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"RIFF", "expected a SPHERE header"),
        (b"NIST_1A\n   1024\nsample_count -i 3\n", "truncated: expected a header of 1024 bytes"),
        (b"NIST_1A\n   1024\nsample_count -i 3\nend_head\n", "without sample_rate"),
    ],
)
def test_a_broken_header_is_refused(tmp_path: Path, broken: bytes, message: str) -> None:
    path = tmp_path / "a.sph"
    path.write_bytes(broken)
    with pytest.raises(ValueError, match=message):
        sphere.read_header(str(path))


def test_an_unknown_coding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sph"
    sphere.write(path, speechlike(1, 10), 8000)
    path.write_bytes(path.read_bytes().replace(b"-s3 pcm", b"-s8 shortpak"))
    with pytest.raises(ValueError, match="found shortpak"):
        sphere.read(str(path))


def test_another_version_of_shorten_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a shorten stream of version 1 or 2"):
        shorten.decode(b"ajkg\x00" + bytes(40))
