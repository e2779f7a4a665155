"""A pitch experiment from recordings to scores, on gliding tones whose curves are known; accompaniment at any level."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from toolkit import audio, files
from toolkit.blocks.frame_augment import BackgroundLevel, SpectrumGain, SpectrumNoise
from toolkit.cli import books
from toolkit.data import manifest
from toolkit.data.frames import annotated
from toolkit.data.manifest import Item, Manifest
from toolkit.features.run import features
from toolkit.infer.run import infer
from toolkit.log import UserError
from toolkit.losses.equivariance import ClassEquivariance, CrossEntropy, ShiftedCrossEntropy, TransportEquivariance
from toolkit.losses.transposition import TranspositionLoss, Views
from toolkit.score.run import score
from toolkit.tasks.experiment import Experiment, load
from toolkit.tasks.pitch import PitchTracking, at_level, of_all_frames
from toolkit.train.run import train

RATE, HOP, SECONDS = 8000, 160, 2.0
PESTO_LOSSES = {
    "equivariance": {"class_path": "ClassEquivariance"},
    "shifted": {"class_path": "ShiftedCrossEntropy"},
    "invariance": {"class_path": "CrossEntropy"},
}


def config(**changes) -> dict:
    data = {
        **dict.fromkeys(["train", "valid", "test"], "glides/train"),
        "batch_size": 16,
        "augmentations": [{"class_path": "SpectrumNoise"}, {"class_path": "SpectrumGain"}],
        "workers": 0,
        **changes.pop("data", {}),
    }
    cqt = {"sample_rate": RATE, "hop_length": HOP, "f_min": 110.0, "bins": 160}
    encoder = {"class_path": "PESTOEncoder", "init_args": {"channels": [4, 2], "dropout": 0.0}}
    tree = {
        "task": "pitch",
        "data": data,
        "model": {
            "class_path": "PESTO",
            "init_args": {"frontend": {"class_path": "LogCQT", "init_args": cqt}, "encoder": encoder, "widest": 16},
        },
        "loss": {"class_path": "TranspositionLoss", "init_args": changes.pop("loss", PESTO_LOSSES)},
        "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.01}},
        "train": {"epochs": 3},
    }
    return {**tree, **changes}


def task(**changes) -> PitchTracking:
    return Experiment(config(**changes)).build()[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three glides with five harmonics, noise beside them, silence at the end of each."""
    folder, items, rng = tmp_path_factory.mktemp("data"), [], np.random.default_rng(0)
    time = np.arange(round(SECONDS * RATE)) / RATE
    for number, (low, high) in enumerate([(55, 70), (72, 58), (60, 66)]):
        hertz = 440 * 2 ** ((np.interp(time, [0, SECONDS], [low, high]) - 69) / 12)
        angle = 2 * np.pi * np.cumsum(hertz) / RATE
        voiced = time < SECONDS - 0.3
        voice = 0.1 * voiced * sum(np.sin(k * angle) / k for k in range(1, 6))
        for role, samples in (("voice", voice), ("other", 0.01 * rng.standard_normal(len(time)))):
            audio.write(folder / f"{role}{number}.wav", torch.from_numpy(samples)[None].float(), RATE)
        label = {"start": 0.0, "step": HOP / RATE, "hz": np.where(voiced, hertz, 0)[::HOP].round(3).tolist()}
        roles = {"recording": f"voice{number}.wav", "accompaniment": f"other{number}.wav"}
        items.append(Item(f"glide{number}", "train", RATE, len(time), 1, roles, {"f0": label}))
    header = {"root": "..", "name": "glides/train", "corpus": "glides", "edition": "mini", "hours": 0.0}
    manifest.write(folder / "glides" / "train.jsonl", header, items)
    write_and_store(folder, config())
    return folder


def write_and_store(folder: Path, tree: dict) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    features(folder, path, [], "cpu")
    return path


