"""A trained model of pitch on recordings of one's own: from Python, from the command line, as a pack."""

import copy
import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import toolkit
from toolkit import audio, files
from toolkit.audio import Recording
from toolkit.cli import main
from toolkit.infer.tracker import PitchCurve, TrainedPitch, joined
from toolkit.infer.trained import TrainedSeparation
from toolkit.log import UserError
from toolkit.report.pitch_picture import WIDEST, Spectrogram, surest
from toolkit.tasks.experiment import Experiment
from toolkit.train.checkpoint import save_weights

RATE, HOP = 8000, 80
CONFIG: dict[str, Any] = {
    "task": "pitch",
    "data": {**dict.fromkeys(("train", "valid", "test"), "corpus/all"), "batch_size": 2},
    "model": {
        "class_path": "PESTO",
        "init_args": {
            "frontend": {
                "class_path": "LogCQT",
                "init_args": {"sample_rate": RATE, "hop_length": HOP, "f_min": 110.0, "bins": 60, "bins_per_semitone": 1},
            },
            "encoder": {"class_path": "PESTOEncoder", "init_args": {"bins_per_semitone": 1, "kernel_size": 5, "channels": [4]}},
            "widest": 4,
        },
    },
    "loss": {"class_path": "TranspositionLoss", "init_args": {"equivariance": {"class_path": "ClassEquivariance"}}},
    "optimizer": {"class_path": "Adam"},
}
RUN = {
    "recipe": "urmp/pesto",
    "config": "conf/mini.yaml",
    "command": "toolkit train --config conf/mini.yaml",
    "parameters": 123,
    "epochs": 2,
    "train_seconds": 1.0,
    "data": {"train": "corpus/all"},
    "edition": "mini",
}


def experiment(folder: Path, tree: dict[str, Any]) -> Path:
    """What a configuration makes, with the weights it was born with."""
    one = Experiment(copy.deepcopy(tree))
    task, _ = one.build()
    one.resolved.save(folder / "config.yaml")
    save_weights(task.model, folder / "model.safetensors")
    files.write_json(folder / "run.json", RUN)
    return folder


@pytest.fixture(scope="module")
def exp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment(tmp_path_factory.mktemp("exp") / "tiny", CONFIG)


@pytest.fixture(scope="module")
def tracker(exp: Path) -> TrainedPitch:
    return TrainedPitch(exp)


def melody(seconds: float = 1.5, channels: int = 1, rate: int = RATE) -> Tensor:
    """Harmonics of a pitch that rises by an octave."""
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    phase = 2 * torch.pi * 220 * (torch.exp2(time / seconds) - 1) * seconds / math.log(2)
    wave = 0.2 * (torch.sin(phase) + torch.sin(2 * phase) / 2 + torch.sin(3 * phase) / 3)
    return torch.stack([wave * (1 - 0.1 * channel) for channel in range(channels)]).float()


def whole(tracker: TrainedPitch, wave: Tensor) -> PitchCurve:
    """What the model makes of a waveform (T,) at its rate in one piece."""
    with torch.no_grad():
        pitch = tracker.model.track(wave[None])
    return PitchCurve(torch.arange(pitch.hertz.shape[1]) * (HOP / RATE), pitch.hertz[0], pitch.confidence[0])


def same(found: PitchCurve, expected: PitchCurve) -> None:
    assert found.seconds.tolist() == pytest.approx(expected.seconds.tolist())
    torch.testing.assert_close(found.hertz, expected.hertz, rtol=1e-4, atol=0)
    torch.testing.assert_close(found.confidence, expected.confidence, rtol=1e-3, atol=1e-5)


# From Python


