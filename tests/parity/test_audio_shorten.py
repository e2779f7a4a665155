"""Our SPHERE and shorten against other people's decoders: ffmpeg for shorten, libsndfile for the rest."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from toolkit.audio import shorten, sphere
from toolkit.audio.ffmpeg import program


class Stream:
    """Writes any valid stream, one code after another, by the plainest reading of TR.156: what the decoder is tried on."""

    def __init__(self, version: int, channels: int, means: int, max_order: int) -> None:
        self.version = version
        self.values: list[int] = []
        self.widths: list[int] = []
        for value in (shorten.LOW_FIRST, channels, 256, max_order, means, 0):
            self.long(value)
        self.means = [[0] * means for _ in range(channels)]
        self.past = [[0] * 64 for _ in range(channels)]

    def code(self, value: int, width: int) -> None:
        self.values.append(value)
        self.widths.append(width)

    def long(self, value: int) -> None:
        self.code(value.bit_length(), 2)
        self.code(value, value.bit_length())

    def signed(self, value: int, width: int) -> None:
        self.code(2 * value if value >= 0 else -2 * value - 1, width + 1)

    def block(self, channel: int, samples: list[int], command: int, shift: int, coefficients: list[int]) -> None:
        means, past = self.means[channel], self.past[channel]
        rounded = self.version == 2
        offset = int((sum(means) + len(means) // 2 * rounded) / len(means)) >> shift * rounded if means else 0
        self.code(command, 2)
        if command != shorten.ZERO:
            self.code(5, 3)
        if command == shorten.QLPC:
            self.code(len(coefficients), 2)
            for coefficient in coefficients:
                self.signed(coefficient, 5)
        for sample in samples:
            if command == shorten.QLPC:
                terms = [c * (past[-1 - j] - offset) for j, c in enumerate(coefficients)]
                guess = ((32 * rounded + sum(terms)) >> 5) + offset
            else:
                guess = [offset, past[-1], 2 * past[-1] - past[-2], 3 * past[-1] - 3 * past[-2] + past[-3]][command % 8]
            if command != shorten.ZERO:
                self.signed(sample - guess, 5)
            past.append(sample)
        if means:
            means.append(int((sum(samples) + len(samples) // 2 * rounded) / len(samples)) << shift * rounded)
            del means[0]

    def bytes(self) -> bytes:
        return shorten.MAGIC + bytes([self.version]) + shorten.pack(np.array(self.values), np.array(self.widths))


def any_stream(seed: int, channels: int, version: int) -> tuple[bytes, np.ndarray]:
    """A stream with every command in it, and its samples (channels, time)."""
    rng = np.random.default_rng(seed)
    stream = Stream(version, channels, means=int(rng.integers(0, 5)), max_order=4)
    stream.code(shorten.VERBATIM, 2)
    stream.code(44, 5)
    for byte in rng.integers(0, 256, 44).tolist():
        stream.code(byte, 8)
    size, shift, parts = 256, 0, []
    for _ in range(12):
        if rng.random() < 0.3 and size > 20:
            size = int(rng.integers(size // 2, size))
            stream.code(shorten.BLOCKSIZE, 2)
            stream.long(size)
        if rng.random() < 0.3:
            shift = int(rng.integers(0, 4))
            stream.code(shorten.BITSHIFT, 2)
            stream.code(shift, 2)
        parts.append(np.zeros((channels, size), np.int64))
        for channel in range(channels):
            command = int(rng.choice([0, 1, 2, 3, shorten.QLPC, shorten.ZERO]))
            if command != shorten.ZERO:
                start = stream.past[channel][-1]
                parts[-1][channel] = np.clip(start + rng.integers(-40, 38, size).cumsum(), -4000, 4000)
            coefficients = rng.integers(-20, 40, rng.integers(1, 5)).tolist()
            stream.block(channel, parts[-1][channel].tolist(), command, shift, coefficients)
        parts[-1] <<= shift
    stream.code(shorten.QUIT, 2)
    return stream.bytes(), np.concatenate(parts, axis=1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("version", [1, 2])
def test_every_command_is_understood(seed: int, channels: int, version: int) -> None:
    stream, samples = any_stream(seed, channels, version)
    assert np.array_equal(shorten.decode(stream), samples)


def ffmpeg(path: Path, channels: int) -> np.ndarray:
    command = [program(), "-v", "error", "-i", str(path), "-f", "s16le", "-"]
    samples = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<i2")
    return samples.reshape(-1, channels).T


def noise(channels: int, frames: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2000, (channels, frames)).astype(np.int16)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("coding", ["pcm", "shorten"])
def test_ffmpeg_reads_what_we_write(tmp_path: Path, coding: str, channels: int) -> None:
    samples = noise(channels, 7001)
    sphere.write(tmp_path / "a.sph", samples, 16000, coding)
    assert np.array_equal(ffmpeg(tmp_path / "a.sph", channels), samples)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("version", [1, 2])
def test_ffmpeg_and_we_read_any_stream_alike(tmp_path: Path, seed: int, channels: int, version: int) -> None:
    stream, samples = any_stream(seed, channels, version)
    path = tmp_path / "a.sph"
    sphere.write(path, samples.astype(np.int16), 16000, "shorten")
    path.write_bytes(path.read_bytes()[:1024] + stream)
    assert np.array_equal(sphere.read(str(path)) * 32768, ffmpeg(path, channels))


@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW"])
@pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
def test_libsndfile_and_we_read_alike(tmp_path: Path, subtype: str, endian: str) -> None:
    path = tmp_path / "a.sph"
    soundfile.write(path, noise(2, 3000).T, 8000, subtype=subtype, format="NIST", endian=endian)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert np.array_equal(sphere.read(str(path)), expected.T)


@pytest.mark.real
def test_real_speech_goes_through_shorten(tmp_path: Path, shared_data: Path) -> None:
    source = sorted((shared_data / "librispeech" / "train-clean-100").glob("*.flac"))[0]
    samples, sample_rate = soundfile.read(source, dtype="int16", always_2d=True)
    sphere.write(tmp_path / "a.wv1", samples.T, sample_rate, "shorten")
    assert np.array_equal(sphere.read(str(tmp_path / "a.wv1")) * 32768, samples.T)
    assert (tmp_path / "a.wv1").stat().st_size < 0.75 * samples.nbytes
