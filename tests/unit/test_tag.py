"""A trained tagger on recordings of one's own: from Python, from the command line, as a pack."""

import copy
import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import toolkit
from toolkit import audio, files
from toolkit.audio import Recording
from toolkit.blocks.features import Waveform
from toolkit.cli import main
from toolkit.infer.pack import pack
from toolkit.infer.tagger import TrainedTagger, cut
from toolkit.infer.trained import TrainedSeparation
from toolkit.log import UserError
from toolkit.tasks.experiment import Experiment
from toolkit.train.checkpoint import save_weights

RATE = 8000
TAGS = ["drums", "flute", "voice"]
CONFIG: dict[str, Any] = {
    "task": "tagging",
    "data": {
        **dict.fromkeys(("train", "valid", "test"), "corpus/all"),
        "input": {"class_path": "Waveform", "init_args": {"sample_rate": RATE}},
        "batch_size": 2,
    },
    "model": {
        "class_path": "Tagger",
        "init_args": {
            "frontend": {
                "class_path": "MelSpectrogram",
                "init_args": {"sample_rate": RATE, "n_fft": 256, "hop_length": 128, "bins": 12},
            },
            "backbone": {"class_path": "FrameMLP", "init_args": {"hidden": [8], "residual": False}},
            "pooling": "MaxPooling",
            "head": "LinearHead",
            "tags": 3,
        },
    },
    "loss": "BinaryCrossEntropy",
    "optimizer": {"class_path": "Adam"},
}
RUN = {
    "recipe": "openmic2018/east",
    "config": "conf/mini.yaml",
    "command": "toolkit train --config conf/mini.yaml",
    "parameters": 123,
    "epochs": 2,
    "train_seconds": 1.0,
    "data": {"train": "corpus/all"},
    "edition": "mini",
}


def experiment(folder: Path, **changes: Any) -> Path:
    """A tagger with the weights it was born with; `changes` are laid over sections of the configuration."""
    tree = copy.deepcopy(CONFIG)
    for section, values in changes.items():
        tree[section] = {**tree.get(section, {}), **values}
    one = Experiment(tree)
    torch.manual_seed(0)
    task, _ = one.build()
    one.resolved.save(folder / "config.yaml")
    save_weights(task.model, folder / "model.safetensors")
    files.write_json(folder / "tags.json", TAGS)
    files.write_json(folder / "run.json", RUN)
    return folder


@pytest.fixture(scope="module")
def exp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment(tmp_path_factory.mktemp("exp") / "tiny")


@pytest.fixture(scope="module")
def tagger(exp: Path) -> TrainedTagger:
    return TrainedTagger(exp)


def music(seconds: float = 2.0, channels: int = 1, rate: int = RATE) -> Tensor:
    """A tone that rises and grows, so that no two windows are alike."""
    time = torch.arange(round(seconds * rate)) / rate
    wave = 0.4 * (time / (1 + time)) * torch.sin(2 * torch.pi * (200 + 40 * time) * time)
    return torch.stack([wave * (1 - 0.1 * channel) for channel in range(channels)])


def asked(tagger: TrainedTagger, wave: Tensor) -> Tensor:
    """What the task makes of a waveform (T,) at the model's rate: (K,)."""
    feature = Waveform(RATE)
    inputs = feature.compute(wave[None]).float() * feature.scale
    with torch.no_grad():
        return tagger.task.probabilities(tagger.task.model, inputs)[0]


def values(tags: dict[str, float]) -> Tensor:
    return torch.tensor(list(tags.values()))


# From Python


def test_a_waveform_gets_a_probability_for_each_tag(exp: Path) -> None:
    model = toolkit.load(exp)
    assert isinstance(model, TrainedTagger)
    assert model.tags == TAGS
    found = model.tag(music(), RATE)
    assert list(found) == TAGS
    torch.testing.assert_close(values(found), asked(model, music()[0]))


@pytest.mark.parametrize("rate", [RATE, 11025, 44100])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_rate_and_number_of_channels(tagger: TrainedTagger, rate: int, channels: int) -> None:
    found = values(tagger.tag(music(2.0, channels, rate), rate))
    torch.testing.assert_close(found, asked(tagger, music(2.0, channels).mean(0)), atol=0.02, rtol=0)


