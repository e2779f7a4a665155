"""A trained model of pitch as a feature of other recipes."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from toolkit.dsp.resample import resample
from toolkit.log import UserError
from toolkit.tasks.experiment import Experiment
from toolkit.tasks.pitch import PitchTracking
from toolkit.tasks.tracker import PESTOPitch, between

RATE, HOP = 8000, 80


def trained(exp: Path) -> PitchTracking:
    """A small PESTO with the weights of its seed, as a run leaves it."""
    cqt = {"sample_rate": RATE, "hop_length": HOP, "f_min": 110.0, "bins": 160}
    init: dict[str, Any] = {
        "frontend": {"class_path": "LogCQT", "init_args": cqt},
        "encoder": {"class_path": "PESTOEncoder", "init_args": {"channels": [4, 2]}},
    }
    losses = {
        "equivariance": {"class_path": "ClassEquivariance"},
        "shifted": {"class_path": "ShiftedCrossEntropy"},
        "invariance": {"class_path": "CrossEntropy"},
    }
    tree = {
        "task": "pitch",
        "data": {**dict.fromkeys(["train", "valid", "test"], "any/train"), "batch_size": 4},
        "model": {"class_path": "PESTO", "init_args": init},
        "loss": {"class_path": "TranspositionLoss", "init_args": losses},
        "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.01}},
        "train": {"epochs": 1},
    }
    exp.mkdir()
    (exp / "config.yaml").write_text(yaml.safe_dump(tree))
    task = Experiment(tree).build()[0]
    assert isinstance(task, PitchTracking)
    save_file(task.model.state_dict(), exp / "model.safetensors")
    task.model.eval()
    return task


def test_its_frames_are_brought_to_another_hop(tmp_path: Path) -> None:
    model = trained(tmp_path / "exp").model
    sounds = torch.randn(2, 4000)
    expected = model.track(sounds).hertz.detach()
    same = PESTOPitch(str(tmp_path / "exp"), RATE, HOP, least_confidence=0).compute(sounds)
    assert same.shape == (2, 50)
    torch.testing.assert_close(same, expected[:, :50])
    halved = PESTOPitch(str(tmp_path / "exp"), RATE, HOP // 2, least_confidence=0).compute(sounds)
    assert halved.shape == (2, 100)
    torch.testing.assert_close(halved[:, 1:99:2], (expected[:, :49] * expected[:, 1:50]).sqrt())  # a line of cents


def test_recordings_of_another_rate(tmp_path: Path) -> None:
    model = trained(tmp_path / "exp").model
    sounds = torch.randn(2, 8001)
    found = PESTOPitch(str(tmp_path / "exp"), 2 * RATE, 2 * HOP, least_confidence=0).compute(sounds)
    assert found.shape == (2, 51)
    expected = model.track(torch.from_numpy(resample(sounds.numpy(), 2 * RATE, RATE))).hertz
    torch.testing.assert_close(found, expected[:, :51])


def test_what_it_is_not_sure_of_is_unvoiced(tmp_path: Path) -> None:
    model = trained(tmp_path / "exp").model
    sounds = torch.randn(2, 4000)
    confidence = model.track(sounds).confidence[:, :50].detach()
    least = float(confidence.median())
    found = PESTOPitch(str(tmp_path / "exp"), RATE, HOP, least).compute(sounds)
    assert torch.equal(found > 0, confidence >= least)


def test_its_name_follows_weights_and_options(tmp_path: Path) -> None:
    state = trained(tmp_path / "exp").model.state_dict()
    pitch = PESTOPitch(str(tmp_path / "exp"), RATE, HOP)
    assert pitch.name.startswith("pesto_pitch/")
    assert PESTOPitch(str(tmp_path / "exp"), RATE, HOP).name == pitch.name
    assert PESTOPitch(str(tmp_path / "exp"), RATE, 2 * HOP).name != pitch.name
    save_file({name: weight + 1 for name, weight in state.items()}, tmp_path / "exp" / "model.safetensors")
    assert PESTOPitch(str(tmp_path / "exp"), RATE, HOP).name != pitch.name


def test_an_experiment_that_is_not_trained_or_of_another_task(tmp_path: Path) -> None:
    pitch = PESTOPitch("exp/paper", 16000, 64)  # costs nothing
    for ask in (lambda: pitch.name, lambda: pitch.compute(torch.zeros(1, 1000))):
        with pytest.raises(UserError, match=r"exp/paper is not trained.*Next: ./run.sh --config conf/paper.yaml --tag paper"):
            ask()
    data = {"train": "a", "valid": "a", "test": "a", "sample_rate": 8000, "sources": ["a", "b"], "batch_size": 1}
    model = {"class_path": "Oracle", "init_args": {"kind": "irm2", "sources": 2}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"task": "oracle", "data": data, "model": model}))
    save_file(Experiment.read(tmp_path / "config.yaml").build()[0].model.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="expected a model that tracks pitch, found one of the task OracleSeparation"):
        PESTOPitch(str(tmp_path), 16000, 64).compute(torch.zeros(1, 16000))


def test_values_between_frames() -> None:
    values = torch.tensor([[0.0, 10.0, 30.0]])
    assert between(values, torch.tensor([0.0, 0.5, 1.75, 2.0, 9.0])).tolist() == [[0, 5, 25, 30, 30]]
