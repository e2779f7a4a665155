"""An experiment that is trained anew in its folder: what is told of it is of the weights that it has."""

from pathlib import Path

import pytest
import yaml

from toolkit.corpora import quadrants
from toolkit.infer.run import infer
from toolkit.log import UserError
from toolkit.report.runs import Run
from toolkit.score.run import score
from toolkit.train.loop import Trainer
from toolkit.train.run import train

TREE = {
    "task": "hypotheses",
    "data": {split: f"quadrants/{split}" for split in ("train", "valid", "test")} | {"batch_size": 256, "shown": [0.5]},
    "model": {"class_path": "HypothesisMLP", "init_args": {"hypotheses": 2, "hidden": [4]}},
    "loss": {"class_path": "MultipleChoice", "init_args": {"pairwise": {"class_path": "EuclideanDistance"}, "scoring": 1.0}},
    "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.001}},
    "train": {"epochs": 1},
    "score": {"metrics": ["distortion"]},
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe with one experiment, trained and scored."""
    quadrants.make_mini(tmp_path / "quadrants")
    quadrants.prepare(tmp_path / "quadrants", tmp_path / "data")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(TREE))
    trained(tmp_path)
    scored(tmp_path)
    return tmp_path


def trained(recipe: Path, *overrides: str) -> None:
    train(recipe / "config.yaml", recipe / "data", recipe / "exp/one", "cpu", list(overrides))


def scored(recipe: Path) -> None:
    infer(recipe / "exp/one", recipe / "data", "test", "cpu")
    score(recipe / "exp/one", recipe / "data", "test", 1)


def test_figures_of_the_weights_before_are_left_out(recipe: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = Run.read(recipe / "exp/one").summaries["test"]["metrics"]
    trained(recipe)  # to the end of what has come to its end: nothing changes
    assert Run.read(recipe / "exp/one").summaries["test"]["metrics"] == before
    trained(recipe, "--optimizer.lr", "0.01")
    assert Run.read(recipe / "exp/one").summaries == {}
    assert "scores of the split test are left out" in caplog.text
    scored(recipe)
    assert Run.read(recipe / "exp/one").summaries["test"]["metrics"] != before


def test_a_training_that_was_broken_off_is_none_that_ended(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are of the epochs so far: `run.json` of the training before would tell of other ones."""

    def broken_off(trainer: Trainer) -> None:
        trainer.train_epoch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", broken_off)
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, "--optimizer.lr", "0.01")
    with pytest.raises(UserError, match=r"no trained experiment \(no run.json\). Next: toolkit train"):
        Run.read(recipe / "exp/one")