def test_half_a_minute_is_heard_whole_and_more_in_windows(tagger: TrainedTagger) -> None:
    wave = music(30)
    torch.testing.assert_close(values(tagger.tag(wave, RATE)), asked(tagger, wave[0]))
    wave = music(37)
    windows = [asked(tagger, wave[0, begin * RATE : (begin + 10) * RATE]) for begin in (0, 9, 18, 27)]
    torch.testing.assert_close(values(tagger.tag(wave, RATE)), torch.stack(windows).mean(0))


def test_a_model_that_is_asked_in_chunks_hears_long_recordings_in_such(tmp_path: Path) -> None:
    tagger = TrainedTagger(experiment(tmp_path, infer={"chunk": 2.0, "chunks": 4}))
    wave = music(29)
    torch.testing.assert_close(values(tagger.tag(wave, RATE)), asked(tagger, wave[0]))
    wave = music(31)
    starts = [round(number * 29 * RATE / 15) for number in range(16)]
    windows = [asked(tagger, wave[0, start : start + 2 * RATE]) for start in starts]
    torch.testing.assert_close(values(tagger.tag(wave, RATE)), torch.stack(windows).mean(0))
    assert tagger.embed(music(0.5), RATE).shape == (8,)


def test_what_is_shorter_than_a_second_is_filled_up(tagger: TrainedTagger) -> None:
    wave = music(0.01)
    padded = torch.nn.functional.pad(wave[0], (0, RATE - wave.shape[1]))
    torch.testing.assert_close(values(tagger.tag(wave, RATE)), asked(tagger, padded))


def test_activity_is_that_of_the_second_around_each_time(tagger: TrainedTagger) -> None:
    wave = music(3.2)
    times, activity = tagger.activity(wave, RATE)
    assert times.tolist() == [0, 1, 2, 3]
    assert activity.shape == (3, 4)
    torch.testing.assert_close(activity[:, 1], asked(tagger, wave[0, RATE : 2 * RATE]))
    torch.testing.assert_close(activity[:, 3], asked(tagger, wave[0, -RATE:]))  # it stays inside
    times, activity = tagger.activity(wave, RATE, every=0.5)
    assert times.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    torch.testing.assert_close(activity[:, 0], asked(tagger, wave[0, :RATE]))
    torch.testing.assert_close(activity[:, 3], asked(tagger, wave[0, round(1.25 * RATE) : round(2.25 * RATE)]))
    with pytest.raises(ValueError, match="above 0"):
        tagger.activity(wave, RATE, every=0)


def test_a_model_that_is_bound_to_a_length_hears_windows_of_it(tmp_path: Path) -> None:
    tagger = TrainedTagger(experiment(tmp_path, infer={"chunk": 2.0}))
    wave = music(5)
    _, activity = tagger.activity(wave, RATE, every=1)
    torch.testing.assert_close(activity[:, 2], asked(tagger, wave[0, round(1.5 * RATE) : round(3.5 * RATE)]))
    torch.testing.assert_close(activity[:, 0], asked(tagger, wave[0, : 2 * RATE]))


def test_the_embedding_is_what_the_tags_are_told_from(tagger: TrainedTagger) -> None:
    vector = tagger.embed(music(), RATE)
    assert vector.shape == (8,)
    with torch.no_grad():
        told = tagger.task.model.head(vector).sigmoid()
    torch.testing.assert_close(told, values(tagger.tag(music(), RATE)))


@pytest.mark.parametrize("wave", [torch.ones(1, 100, dtype=torch.int16), np.ones((4000, 2), np.float32), torch.ones(0)])
def test_what_is_no_waveform_is_not_tagged(tagger: TrainedTagger, wave: Any) -> None:
    with pytest.raises(ValueError, match="wave: expected"):
        tagger.tag(wave, RATE)


