"""A synthesis experiment from stored performances to scores, on tones whose loudness falls."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from toolkit import audio, files
from toolkit.data import manifest, store
from toolkit.data.manifest import Item, Manifest
from toolkit.infer.run import infer
from toolkit.log import UserError
from toolkit.models.base import SynthesisModel
from toolkit.report.summary import summary
from toolkit.score.run import score
from toolkit.tasks.experiment import Experiment, load
from toolkit.tasks.synthesis import Synthesis
from toolkit.train.run import train

RATE, HOP, SAMPLES = 8000, 40, 4000
FRAMES = SAMPLES // HOP


def config(**changes) -> dict:
    rates = {"sample_rate": RATE, "hop_length": HOP}
    data = {
        **dict.fromkeys(["train", "valid", "test"], "tones/train"),
        "waveform": {"class_path": "ExactWaveform", "init_args": {"sample_rate": RATE}},
        "f0": {"class_path": "AnnotatedPitch", "init_args": rates},
        "loudness": {"class_path": "Loudness", "init_args": rates},
        "batch_size": 2,
        "workers": 0,
        **changes.pop("data", {}),
    }
    blocks = {
        "controller": {"class_path": "CausalTCN", "init_args": {"hidden": 16, "blocks": 2, "dropout": 0.0}},
        "synthesizer": {"class_path": "HarmonicNoise", "init_args": {"harmonics": 4, "bands": 9}},
        "effect": {"class_path": "NoiseReverb", "init_args": {"taps": 50, "sample_rate": RATE, "wet": -4.0}},
        **rates,
    }
    embedding = {"class_path": "LogMel", "init_args": {"sample_rate": RATE, "n_fft": 256, "hop_length": 128, "bands": 8}}
    tree = {
        "task": "synthesis",
        "data": data,
        "model": {"class_path": "Resynthesizer", "init_args": {**blocks, **changes.pop("model", {})}},
        "loss": {"class_path": "MultiScaleSpectral", "init_args": {"fft_sizes": [256, 64]}},
        "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.05}},
        "score": {"metrics": ["multi_scale_spectral", "log_spectral_distance", "rpa@50"], "embedding": embedding},
    }
    return {**tree, **changes}


def task(**changes) -> Synthesis:
    return Experiment(config(**changes)).build()[0]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four tones with three overtones; the last is half a frame shorter than the others."""
    items, sounds, pitches, levels = [], [], [], []
    for number in range(4):
        hertz, samples = 200.0 + 30 * number, SAMPLES - (HOP // 2 if number == 3 else 0)
        times = np.arange(samples) / RATE
        level = np.linspace(-10, -50, FRAMES)
        tone = sum(np.sin(2 * np.pi * k * hertz * times) / k for k in (1, 2, 3))
        sound = (0.3 * 10 ** (np.repeat(level, HOP)[:samples] / 20) * tone).astype(np.float32)
        identity = f"tone{number}"
        audio.write(tmp_path / f"{identity}.wav", torch.from_numpy(sound)[None], RATE, "FLOAT")
        curve = {"start": 0.0, "step": 0.01, "hz": [hertz] * 50}
        items.append(Item(identity, "train", RATE, samples, 1, {"recording": f"{identity}.wav"}, {"f0": curve}))
        sounds.append((identity, sound))
        pitches.append((identity, np.full(FRAMES, hertz, np.float32)))
        levels.append((identity, level.astype(np.float32)))
    manifest.write(tmp_path / "tones" / "train.jsonl", {"root": "..", "name": "tones/train", "edition": "mini"}, items)
    embedding = task().embedding
    embedded = [(name, embedding.compute(torch.from_numpy(sound)[None])[0].numpy()) for name, sound in sounds]
    for feature, rows in zip(task().features(), (sounds, pitches, levels, embedded), strict=True):
        store.write(store.folder_of(tmp_path, feature.name, "tones/train"), {"manifest": "tones/train"}, rows)
    return tmp_path


def test_from_performances_to_figures(data: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config(train={"epochs": 9})))
    exp = tmp_path / "exp"
    train(tmp_path / "config.yaml", data, exp, "cpu", [])
    infer(exp, data, "test", "cpu")
    score(exp, data, "test", 1)

    rows = files.read_jsonl(exp / "metrics.jsonl")
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]
    assert {"valid/linear", "valid/log", "valid/log_spectral_distance"} < rows[0].keys()
    lines = files.read_jsonl(exp / "predictions" / "test" / "index.jsonl")
    assert lines[3]["audio"] == {"estimate": "tone3/estimate.wav", "untrained": "tone3/untrained.wav"}
    assert "f0" not in lines[3]  # which the model is told
    assert audio.info(exp / "predictions" / "test" / "tone3" / "estimate.wav").frames == SAMPLES - HOP // 2
    scored = files.read_jsonl(exp / "scores" / "test.jsonl")
    assert scored[0].keys() == {"id", "metrics", "untrained"}
    metrics = files.read_json(exp / "scores" / "test.summary.json")["metrics"]
    for name in ("multi_scale_spectral/mean", "log_spectral_distance/mean", "frechet_distance@log_mel"):
        assert metrics[name] < 0.7 * metrics[f"untrained/{name}"]
    assert metrics["real/frechet_distance@log_mel"] == pytest.approx(0, abs=1e-3)  # this split is the training split


