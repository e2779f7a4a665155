"""Reading and writing audio files of many kinds."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from toolkit import audio
from toolkit.audio import sphere
from toolkit.log import UserError


def tone(channels: int = 1, frames: int = 4000) -> torch.Tensor:
    phase = torch.arange(frames) / 9.0 + torch.arange(channels)[:, None]
    return 0.8 * torch.sin(phase)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8"])
def test_wav_is_read_as_libsndfile_reads_it(tmp_path: Path, subtype: str, channels: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(channels).T.numpy(), 8000, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)

    assert audio.info(path) == (4000, 8000, channels)
    assert np.array_equal(audio.read(path), expected.T)
    assert np.array_equal(audio.read(path, start=70, frames=1000), expected.T[:, 70:1070])


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.wv1"])
def test_a_piece_equals_the_same_piece_of_the_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.wv1":
        sphere.write(path, (tone(2) * 32767).short().numpy(), 16000, "shorten")
    else:
        audio.write(path, tone(2), 16000, "VORBIS" if name == "a.ogg" else "PCM_16")
    whole = audio.read(path)
    assert whole.shape == (2, 4000)
    assert whole.is_contiguous()
    assert torch.allclose(audio.read(path, 1234, 500), whole[:, 1234:1734], atol=1e-6)
    assert audio.read(path, 3900, 500).shape == (2, 100)  # the file ends
    assert audio.read(path, 5000, 500).shape == (2, 0)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.ogg", "a.flac"])
def test_block_by_block_it_is_what_it_is_at_once(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (40000, 1))
    soundfile.write(tmp_path / name, noise, 16000)
    blocks = list(audio.blocks(tmp_path / name, 9000))
    assert {block.shape[1] for block in blocks[:-1]} == {9000}
    torch.testing.assert_close(torch.cat(blocks, dim=1), audio.read(tmp_path / name), atol=1e-6, rtol=0)
    assert not capfd.readouterr().err  # decoders complain where they are made to seek


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_16", 16), ("PCM_24", 24)])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_copy_is_exact(tmp_path: Path, subtype: str, bits: int, suffix: str) -> None:
    steps = torch.tensor([[-(2 ** (bits - 1)), -20000, -1, 0, 1, 20000, 2 ** (bits - 1) - 1]])
    waveform = steps / 2.0 ** (bits - 1)
    audio.write(tmp_path / f"a{suffix}", waveform, 44100, subtype)
    assert torch.equal(audio.read(tmp_path / f"a{suffix}"), waveform)


def test_too_loud_is_clipped_not_wrapped(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", torch.tensor([[1.5, -1.5]]), 8000)
    assert audio.read(tmp_path / "a.wav").tolist() == [[32767 / 32768, -1.0]]


def test_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found 1 others"):
        audio.write(tmp_path / "a.wav", torch.tensor([[0.0, torch.nan]]), 8000)
    assert not list(tmp_path.iterdir())


def riff(*chunks: tuple[bytes, bytes], data_size: int | None = None) -> bytes:
    body = b""
    for name, content in chunks:
        size = data_size if name == b"data" and data_size is not None else len(content)
        body += name + struct.pack("<I", size) + content + bytes(len(content) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


PCM_MONO = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
EXTENSIBLE_MONO = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 4) + struct.pack(
    "<H14s", 1, bytes.fromhex("000000001000800000aa00389b71")
)
SAMPLES = struct.pack("<4h", 0, 16384, -16384, -32768)


@pytest.mark.parametrize(
    "content",
    [
        riff((b"fmt ", PCM_MONO), (b"data", SAMPLES)),
        riff((b"fmt ", EXTENSIBLE_MONO), (b"data", SAMPLES)),
        riff((b"LIST", b"odd"), (b"fmt ", PCM_MONO), (b"fact", bytes(4)), (b"data", SAMPLES), (b"LIST", b"after")),
        riff((b"fmt ", PCM_MONO), (b"data", SAMPLES), data_size=0xFFFFFFFF),  # written into a pipe
    ],
    ids=["plain", "extensible", "odd chunk", "unknown size"],
)
def test_wav_headers(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert audio.info(tmp_path / "a.wav") == (4, 8000, 1)
    assert audio.read(tmp_path / "a.wav").tolist() == [[0.0, 0.5, -0.5, -1.0]]


@pytest.mark.parametrize(
    "content",
    [
        riff((b"fmt ", PCM_MONO), (b"data", SAMPLES))[:-1],
        riff((b"fmt ", PCM_MONO), (b"data", SAMPLES))[:30],
        riff((b"fmt ", PCM_MONO)),
        b"RIFF",
        b"",
        b"this is not sound",
    ],
    ids=["samples cut", "header cut", "no samples", "four bytes", "empty", "text"],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    for use in (audio.info, audio.read):
        with pytest.raises(UserError, match=r"cannot read audio file .*a\.wav"):
            use(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_piece_is_read_into_a_batch(tmp_path: Path, name: str) -> None:
    audio.write(tmp_path / name, tone(2), 8000)
    batch = np.zeros((3, 2, 1000), np.float32)
    audio.read_into(tmp_path / name, batch[1], start=500)
    assert np.array_equal(batch[1], audio.read(tmp_path / name, 500, 1000))
    assert not batch[[0, 2]].any()

    with pytest.raises(UserError, match="found"):
        audio.read_into(tmp_path / name, batch[1], start=3500)  # the file ends
    with pytest.raises(UserError, match="found"):
        audio.read_into(tmp_path / name, batch[1, :1])  # it has two channels


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_nan_in_a_file_is_named(tmp_path: Path, subtype: str) -> None:
    samples = np.zeros(500)
    samples[321] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype=subtype)
    with pytest.raises(UserError, match=r"a\.wav: expected finite samples, found nan at sample 321"):
        audio.read(tmp_path / "a.wav", start=20)
    assert audio.read(tmp_path / "a.wav", 0, 300).shape == (1, 300)


def test_a_truncated_flac_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    audio.write(path, torch.rand(1, 40000) - 0.5, 8000)
    path.write_bytes(path.read_bytes()[:-20000])
    with pytest.raises(UserError, match=r"cannot read audio file .*a\.flac"):
        audio.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such audio file: .*gone\.wav"):
        audio.read(tmp_path / "gone.wav")


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, tone(1, 100), 8000)
    assert audio.read(path).shape == (1, 100)
    audio.write(path, tone(2, 300), 8000)
    assert audio.read(path).shape == (2, 300)


@pytest.mark.real
def test_pieces_of_real_recordings(shared_data: Path) -> None:
    for path in [
        *sorted((shared_data / "librispeech" / "train-clean-100").glob("*.flac"))[:3],
        *sorted((shared_data / "fsdd").rglob("*.wav"))[:3],
        *sorted((shared_data / "recordings").glob("*.ogg"))[:1],
    ]:
        whole = audio.read(path)
        assert whole.shape == (audio.info(path).channels, audio.info(path).frames)
        assert torch.allclose(audio.read(path, 1000, 777), whole[:, 1000:1777], atol=1e-6)