def test_a_long_file_gives_what_its_waveform_gives(tagger: TrainedTagger, tmp_path: Path) -> None:
    audio.write(tmp_path / "long.wav", music(45, 2, 11025), 11025)
    recording = Recording.of_file(tmp_path / "long.wav")
    found = values(tagger.tag_recording(recording))
    torch.testing.assert_close(found, values(tagger.tag(audio.read(tmp_path / "long.wav"), 11025)), atol=1e-4, rtol=0)
    times, activity = tagger.activity_of_recording(recording, every=9)
    assert (len(times), activity.shape) == (5, (3, 5))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=9), st.integers(1, 30), st.data())
def test_windows_of_a_stream_are_those_of_the_whole(lengths: list[int], length: int, data: st.DataObject) -> None:
    signal = np.arange(sum(lengths) + length, dtype=np.float32)
    blocks = np.split(signal, np.cumsum(lengths))
    starts = sorted(data.draw(st.lists(st.integers(0, len(signal) - length), max_size=6)))
    windows = list(cut(iter(blocks), starts, length, shortest=20))
    for start, window in zip(starts, windows, strict=True):
        np.testing.assert_array_equal(window[:length], signal[start : start + length])
        assert len(window) == max(length, 20)
        assert not window[length:].any()


# What cannot be


def test_a_model_that_does_not_tag_is_refused(exp: Path) -> None:
    with pytest.raises(UserError, match="expected a model that separates, found one of the task Tagging"):
        TrainedSeparation(exp)


def test_tags_without_names_are_refused(exp: Path, tmp_path: Path) -> None:
    other = shutil.copytree(exp, tmp_path / "exp")
    (other / "tags.json").unlink()
    with pytest.raises(UserError, match="no names of the tags"):
        toolkit.load(other)
    files.write_json(other / "tags.json", ["drums"])
    with pytest.raises(UserError, match="expected the names of the model's 3 tags"):
        toolkit.load(other)


@pytest.mark.parametrize(
    ("same_as", "told"),
    [
        (None, "it reads published/vggish, which comes with a corpus"),
        (
            {"class_path": "VGGish", "init_args": {"weights": "no/where.pth", "pca": "no/where.pt"}},
            "no such file: no/where.pth",
        ),
    ],
    ids=["nothing", "weights are missing"],
)
def test_features_that_cannot_be_computed_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], same_as: Any, told: str
) -> None:
    published = {"class_path": "Published", "init_args": {"name": "vggish", "frame_rate": 1.04, "same_as": same_as}}
    model = {
        "init_args": {**CONFIG["model"]["init_args"], "frontend": {"class_path": "StoredFeatures", "init_args": {"bins": 9}}}
    }
    exp = experiment(tmp_path / "exp", data={"input": published}, model=model)
    for number in range(2):
        audio.write(tmp_path / f"{number}.wav", music(), RATE)
    with pytest.raises(SystemExit) as ended:
        main(["tag", str(tmp_path / "*.wav"), "--model", str(exp)])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert not said.out
    assert told in said.err
    assert said.err.count("\n") == 1


# From the command line


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    audio.write(tmp_path / "a.wav", music(2.5, 2), RATE)
    audio.write(tmp_path / "b.flac", music(1.0, 1, 11025), 11025)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    main(["tag", *map(str, words)])
    return capsys.readouterr().out