def test_the_untrained_model_is_that_of_the_seed(data: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config(train={"epochs": 1, "seed": 3})))
    train(tmp_path / "config.yaml", data, tmp_path / "exp", "cpu", [])
    trained, _ = load(tmp_path / "exp", torch.device("cpu"))
    drawn = task(train={"epochs": 1, "seed": 3})
    recordings = Manifest.open(data / "tones" / "train.jsonl")
    inputs = drawn.inputs(recordings, recordings[0])
    with torch.no_grad():
        found, expected = (one.predict(one.model.eval(), inputs, RATE) for one in (trained, drawn))
    torch.testing.assert_close(found["untrained"], expected["estimate"])
    assert not torch.allclose(found["estimate"], expected["estimate"])
    silent = task(infer={"untrained": False})
    assert silent.predict(silent.model, inputs, RATE).keys() == {"estimate"}


class Follower(SynthesisModel):
    """Reads the waveform alone: gives it back, and tells a pitch a fifth of a tone too high."""

    def __init__(self, sample_rate: int = RATE, hop_length: int = HOP) -> None:
        super().__init__()
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.reads = frozenset({"waveform"})

    def forward(self, performance):
        return performance.waveform

    def pitch(self, performance):
        return torch.full((len(performance.ids), performance.waveform.shape[1] // self.hop_length), 200 * 2 ** (0.4 / 12))


def test_a_model_that_estimates_the_pitch_is_held_against_the_annotation(data: Path, tmp_path: Path) -> None:
    tree = config(data={"f0": None, "loudness": None})
    tree["model"] = {"class_path": "Follower"}
    following = Experiment(tree).build()[0]
    following.check()
    recordings = Manifest.open(data / "tones" / "train.jsonl")
    item = recordings[0]
    inputs = following.inputs(recordings, item)
    assert inputs.f0.shape == inputs.loudness.shape == (1, 0)
    stored = following.store(tmp_path / "predictions", item, following.predict(following.model, inputs, RATE))
    assert stored["f0"] == stored["untrained_f0"]
    row = following.score(recordings, item, stored, tmp_path / "predictions")
    assert row["metrics"] == {"multi_scale_spectral": 0, "log_spectral_distance": 0, "rpa@50": 1}
    for labels in ({}, {"f0": {"start": 0.0, "step": 0.01, "hz": []}}):
        unlabelled = replace(item, labels=labels)
        assert "rpa@50" not in following.score(recordings, unlabelled, stored, tmp_path / "predictions")["metrics"]


def test_segments_are_whole_frames(data: Path) -> None:
    source = task(data={"segment": 0.0513}).training(data).source
    batch = source.batch(0, [0, 1])
    assert batch.waveform.shape == (2, 10 * HOP)
    assert batch.f0.shape == batch.loudness.shape == (2, 10)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": {"f0": None}}, "data.f0: expected a feature, which Resynthesizer reads, found null"),
        ({"data": {"waveform": {"class_path": "Waveform", "init_args": {"sample_rate": 16000}}}}, "expected 8000 Hz"),
        ({"model": {"hop_length": 80}}, "expected 100 frames a second, one for each hop of the model, found 200"),
        ({"data": {"segment": 0}}, "data.segment: expected more than 0 seconds"),
        ({"score": {"metrics": ["rpa"]}}, "expected a tolerance in cents"),
        ({"score": {"metrics": ["log_spectral"]}}, "no such metric: 'log_spectral'"),
    ],
)
def test_what_does_not_fit_is_told(changes: dict, told: str) -> None:
    with pytest.raises(UserError, match=told):
        task(**changes)


def test_a_summary_counts_and_checks(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config()))
    told = summary(tmp_path / "config.yaml", [])
    assert "effect: NoiseReverb" in told
    assert "kept: performance -> (B, T)" in told