def test_from_recordings_to_figures(data: Path, tmp_path: Path) -> None:
    exp = tmp_path / "exp"
    path = write_and_store(data, config(infer={"snr": [20.0, 0.0]}))
    train(path, data, exp, "cpu", [])
    infer(exp, data, "test", "cpu")
    score(exp, data, "test", 1)

    tracking = load(exp, torch.device("cpu"))[0]
    moments, found = tracking.look(tracking.model, tracking.validation(data).source, torch.device("cpu"))["pitch"].values[
        "found"
    ]
    assert len(moments) == len(found) == min(500, len(tracking.validation(data).source))  # ten seconds
    assert (found > 0).all()
    rows = files.read_jsonl(exp / "metrics.jsonl")
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]
    assert {"valid/loss", "valid/invariance", "valid/shifted", "valid/equivariance", "valid/rpa@50"} < rows[-1].keys()
    line = files.read_jsonl(exp / "predictions" / "test" / "index.jsonl")[0]
    assert line["hop_seconds"] == 0.02
    assert len(line["hertz"]) == len(line["confidence"]) == 101
    assert line["snr"].keys() == {"20", "0"}
    figures = files.read_json(exp / "scores" / "test.summary.json")["metrics"]
    assert figures["rpa@50/frames"] == pytest.approx(figures["rpa@50/mean"], abs=0.02)  # all of one length
    assert figures["rpa@50/frames"] > 0.8  # any pitch at all is right in one of about thirty frames
    assert figures["rca@50/frames"] >= figures["rpa@50/frames"]
    assert figures["rpa@50/frames/0dB"] < figures["rpa@50/frames"] + 0.02
    assert load(exp, torch.device("cpu"))[0].model.shift.item() != 0
    tree = files.read_text(exp / "config.yaml").replace("voiced: 0.5", "voiced: 1.1")  # nothing is, whatever the confidence
    files.write_text(exp / "config.yaml", tree)
    score(exp, data, "test", 1)
    deaf = files.read_json(exp / "scores" / "test.summary.json")["metrics"]
    assert deaf["rpa@50/frames"] == figures["rpa@50/frames"]
    assert deaf["oa@50/frames"] == pytest.approx(0.3 / SECONDS, abs=0.02)


def test_training_goes_on_with_the_same_weights_of_losses(data: Path, tmp_path: Path) -> None:
    path, small = write_and_store(data, config()), ["--data.batch_size", "64"]
    train(path, data, tmp_path / "whole", "cpu", ["--train.epochs", "2", *small])
    for epochs in ("1", "2"):
        train(path, data, tmp_path / "resumed", "cpu", ["--train.epochs", epochs, *small])
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "resumed"))
    assert all(whole[name].equal(resumed[name]) for name in whole)


def test_a_batch_has_frames_of_all_recordings(data: Path) -> None:
    source = task().training(data).source
    assert len(source) == 3 * 101
    batch = source.batch(0, [0, 100, 101, 302])
    assert batch.spectra.shape == (4, 160)
    assert batch.background.shape == (4, 0)
    assert batch.ids == ["glide0", "glide0", "glide1", "glide2"]
    assert batch.hertz[0].item() == pytest.approx(196, abs=0.1)  # MIDI number 55
    assert torch.isnan(batch.hertz[[1, 3]]).all()  # the last frame is centred where no sample is annotated any more
    whole = task().model.frontend(audio.read(data / "voice1.wav"))[0, 0, :, 0]
    torch.testing.assert_close(batch.spectra[2], whole, rtol=1e-3, atol=0.1)  # stored in half precision


def test_accompaniment_is_mixed_before_the_decibels(data: Path) -> None:
    background = {"class_path": "BackgroundLevel", "init_args": {"kind": "constant", "scale": 2.0}}
    mixing = task(data={"background": background})
    write_and_store(data, config(data={"background": background}))
    batch = mixing.training(data).source.batch(0, range(40, 50))
    assert batch.spectra.shape == batch.background.shape == (10, 160, 2)
    plain, mixed = mixing._spectra(batch)
    frontend, voice, other = mixing.model.frontend, audio.read(data / "voice0.wav"), audio.read(data / "other0.wav")
    for found, waveform in ((plain, voice), (mixed, voice + 2 * other)):  # half precision knows no less than -140 dB
        expected = frontend(waveform)[0, 0].T[40:50]
        torch.testing.assert_close(found.clamp(min=-80), expected.clamp(min=-80), rtol=0, atol=0.2)


def test_how_loud_the_accompaniment_is() -> None:
    cpu = torch.device("cpu")
    assert BackgroundLevel("constant", 0.5).draw(3, cpu).tolist() == [0.5] * 3
    uniform, normal = (BackgroundLevel(kind, 2.0).draw(4000, cpu) for kind in ("uniform", "normal"))
    assert (uniform.min() >= 0, uniform.max() <= 2, uniform.mean().item()) == (True, True, pytest.approx(1, abs=0.1))
    assert (normal.mean().item(), normal.std().item()) == (pytest.approx(0, abs=0.2), pytest.approx(2, abs=0.1))
    voice, other = torch.randn(1000), 3 * torch.randn(1000)
    added = at_level(voice, other, 6.0) - voice
    assert (10 * (voice.square().mean() / added.square().mean()).log10()).item() == pytest.approx(6, abs=1e-3)