def test_a_table_names_the_likeliest_tags(
    exp: Path, tagger: TrainedTagger, songs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = run(capsys, songs / "*.*", "--model", exp, "--top", 2)
    tags = tagger.tag(audio.read(songs / "a.wav"), RATE)
    likeliest, second, _ = sorted(tags, key=lambda name: -tags[name])
    lines = told.splitlines()
    assert lines[0] == str(songs / "a.wav")
    assert lines[3].split() == [likeliest, f"{tags[likeliest]:.3f}"]
    assert lines[4].split()[0] == second
    assert lines[6] == str(songs / "b.flac")


def test_json_and_csv_hold_all_tags(exp: Path, tagger: TrainedTagger, songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in run(capsys, songs / "*.*", "--model", exp, "--json").splitlines()]
    assert [row["file"] for row in rows] == [str(songs / "a.wav"), str(songs / "b.flac")]
    expected = tagger.tag(audio.read(songs / "a.wav"), RATE)
    assert rows[0]["tags"] == pytest.approx(expected, abs=1e-4)
    found = list(csv.DictReader(io.StringIO(run(capsys, songs / "*.*", "--model", exp, "--csv"))))
    assert len(found) == 6
    assert {row["tag"]: float(row["probability"]) for row in found[:3]} == pytest.approx(expected, abs=1e-4)


def test_over_time_in_every_form_and_as_a_picture(exp: Path, songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [songs / "a.wav", "--model", exp, "--every"]
    (row,) = map(json.loads, run(capsys, *where, "0.5s", "--json").splitlines())
    assert row["seconds"] == [0, 0.5, 1, 1.5, 2]
    assert {name: len(series) for name, series in row["tags"].items()} == dict.fromkeys(TAGS, 5)
    found = list(csv.DictReader(io.StringIO(run(capsys, *where, "0.5", "--csv", "--top", "1"))))
    assert [row["seconds"] for row in found] == ["0", "0.5", "1", "1.5", "2"]
    told = run(capsys, *where, "1s", "--picture", songs / "pictures", "--top", "2").splitlines()
    assert [line.split()[0] for line in told[3:6]] == ["0", "1", "2"]
    assert (songs / "pictures" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_recordings_of_one_name_get_pictures_of_their_own(exp: Path, songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copyfile(songs / "a.wav", songs / "a.flac.wav")
    audio.write(songs / "other" / "a.wav", music(), RATE)
    run(capsys, songs / "a.wav", songs / "other" / "a.wav", "--model", exp, "--every", 1, "--picture", songs / "pictures")
    assert sorted(path.name for path in (songs / "pictures").iterdir()) == ["a-2.png", "a.png"]


def test_unlikely_tags_are_left_out(exp: Path, songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(run(capsys, songs / "a.wav", "--model", exp, "--json", "--threshold", 1))["tags"] == {}
    assert "no tag has a probability of 1 or more" in run(capsys, songs / "a.wav", "--model", exp, "--threshold", 1)


def test_a_file_that_cannot_be_read_is_named_and_the_others_go_on(
    exp: Path, songs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (songs / "bad.wav").write_text("no sound")
    audio.write(songs / "empty.wav", torch.zeros(1, 0), RATE)
    with pytest.raises(SystemExit) as ended:
        main(["tag", str(songs / "*.wav"), "missing.mp3", "--model", str(exp), "--json"])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert [json.loads(line)["file"] for line in said.out.splitlines()] == [str(songs / "a.wav")]
    assert "bad.wav: not tagged: cannot read" in said.err
    assert "empty.wav: not tagged: it holds no samples" in said.err
    assert "missing.mp3: not tagged: no such audio file" in said.err
    assert "3 of 4 recordings could not be tagged" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--top", "0"], "--top: expected at least 1"),
        (["--every", "0"], "--every: expected 0.01 seconds or more"),
        (["--picture", "here"], "--picture: expected --every beside it"),
        (["--every", "soon"], "invalid seconds value: 'soon'"),
    ],
)
def test_options_that_make_no_sense(
    exp: Path, songs: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tag", str(songs / "a.wav"), "--model", str(exp), *words])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


# As a pack


def test_a_packed_tagger_is_the_same_and_says_what_it_is(exp: Path, tmp_path: Path) -> None:
    trained = shutil.copytree(exp, tmp_path / "exp")
    metrics = {"average_precision/mean": 0.512, **{f"average_precision/mean/{name}": 0.5 for name in TAGS}}
    summary = {"data": "corpus/all", "edition": "mini", "items": 9, "skipped": 0, "tags": TAGS, "metrics": metrics}
    files.write_json(trained / "scores" / "test.summary.json", summary)
    before = toolkit.load(trained).tag(music(), RATE)
    packed = pack(trained, tmp_path / "pack")
    shutil.rmtree(trained)
    assert toolkit.load(packed).tag(music(), RATE) == before
    card = (packed / "MODEL_CARD.md").read_text()
    for told in ("drums, flute, voice", "0.512", "toolkit tag song.mp3 --model pack", "`Waveform`", "not comparable"):
        assert told in card
