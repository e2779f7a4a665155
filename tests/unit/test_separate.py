"""`toolkit separate` and `toolkit.load`: recordings of any kind through a trained model."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

import toolkit
from toolkit import audio
from toolkit.audio import Encoding, Recording
from toolkit.cli import main
from toolkit.dsp.chunks import Chunking
from toolkit.infer.separate import Output, separate
from toolkit.infer.trained import TrainedSeparation
from toolkit.log import UserError
from toolkit.models import SeparationModel
from toolkit.tasks import streaming
from toolkit.tasks.experiment import Experiment
from toolkit.train.checkpoint import save_weights

RATE = 8000
STEMS = ["drums", "vocals"]
CONFIG = {
    "data": {
        **{split: f"corpus/8000/{split}" for split in ("train", "valid", "test")},
        "sample_rate": RATE,
        "segment": 1.0,
        "batch_size": 2,
        "sources": STEMS,
    },
    "model": {
        "class_path": "WaveUNet",
        "init_args": {"sources": 2, "layers": 2, "filters": 3, "kernel_size": 5, "context": False},
    },
    "loss": {"class_path": "FixedOrder", "init_args": {"distance": "l1"}},
    "optimizer": {"class_path": "Adam"},
    "infer": {"chunk": 0.5},
}


@pytest.fixture(scope="module")
def exp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Wave-U-Net whose sources add up to the mixture, with the weights it was born with."""
    folder = tmp_path_factory.mktemp("exp") / "tiny"
    experiment = Experiment(CONFIG)
    task, _ = experiment.build()
    experiment.resolved.save(folder / "config.yaml")
    save_weights(task.model, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def model(exp: Path) -> TrainedSeparation:
    return toolkit.load(exp)


def music(channels: int = 2, seconds: float = 1.3, rate: int = RATE) -> Tensor:
    time = torch.arange(round(seconds * rate)) / rate
    return torch.stack([0.4 * torch.sin(2000 * time + channel) * torch.cos(7 * time) for channel in range(channels)])


class Halves(SeparationModel):
    """Two sources, half the mixture each; remembers what it was given."""

    sources, sums_to_mixture = 2, True

    def __init__(self, audio_channels: int = 1) -> None:
        super().__init__()
        self.audio_channels = audio_channels
        self.seen: list[Tensor] = []

    def forward(self, mixture: Tensor) -> Tensor:
        self.seen.append(mixture)
        return torch.stack([mixture / 2, mixture / 2], dim=1)


def streamed(model: SeparationModel, waveform: Tensor, rate: int = RATE, **options: object) -> Tensor:
    recording = Recording.of_waveform(waveform, rate)
    chunking = Chunking(chunk=3000, align=False)
    return torch.cat(list(streaming.stream(model, recording, RATE, chunking, **options)), dim=-1)  # type: ignore[arg-type]


# From Python


def test_a_waveform_becomes_named_sources(exp: Path) -> None:
    model = toolkit.load(exp)
    assert (model.sources, model.sample_rate) == (STEMS, RATE)
    wave = music()
    stems = model.separate(wave, RATE)
    assert list(stems) == STEMS
    torch.testing.assert_close(stems["drums"] + stems["vocals"], wave, atol=1e-5, rtol=0)
    for other in (wave.numpy(), wave.numpy().astype(np.float64), wave.double()):
        assert all(torch.allclose(stems[name], waveform) for name, waveform in model.separate(other, RATE).items())
    assert model.separate(wave[0], RATE)["drums"].shape == (1, wave.shape[1])


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_rate_and_number_of_channels(model: TrainedSeparation, rate: int, channels: int) -> None:
    wave = music(channels, 0.7, rate)
    for waveform in model.separate(wave, rate).values():
        assert waveform.shape == wave.shape
        assert waveform.isfinite().all()


@pytest.mark.parametrize(
    ("wave", "found"),
    [
        (torch.ones(2, 4, dtype=torch.int16), "torch.int16"),
        (np.ones((4000, 2), np.float32), r"\(4000, 2\)"),
        (torch.ones(1, 2, 3), r"\(1, 2, 3\)"),
        (torch.ones(0), r"\(0,\)"),
    ],
    ids=["whole numbers", "time first", "a batch", "nothing"],
)
def test_what_is_no_waveform_is_refused(model: TrainedSeparation, wave: Tensor, found: str) -> None:
    with pytest.raises(ValueError, match=f"wave: expected .*found {found}"):
        model.separate(wave, RATE)


def test_channels_are_heard_in_groups_as_large_as_the_models() -> None:
    wave = music(3)
    model = Halves(audio_channels=2)
    torch.testing.assert_close(streamed(model, wave), torch.stack([wave / 2, wave / 2]))
    heard = model.seen[0]
    assert heard.shape[:2] == (2, 2)
    assert heard[0].equal(wave[:2, :3000])
    assert heard[1].equal(wave[2, :3000].expand(2, -1))


def test_normalisation_is_over_the_whole_recording_and_undone() -> None:
    wave = 0.3 + 5 * music(2)
    model = Halves(audio_channels=2)
    torch.testing.assert_close(streamed(model, wave, normalize=True).sum(0), wave)
    expected = (wave - wave.mean()) / wave.mean(0).std()
    torch.testing.assert_close(model.seen[0][0], expected[:, :3000], atol=1e-5, rtol=1e-5)


def test_silence_is_normalised_to_silence() -> None:
    assert not streamed(Halves(), torch.zeros(1, 5000), normalize=True).any()


def test_a_file_gives_what_its_waveform_gives(model: TrainedSeparation, tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", music(2, 2.0, 11025), 11025)
    whole = model.separate(audio.read(tmp_path / "a.wav"), 11025)
    blocks = list(model.stream(Recording.of_file(tmp_path / "a.wav"), jobs=2))
    for name in STEMS:
        torch.testing.assert_close(torch.cat([block[name] for block in blocks], -1), whole[name], atol=1e-5, rtol=0)


# From the command line


@pytest.fixture
def song(tmp_path: Path) -> Path:
    audio.write(tmp_path / "song.wav", music(), RATE)
    return tmp_path / "song.wav"


def test_stems_are_written_and_add_up(exp: Path, model: TrainedSeparation, song: Path, tmp_path: Path) -> None:
    main(["separate", str(song), "--model", str(exp), "-o", str(tmp_path / "out"), "--bits", "float32"])
    stems = {path.stem: audio.read(path) for path in (tmp_path / "out" / "song").iterdir()}
    assert sorted(stems) == STEMS
    torch.testing.assert_close(stems["drums"] + stems["vocals"], audio.read(song), atol=1e-4, rtol=0)
    expected = model.separate(audio.read(song), RATE)
    torch.testing.assert_close(stems["vocals"], expected["vocals"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.flac"])
def test_every_format_that_libsndfile_reads(exp: Path, tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, music(1, 0.6, 16000).T.numpy(), 16000)
    (target,) = separate([str(tmp_path / name)], exp, Output(tmp_path, two_stems="drums", other_method="none"))
    assert audio.info(target) == audio.info(tmp_path / name)


@pytest.mark.parametrize(
    ("encoding", "subtype"),
    [
        (Encoding("wav", "16"), "PCM_16"),
        (Encoding("wav", "24"), "PCM_24"),
        (Encoding("wav", "float32"), "FLOAT"),
        (Encoding("flac", "24"), "PCM_24"),
        (Encoding("mp3", mp3_bitrate=64), "MPEG_LAYER_III"),
    ],
)
def test_formats_and_bits(exp: Path, song: Path, tmp_path: Path, encoding: Encoding, subtype: str) -> None:
    for target in separate([str(song)], exp, Output(tmp_path / "out", encoding=encoding)):
        header = soundfile.info(target)
        assert (header.format, header.subtype) == (encoding.format.upper(), subtype)
        assert audio.info(target)[1:] == (RATE, 2)


def test_the_other_stem_is_the_sum_of_the_rest_or_what_is_left(
    exp: Path, model: TrainedSeparation, song: Path, tmp_path: Path
) -> None:
    made = {}
    for method in ("none", "add", "minus"):
        output = Output(tmp_path / method, two_stems="vocals", other_method=method, encoding=Encoding(bits="float32"))
        made |= {path.stem: audio.read(path) for path in separate([str(song)], exp, output)}
    assert sorted(made) == ["minus_vocals", "no_vocals", "vocals"]
    stems = model.separate(audio.read(song), RATE)
    torch.testing.assert_close(made["no_vocals"], stems["drums"], atol=1e-6, rtol=0)
    torch.testing.assert_close(made["minus_vocals"], audio.read(song) - stems["vocals"], atol=1e-6, rtol=0)


def test_what_is_there_is_skipped_unless_forced(
    exp: Path, song: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = Output(tmp_path / "out")
    first = separate([str(song)], exp, output)
    with caplog.at_level("INFO", "toolkit"):
        assert separate([str(song)], exp, output) == []
    assert "skipped, was separated before" in caplog.text
    assert separate([str(song)], exp, Output(tmp_path / "out", force=True)) == first
    first[0].unlink()
    assert separate([str(song)], exp, output) == first


def test_an_unreadable_file_is_named_and_the_others_go_on(
    exp: Path, song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.wav").write_text("no sound")
    audio.write(tmp_path / "empty.wav", torch.zeros(1, 0), RATE)
    with pytest.raises(SystemExit) as ended:
        main(["separate", str(tmp_path / "*.wav"), "missing.mp3", "--model", str(exp), "-o", str(tmp_path / "out")])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "bad.wav: not separated: cannot read" in told
    assert "empty.wav: not separated: it holds no samples" in told
    assert "missing.mp3: not separated: no such audio file" in told
    assert "3 of 4 recordings could not be separated" in told
    assert {path.name for path in (tmp_path / "out").rglob("*.wav")} == {"drums.wav", "vocals.wav"}


def test_a_folder_and_a_file_in_the_way_are_told_with_what_to_do(
    exp: Path, song: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for recording, out in ((song.parent, tmp_path / "out"), (song, song)):
        with pytest.raises(UserError, match="1 of 1 recordings"):
            separate([str(recording)], exp, Output(out))
    assert f"expected an audio file, found a folder. Next: give what is in it, '{song.parent}/*.wav'" in caplog.text
    assert "remove the file that stands in its place" in caplog.text


def test_a_recording_that_breaks_off_leaves_no_files(exp: Path, tmp_path: Path) -> None:
    audio.write(tmp_path / "a.flac", torch.rand(2, 40000) - 0.5, RATE)
    (tmp_path / "a.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:-20000])
    with pytest.raises(UserError, match="1 of 1 recordings"):
        separate([str(tmp_path / "a.flac")], exp, Output(tmp_path / "out"))
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_file_names_follow_a_pattern(exp: Path, song: Path, tmp_path: Path) -> None:
    output = Output(tmp_path / "out", filename="{stem}/{track}.{trackext}.{ext}", encoding=Encoding("flac"))
    assert separate([str(song)], exp, output)[0] == tmp_path / "out" / "drums" / "song.wav.flac"


def test_options_that_cannot_be_are_told_in_one_line(exp: Path, song: Path, tmp_path: Path) -> None:
    def told(**options: object) -> str:
        with pytest.raises(UserError) as error:
            separate([str(song)], exp, Output(tmp_path, **options))  # type: ignore[arg-type]
        return str(error.value)

    assert told(two_stems="voice") == "--two-stems: expected one of drums, vocals, found 'voice'"
    assert told(filename="{song}/{stem}").startswith("--filename: expected a pattern of {track}")
    for alike in ("{track}.{ext}", "{{stem}}.{ext}"):
        assert "expected {stem} in it" in told(filename=alike)
    for wrong, message in (
        ({"overlap": 0.7}, "--overlap: expected 0 to 0.5"),
        ({"segment": 0.0}, "--segment: expected more than 0"),
        ({"shifts": -1}, "--shifts: expected 0 or more"),
    ):
        with pytest.raises(UserError, match=message):
            separate([str(song)], exp, Output(tmp_path), **wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no file matches"):
        separate([str(tmp_path / "*.mp4")], exp, Output(tmp_path))
    with pytest.raises(UserError, match="not float32"):
        Encoding("flac", "float32")
    with pytest.raises(UserError, match="no trained experiment"):
        separate([str(song)], tmp_path / "nowhere", Output(tmp_path))


def test_two_recordings_never_share_a_file(exp: Path, song: Path, tmp_path: Path) -> None:
    audio.write(tmp_path / "other" / "song.wav", music(), RATE)
    with pytest.raises(UserError, match="would both become"):
        separate([str(song), str(tmp_path / "other" / "song.wav")], exp, Output(tmp_path / "out"))


# Loudness


@pytest.mark.parametrize(("mode", "loudest"), [("rescale", 0.99), ("clamp", 0.99), ("none", 32767 / 32768)])
@pytest.mark.parametrize("blocks", [1, 7])
def test_what_is_too_loud(tmp_path: Path, mode: str, loudest: float, blocks: int) -> None:
    wave = 1.6 * music()
    encoding = Encoding(clip_mode=mode)  # type: ignore[arg-type]
    with audio.writing(tmp_path / "a.wav", wave.shape[1], RATE, 2, encoding) as write:
        for block in wave.chunk(blocks, dim=-1):
            write(1.6 / 0.64 * block)
    written = audio.read(tmp_path / "a.wav")
    assert float(written.max()) == pytest.approx(loudest, abs=1e-4)
    if mode == "rescale":
        torch.testing.assert_close(written, wave * (loudest / wave.abs().max()), atol=1e-4, rtol=0)


@pytest.mark.parametrize("encoding", [Encoding(), Encoding(bits="float32")])
def test_what_is_not_too_loud_or_can_be_held_is_left_as_it_is(tmp_path: Path, encoding: Encoding) -> None:
    wave = (3 if encoding.bits == "float32" else 1) * music()
    with audio.writing(tmp_path / "a.wav", wave.shape[1], RATE, 2, encoding) as write:
        write(wave)
    torch.testing.assert_close(audio.read(tmp_path / "a.wav"), wave, atol=2**-16, rtol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_mp3_has_few_rates_and_channels(tmp_path: Path) -> None:
    for channels, rate in ((2, 96000), (3, 44100)):
        with (
            pytest.raises(UserError, match="Next: --format flac"),
            audio.writing(tmp_path / "a.mp3", 100, rate, channels, Encoding("mp3")),
        ):
            pass


def test_the_bit_rate_of_mp3(tmp_path: Path) -> None:
    sizes = []
    for rate in (64, 256):
        with audio.writing(tmp_path / "a.mp3", 88200, 44100, 1, Encoding("mp3", mp3_bitrate=rate)) as write:
            write(music(1, 2.0, 44100))
        sizes.append((tmp_path / "a.mp3").stat().st_size * 8 / 2)
    assert sizes == pytest.approx([64000, 256000], rel=0.1)


# Memory


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    """Twenty minutes, in no more room than some chunks take."""
    chunk, second = 20000, (torch.rand(1, RATE) - 0.5).numpy()
    with soundfile.SoundFile(tmp_path / "long.wav", "w", RATE, 1) as stream:
        for _ in range(20 * 60):
            stream.write(second.T)

    recording, model, longest = Recording.of_file(tmp_path / "long.wav"), Halves(), 0
    tracemalloc.start()
    with audio.writing(tmp_path / "half.wav", recording.frames, RATE, 1, Encoding()) as write:
        for estimate in streaming.stream(model, recording, RATE, Chunking(chunk, align=False), normalize=True):
            write(estimate[0])
            longest = max([longest, estimate.shape[-1], *(piece.shape[-1] for piece in model.seen)])
            model.seen.clear()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert longest == chunk
    assert peak < 8 * 2**20  # bytes of NumPy and Python; the recording has 37 MiB
    assert audio.info(tmp_path / "half.wav").frames == 20 * 60 * RATE
    middle = audio.read(tmp_path / "half.wav", 601 * RATE + 100, 500)
    torch.testing.assert_close(middle, torch.from_numpy(second[:, 100:600]) / 2, atol=1e-4, rtol=0)