def test_a_waveform_has_a_pitch_in_every_frame(exp: Path) -> None:
    model = toolkit.load(exp)
    assert isinstance(model, TrainedPitch)
    wave = melody()
    curve = model.pitch(wave, RATE)
    assert len(curve.seconds) == 1 + wave.shape[1] // HOP
    assert curve.seconds[:3].tolist() == pytest.approx([0, 0.01, 0.02])
    assert curve.confidence.min() >= 0
    assert curve.confidence.max() <= 1
    same(curve, whole(model, wave[0]))


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 2), (11025, 1), (48000, 2)])
def test_any_rate_and_channels(tracker: TrainedPitch, rate: int, channels: int) -> None:
    found, expected = tracker.pitch(melody(1.0, channels, rate), rate), whole(tracker, melody(1.0, channels).mean(0))
    assert len(found.hertz) == len(expected.hertz)
    middle = slice(20, -20)  # away from the ends, where the filters differ
    assert (12 * torch.log2(found.hertz / expected.hertz))[middle].abs().median() < 0.1


@pytest.mark.parametrize("samples", [1, HOP - 1, HOP, 3 * HOP + 1])
def test_what_is_very_short(tracker: TrainedPitch, samples: int) -> None:
    wave = melody()[:, :samples]
    same(tracker.pitch(wave, RATE), whole(tracker, wave[0]))


def test_a_wave_that_a_gradient_is_wanted_of(tracker: TrainedPitch) -> None:
    same(tracker.pitch(melody().requires_grad_(), RATE), tracker.pitch(melody(), RATE))


@given(st.lists(st.integers(0, 3000), max_size=6))
@settings(max_examples=8)
def test_what_is_heard_piece_by_piece_is_the_whole(tracker: TrainedPitch, lengths: list[int]) -> None:
    listener, wave = tracker.listener(), melody()[0]
    parts = [listener.hear(part) for part in np.split(wave.numpy(), np.cumsum(lengths).clip(max=len(wave)))]
    same(joined([*parts, listener.rest()]), whole(tracker, wave))


def test_a_long_file_is_streamed(tracker: TrainedPitch, tmp_path: Path) -> None:
    wave = melody(14)
    audio.write(tmp_path / "long.wav", wave, RATE, subtype="FLOAT")
    blocks = list(tracker.stream(Recording.of_file(tmp_path / "long.wav")))
    assert len(blocks) > 3
    same(joined(blocks), whole(tracker, wave[0]))


def test_nothing_heard_has_no_frames(tracker: TrainedPitch) -> None:
    assert len(tracker.listener().rest().hertz) == 0


@pytest.mark.parametrize("samples", [torch.zeros(1, 512), np.zeros(512, np.int16), 0.5])
def test_what_a_listener_cannot_hear(tracker: TrainedPitch, samples: Any) -> None:
    with pytest.raises(ValueError, match=r"samples: expected \(time,\), floating point"):
        tracker.listener().hear(samples)


@pytest.mark.parametrize("wave", [torch.ones(1, 100, dtype=torch.int16), torch.ones(0), torch.ones(2, 3, 4)])
def test_what_is_no_waveform_has_no_pitch(tracker: TrainedPitch, wave: Tensor) -> None:
    with pytest.raises(ValueError, match="wave: expected"):
        tracker.pitch(wave, RATE)


def test_unsure_frames_are_unvoiced() -> None:
    curve = PitchCurve(torch.arange(3.0), torch.tensor([100.0, 200.0, 300.0]), torch.tensor([0.2, 0.5, 0.9]))
    assert curve.voiced(0.5).hertz.tolist() == [0, 200, 300]


def test_a_model_of_another_task_is_refused(exp: Path) -> None:
    with pytest.raises(UserError, match="expected a model that separates, found one of the task PitchTracking"):
        TrainedSeparation(exp)


# From the command line


