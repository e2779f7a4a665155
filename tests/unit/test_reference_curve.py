"""Reference learning curves: what is stored, when a run has left one, and which runs are held against it."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from toolkit import cli, files
from toolkit.log import UserError
from toolkit.train.reference_curve import ReferenceCurve, write
from toolkit.train.tracking import Tracker

MakeExperiment = Callable[..., Path]
FALL = [2.0, 1.0, 0.7, 0.6, 0.55, 0.5]
CONFIG = {"task": "separation", "data": {"train": "c/train"}, "model": {"class_path": "Net"}, "train": {"epochs": 6}}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "egs" / "corpus" / "net"
    files.write_text(folder / "conf" / "mini.yaml", yaml.safe_dump(CONFIG))
    return folder


@pytest.fixture
def experiment(recipe: Path) -> MakeExperiment:
    """Write what a training leaves; curves of seeds are as much apart."""

    def make(seed: int = 0, values: list[float] = FALL, apart: float = 0.02, overrides: tuple[str, ...] = ()) -> Path:
        exp = recipe / "exp" / f"seed{seed}{len(overrides)}"
        info = {"config": "conf/mini.yaml", "config_hash": "h", "edition": "mini", "seed": seed, "commit": "abc"}
        files.write_json(exp / "run.json", {**info, "overrides": ["--train.seed", str(seed), *overrides]})
        files.write_text(exp / "config.yaml", "train: {monitor: valid/loss}\n")
        rows = [{"epoch": epoch, "valid/loss": value + apart * seed} for epoch, value in enumerate(values, 1)]
        files.write_text(exp / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        return exp

    return make


def reference(recipe: Path, *exps: Path) -> ReferenceCurve:
    path = write(list(exps))
    assert path == recipe / "reference" / "mini.json"
    return ReferenceCurve.read(path)


def test_of_several_seeds_mean_and_deviation_are_stored(recipe: Path, experiment: MakeExperiment) -> None:
    found = reference(recipe, *(experiment(seed) for seed in range(3)))
    assert (found.metric, found.seeds) == ("valid/loss", [0, 1, 2])
    assert found.mean[1] == pytest.approx(2.02)
    assert found.deviation[6] == pytest.approx(0.02)
    low, high = found.band(6)
    assert low < 0.5 < 0.54 < high
    assert high < FALL[4] + 0.2
    assert found.band(7) is None


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_another_seed_stays_within_and_a_run_that_learns_nothing_does_not(
    recipe: Path, experiment: MakeExperiment, seeds: int
) -> None:
    found = reference(recipe, *(experiment(seed) for seed in range(seeds)))
    assert all(found.band(epoch)[0] < value + 0.05 < found.band(epoch)[1] for epoch, value in enumerate(FALL, 1))
    assert found.band(6)[1] < 2.0
    late = [FALL[0], *FALL]  # by an epoch
    assert all(found.band(epoch)[0] < value < found.band(epoch)[1] for epoch, value in enumerate(late[:6], 1))


def test_where_the_last_weights_are_kept_it_is_the_loss_that_tells(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment(0)
    files.write_text(exp / "config.yaml", "train: {monitor: valid/step}\n")
    found = reference(recipe, exp)
    assert (found.metric, found.mean[1]) == ("valid/loss", FALL[0])


def test_leaving_is_told_once_and_coming_back_too(
    recipe: Path, experiment: MakeExperiment, caplog: pytest.LogCaptureFixture
) -> None:
    found = reference(recipe, *(experiment(seed) for seed in range(3)))
    with caplog.at_level(logging.INFO, "toolkit"):
        for epoch, value in enumerate([2.0, 2.0, 1.9, float("nan"), 0.56, 0.52, 0.5], 1):
            found.see({"epoch": epoch, "valid/loss": value})
        found.see({"epoch": 1, "train/loss": 9.0})
    left, back = caplog.records
    assert (left.levelname, back.levelname) == ("WARNING", "INFO")
    assert left.message.startswith("epoch 3: valid/loss is 1.9, expected 0.")
    assert f"({found.path}, seeds 0, 1, 2): the run leaves" in left.message
    assert back.message.startswith("epoch 5: valid/loss is 0.56, back between 0.")


def test_only_runs_of_the_configuration_are_held_against_it(recipe: Path, experiment: MakeExperiment) -> None:
    conf = recipe / "conf" / "mini.yaml"
    assert ReferenceCurve.of_config(conf, [], "mini") is None
    reference(recipe, experiment(0), experiment(1))

    def held(*overrides: str, edition: str = "mini") -> bool:
        return ReferenceCurve.of_config(conf, list(overrides), edition) is not None

    assert held()
    assert held("--train.seed", "7", "--train.epochs", "2", "--data.workers", "0")
    assert not held("--optimizer.lr", "1")
    assert not held(edition="full")
    conf.write_text(yaml.safe_dump({**CONFIG, "train": {"epochs": 60}, "score": {"metrics": []}}))
    assert held()
    conf.write_text(yaml.safe_dump({**CONFIG, "model": {"class_path": "Other"}}))
    assert not held()


def test_what_makes_no_reference_is_told(recipe: Path, experiment: MakeExperiment, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a trained experiment"):
        write([tmp_path])
    with pytest.raises(UserError, match="found --optimizer"):
        write([experiment(0, overrides=("--optimizer.lr", "1"))])
    with pytest.raises(UserError, match="different seeds, found 0, 0"):
        write([experiment(0)] * 2)
    with pytest.raises(UserError, match="expected epochs with valid/loss"):
        write([experiment(0, [float("nan")])])
    files.write_text(recipe / "reference" / "mini.json", "{}")
    with pytest.raises(UserError, match="is no reference curve"):
        ReferenceCurve.of_config(recipe / "conf" / "mini.yaml", [], "mini")


def test_each_epoch_of_a_training_is_held_against_it(
    recipe: Path, experiment: MakeExperiment, caplog: pytest.LogCaptureFixture
) -> None:
    cli.main(["reference", str(experiment(0)), str(experiment(1))])
    tracker = Tracker(recipe / "exp" / "new")
    tracker.reference = ReferenceCurve.of_config(recipe / "conf" / "mini.yaml", [], "mini")
    with caplog.at_level(logging.WARNING, "toolkit"):
        tracker.epoch({"epoch": 1, "valid/loss": 20.0})
    tracker.close()
    assert "epoch 1: valid/loss is 20, expected" in caplog.text