def test_a_share_of_the_spectra_is_changed() -> None:
    spectra = torch.randn(2000, 20) * 10 - 40
    noisy, louder = SpectrumNoise(share=0.3)(spectra), SpectrumGain(share=0.3)(spectra)
    for changed in (noisy, louder):
        same = (changed == spectra).all(-1)
        assert same.float().mean().item() == pytest.approx(0.7, abs=0.05)
        assert not (changed == spectra)[~same].all(-1).any()
    factors = (louder / spectra)[:, 0]
    assert (factors.min() > 0.49, factors.max() < 1.51) == (True, True)
    with pytest.raises(ValueError, match="share: expected 0 to 1"):
        SpectrumNoise(share=3)


def test_losses_are_told_apart_and_weighted() -> None:
    probabilities = torch.randn(3, 5, 384, requires_grad=True)
    views = Views(*probabilities.softmax(-1), torch.randint(-16, 17, (5,)))
    loss = TranspositionLoss(ClassEquivariance(), ShiftedCrossEntropy(), CrossEntropy())
    mean = loss(views)
    assert loss.parts.keys() == {"invariance", "shifted", "equivariance"}
    torch.testing.assert_close(mean.detach(), sum(loss.parts.values()) / 3)
    weighted = loss(views, probabilities)
    weights = loss.weighting.weights()
    assert sum(weights.values()) == pytest.approx(2, abs=1e-4)
    torch.testing.assert_close(weighted.detach(), sum(weights[name] * part for name, part in loss.parts.items()))
    alone = TranspositionLoss(TransportEquivariance())
    assert alone(views, probabilities).item() == pytest.approx(alone.parts["equivariance"].item())
    with pytest.raises(ValueError, match="equivariance, shifted: expected one at least"):
        TranspositionLoss(invariance=CrossEntropy())


def test_the_nearest_annotation_counts() -> None:
    item = Item("a", "train", RATE, 80, 1, {}, {"f0": {"start": 0.023, "step": 0.01, "hz": [0.0, 100.0, 200.0]}})
    found = annotated(item, 6, 100.0)
    np.testing.assert_array_equal(found, [np.nan, np.nan, 0, 100, 200, np.nan])
    assert np.isnan(annotated(Item("b", "train", RATE, 80, 1, {}), 3, 100.0)).all()


def test_all_frames_weigh_the_same() -> None:
    rows = [
        {"metrics": {"rpa@50": 1.0, "oa@50": 0.5, "voicing_false_alarm": 1.0}, "counts": {"frames": 10, "voiced": 9}},
        {"metrics": {"rpa@50": 0.0, "oa@50": 1.0, "voicing_false_alarm": 0.0}, "counts": {"frames": 30, "voiced": 1}},
        {"metrics": {}, "counts": {"frames": 0, "voiced": 0}},
    ]
    expected = {"rpa@50/frames": 0.9, "oa@50/frames": 35 / 40, "voicing_false_alarm/frames": 1 / 30}
    assert of_all_frames(rows) == pytest.approx(expected)


def test_mistakes_in_a_pitch_experiment_are_told(data: Path) -> None:
    with pytest.raises(UserError, match="no such metric: 'rpa50'"):
        task(score={"metrics": ["rpa50"]})
    alone = Item("c", "train", RATE, 80, 1, {"recording": "voice0.wav"})
    with pytest.raises(UserError, match=r"infer\.snr: expected recordings with accompaniment, found c without"):
        task(infer={"snr": [10.0]}).inputs(Manifest.open(data / "glides" / "train.jsonl"), alone)
    with pytest.raises(UserError, match="equivariance, shifted: expected one at least"):
        task(loss={})
    Experiment(config()).build("meta")[0].check()


def test_another_front_end_is_another_stage_of_features(tmp_path: Path) -> None:
    def stage(bins: int) -> str:
        tree = config()
        tree["model"]["init_args"]["frontend"]["init_args"]["bins"] = bins
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
        arguments = SimpleNamespace(data=tmp_path, config=tmp_path / "config.yaml", rest=[])
        return str(books.features(arguments).record_name)

    assert stage(160) == stage(160) != stage(150)