@pytest.fixture
def solos(tmp_path: Path) -> Path:
    audio.write(tmp_path / "a.wav", melody(1.0, 2), RATE, subtype="FLOAT")
    audio.write(tmp_path / "b.flac", melody(0.5, 1, 11025), 11025)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    main(["pitch", *map(str, words)])
    return capsys.readouterr().out


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_of_one_file(exp: Path, tracker: TrainedPitch, solos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = table(run(capsys, solos / "a.wav", "--model", exp))
    curve = tracker.pitch(audio.read(solos / "a.wav"), RATE)
    assert list(rows[0]) == ["time", "frequency", "confidence"]
    assert [float(row["time"]) for row in rows] == pytest.approx(curve.seconds.tolist())
    assert [float(row["frequency"]) for row in rows] == pytest.approx(curve.hertz.tolist(), abs=1e-3)
    assert [float(row["confidence"]) for row in rows] == pytest.approx(curve.confidence.tolist(), abs=1e-4)


def test_several_files_are_named(exp: Path, solos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = table(run(capsys, solos / "*.*", "--model", exp))
    assert {row["file"] for row in rows} == {str(solos / "a.wav"), str(solos / "b.flac")}
    objects = [json.loads(line) for line in run(capsys, solos / "*.*", "--model", exp, "--json").splitlines()]
    assert [one["file"] for one in objects] == [str(solos / "a.wav"), str(solos / "b.flac")]
    assert len(objects[0]["time"]) == len(objects[0]["frequency"]) == len(objects[0]["confidence"]) == 101


def test_a_file_for_each(exp: Path, solos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio.write(solos / "other" / "a.wav", melody(0.3), RATE)
    words = [solos / "a.wav", solos / "other" / "a.wav", "--model", exp, "--out", solos / "out"]
    assert not run(capsys, *words)
    assert sorted(path.name for path in (solos / "out").iterdir()) == ["a-2.csv", "a.csv"]
    assert len(table((solos / "out" / "a.csv").read_text())) == 101
    run(capsys, *words, "--json")
    assert len(json.loads((solos / "out" / "a-2.json").read_text())["time"]) == 31


def test_below_the_threshold_there_is_no_pitch(
    exp: Path, tracker: TrainedPitch, solos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    confidence = tracker.pitch(audio.read(solos / "a.wav"), RATE).confidence
    threshold = float(confidence.median())
    rows = table(run(capsys, solos / "a.wav", "--model", exp, "--threshold", threshold))
    assert [float(row["frequency"]) > 0 for row in rows] == (confidence >= threshold).tolist()


def test_a_picture_for_each(exp: Path, solos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, solos / "*.*", "--model", exp, "--picture", solos / "pictures", "--threshold", 0.05)
    for name in ("a.png", "b.png"):
        assert (solos / "pictures" / name).read_bytes().startswith(b"\x89PNG")


def test_silence_and_a_single_sample(exp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio.write(tmp_path / "silence.wav", torch.zeros(1, 4000), RATE)
    audio.write(tmp_path / "click.wav", torch.ones(1, 1) / 2, RATE)
    rows = table(run(capsys, tmp_path / "*.wav", "--model", exp, "--picture", tmp_path))
    assert [row["file"].endswith("click.wav") for row in rows] == [True] + 51 * [False]
    assert all(math.isfinite(float(row["frequency"])) for row in rows)
    assert all(float(row["confidence"]) < 0.05 for row in rows[1:])


def test_a_file_that_cannot_be_read_is_named(exp: Path, solos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (solos / "bad.wav").write_text("no sound")
    audio.write(solos / "empty.wav", torch.zeros(1, 0), RATE)
    with pytest.raises(SystemExit) as ended:
        main(["pitch", str(solos / "*.wav"), "missing.mp3", "--model", str(exp), "--json"])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert [json.loads(line)["file"] for line in said.out.splitlines()] == [str(solos / "a.wav")]
    assert "bad.wav: not tracked: cannot read" in said.err
    assert "empty.wav: not tracked: it holds no samples" in said.err
    assert "3 of 4 recordings could not be tracked" in said.err


def test_agreement_with_an_annotation(
    exp: Path, tracker: TrainedPitch, solos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curve = tracker.pitch(audio.read(solos / "a.wav"), RATE)
    rows = zip(curve.seconds.tolist(), curve.hertz.tolist(), strict=True)
    (solos / "right.csv").write_text("".join(f"{time:.6f},{hertz:.4f}\n" for time, hertz in rows))
    rows = zip(curve.seconds.tolist(), (curve.hertz * 2 ** (30 / 1200)).tolist(), strict=True)
    (solos / "sharp.csv").write_text("".join(f"{time:.6f},{hertz:.4f}\n" for time, hertz in rows))
    words = [solos / "a.wav", "--model", exp, "--threshold", 0, "--reference"]
    lines = run(capsys, *words, solos / "right.csv").splitlines()
    assert [line.split()[-2:] for line in lines[2:]] == 3 * [["100.00", "100.00"]]
    lines = run(capsys, *words, solos / "sharp.csv").splitlines()
    assert [line.split()[-2:] for line in lines[2:]] == 3 * [["100.00", "0.00"]]
    lines = run(capsys, *words, solos / "right.csv", "--threshold", 1).splitlines()
    assert lines[2].split()[-2:] == ["100.00", "100.00"]
    assert lines[4].split()[-2:] == ["0.00", "0.00"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--threshold", "1.1"], "--threshold: expected a confidence from 0 to 1"),
        (["b.flac", "--reference", "b.csv"], "--reference: expected one recording beside it, found 2"),
        (["--reference", "no.csv"], "cannot read the annotation no.csv"),
        (["--csv"], "toolkit pitch: no option --csv"),
    ],
)
def test_wrong_options(exp: Path, solos: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["pitch", str(solos / "a.wav"), *words, "--model", str(exp)])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


# Pictures


def test_the_spectrum_shows_the_tone_and_is_never_too_wide() -> None:
    wave = torch.sin(2 * torch.pi * 440 * torch.arange(4 * RATE) / RATE)
    narrow = Spectrogram(RATE, HOP, len(wave))
    decibels = narrow.of(wave.split(777))
    assert decibels.shape == (len(narrow.frequencies), 401)
    assert narrow.frequencies[int(decibels[:, 200].argmax())] == pytest.approx(440, rel=0.02)
    wide = Spectrogram(RATE, 10, len(wave))
    assert wide.frames == 2
    assert wide.of([wave]).shape[1] == 1601 <= WIDEST


def test_of_frames_in_one_column_the_surest_is_drawn() -> None:
    curve = PitchCurve(torch.arange(5.0), torch.arange(5.0), torch.tensor([0.1, 0.9, 0.4, 0.3, 0.2]))
    assert surest(curve, 2).hertz.tolist() == [1, 2, 4]
    assert surest(curve, 2).seconds.tolist() == [0, 2, 4]


# As a pack


def test_a_pack_tracks_as_the_experiment_does(exp: Path, tracker: TrainedPitch, tmp_path: Path) -> None:
    main(["pack", str(exp), "-o", str(tmp_path / "pesto")])
    same(TrainedPitch(tmp_path / "pesto").pitch(melody(), RATE), tracker.pitch(melody(), RATE))
    card = (tmp_path / "pesto" / "MODEL_CARD.md").read_text()
    assert "the pitch (Hz) and its confidence, every 10 ms" in card
    assert "toolkit pitch solo.wav --model pesto" in card


@pytest.mark.real
@pytest.mark.parametrize("name", ["sorohanro_-_solo-trumpet-06.hq.ogg", "../mirdata_samples/vocadito/Audio/vocadito_1.wav"])
def test_real_recordings(exp: Path, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    path = shared_data / "recordings" / name
    rows = table(run(capsys, path, "--model", exp, "--picture", tmp_path))
    header = audio.info(path)
    samples = -(-header.frames * RATE // header.sample_rate)
    assert len(rows) == 1 + samples // HOP
    assert (tmp_path / f"{path.stem}.png").stat().st_size > 10_000
