"""Hypotheses as a task: trained on samples of a rule, followed on their ways, scored for each input, opened again."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import toolkit
from toolkit import files
from toolkit.corpora import quadrants, three_gaussians
from toolkit.data.manifest import Manifest
from toolkit.infer.run import infer
from toolkit.log import UserError
from toolkit.report.claims import Results
from toolkit.report.html import page
from toolkit.report.runs import Run
from toolkit.score.run import score
from toolkit.tasks import hypotheses
from toolkit.tasks.experiment import Experiment
from toolkit.train import loop
from toolkit.train.run import train

LOSS = {"class_path": "MultipleChoice", "init_args": {"pairwise": {"class_path": "EuclideanDistance"}, "scoring": 1.0}}
TREE = {
    "task": "hypotheses",
    "data": {f: f"quadrants/{f}" for f in ("train", "valid", "test")} | {"batch_size": 128, "shown": [0.0, 0.5]},
    "model": {"class_path": "HypothesisMLP", "init_args": {"hypotheses": 6, "hidden": [32]}},
    "loss": LOSS,
    "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.01}},
    "train": {"epochs": 2},
}
PAPER = {
    "title": "Choices", "authors": ["A"], "venue": "V", "year": 2023, "protocol": "P",
    "rows": [{"system": "S", "config": "config.yaml", "data": "quadrants/test", "metric": "earth_mover/mean", "value": 0.2,
              "source": "table"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe with one experiment, trained and scored."""
    place = tmp_path_factory.mktemp("hypotheses")
    for corpus in (quadrants, three_gaussians):
        corpus.make_mini(place / corpus.NAME)
        corpus.prepare(place / corpus.NAME, place / "data")
    (place / "config.yaml").write_text(yaml.safe_dump(TREE))
    (place / "paper.yaml").write_text(yaml.safe_dump(PAPER))
    train(place / "config.yaml", place / "data", place / "exp/one", "cpu", [])
    infer(place / "exp/one", place / "data", "test", "cpu")
    score(place / "exp/one", place / "data", "test", 1)
    return place


def test_it_learns_and_its_ways_are_kept(recipe: Path) -> None:
    rows = files.read_jsonl(recipe / "exp/one/metrics.jsonl")
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]
    assert rows[-1]["valid/distinct"] == 6
    ways = np.load(recipe / "exp/one" / hypotheses.WAYS)
    assert ways.shape == (3, 2, 6, 2)  # before the training and after each epoch; two inputs, six hypotheses
    assert np.sqrt(((ways[-1] - ways[-1].mean(1, keepdims=True)) ** 2).sum(-1).mean(1)).mean() == pytest.approx(
        rows[-1]["valid/spread"], rel=1e-4
    )


def test_where_they_lie_is_seen_while_they_are_trained(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In TensorBoard, beside the curves; and whatever is looked at, the same is learned."""
    monkeypatch.setattr(loop, "LISTEN_EVERY", 0.0)
    train(recipe / "config.yaml", recipe / "data", tmp_path / "exp", "cpu", [])
    board = EventAccumulator(str(tmp_path / "exp" / "tb")).Reload().Tags()
    assert board["images"] == ["hypotheses"]
    assert {"lr", "train/loss", "valid/loss", "valid/distortion"} <= set(board["scalars"])
    weights = [load_file(exp / "model.safetensors") for exp in (tmp_path / "exp", recipe / "exp" / "one")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_each_input_is_scored(recipe: Path) -> None:
    rows = files.read_jsonl(recipe / "exp/one/scores/test.jsonl")
    assert [row["t"] for row in rows] == np.linspace(0, 1, 9).tolist()
    figures = files.read_json(recipe / "exp/one/scores/test.summary.json")["metrics"]
    assert figures["earth_mover/mean"] == pytest.approx(np.mean([row["metrics"]["earth_mover"] for row in rows]))
    assert figures["earth_mover/t=0.25"] == rows[2]["metrics"]["earth_mover"]  # one of eight that stand by themselves
    assert figures["k_means/mean"] < figures["distortion/mean"] < 0.5 * figures["variance/mean"]
    assert figures["dead_share/all"] == 0
    assert figures["critical_temperature/mean"] == pytest.approx(figures["variance/mean"], rel=0.5)
    for row in rows:
        idle = sum(won == 0 for won in row["won"])
        assert (row["metrics"]["idle_weight"] > 0) == (idle > 0)
        assert row["metrics"]["idle_weight"] <= row["metrics"]["weight_error"] <= 1


def test_samples_with_inputs_of_their_own_have_a_distortion(recipe: Path) -> None:
    infer(recipe / "exp/one", recipe / "data", "valid", "cpu")
    score(recipe / "exp/one", recipe / "data", "valid", 1)
    (row,) = files.read_jsonl(recipe / "exp/one/scores/valid.jsonl")
    last = files.read_jsonl(recipe / "exp/one/metrics.jsonl")[-1]
    assert 0 < row["metrics"]["distortion"] < 2 * last["valid/distortion"]


def test_it_is_opened_again(recipe: Path) -> None:
    model = toolkit.load(recipe / "exp/one")
    points, weights = model.hypothesize([0.0, 0.5, 1.0])
    assert points.shape == (3, 6, 2)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    stored = np.load(recipe / "exp/one/predictions/test/000.points.npy")
    np.testing.assert_allclose(points[:1], stored, atol=1e-6)
    with pytest.raises(ValueError, match="inputs: expected shape"):
        model.hypothesize(torch.zeros(3, 2))


def test_the_page_shows_hypotheses_among_samples(recipe: Path) -> None:
    manifest = Manifest.open(recipe / "data/quadrants/test.jsonl")
    shown = page(Results.read(recipe / "paper.yaml"), Run.read(recipe / "exp/one"), "test", manifest)
    for caption in ("EMD over the input", "among samples given each t", "The ways of the hypotheses", "t = 0.5"):
        assert caption in shown
    assert "as many centres found by k-means" in shown


def test_a_temperature_falls(recipe: Path) -> None:
    loss = {"class_path": "AnnealedMultipleChoice", "init_args": {"pairwise": {"class_path": "SquaredDistance"}}}
    data = {f: f"three_gaussians/fast/fixed/{f}" for f in ("train", "valid", "test")} | {"batch_size": 300, "shown": [0.5]}
    model = {"class_path": "HypothesisMLP", "init_args": {"hypotheses": 4, "hidden": [16], "scored": False}}
    (recipe / "annealed.yaml").write_text(yaml.safe_dump({**TREE, "loss": loss, "data": data, "model": model}))
    train(recipe / "annealed.yaml", recipe / "data", recipe / "exp/annealed", "cpu", ["--train.monitor", "valid/distortion"])
    rows = files.read_jsonl(recipe / "exp/annealed/metrics.jsonl")
    assert rows[1]["valid/temperature"] < rows[0]["valid/temperature"] == 0.125
    weights = toolkit.load(recipe / "exp/annealed").hypothesize([0.5]).weights
    torch.testing.assert_close(weights, torch.full((1, 4), 0.25))


def test_networks_that_are_trained_apart(recipe: Path, tmp_path: Path) -> None:
    """As many samples for each of three as one would have, none of them another's."""
    tree = {
        **TREE,
        "data": {**TREE["data"], "batch_size": 3 * 128, "draws": 3},
        "model": {"class_path": "HypothesisEnsemble", "init_args": {"hypotheses": 3, "hidden": [8], "apart": True}},
        "loss": {"class_path": "NearestReference", "init_args": {"pairwise": {"class_path": "EuclideanDistance"}}},
    }
    task, _ = Experiment(tree).build()
    source = task.training(recipe / "data").source
    count = Manifest.open(recipe / "data/quadrants/train.jsonl")[0].frames
    assert len(source) == 3 * count
    parts = [source.batch(0, range(part * count, part * count + 5)).inputs for part in range(3)]
    assert not any(torch.equal(parts[one], parts[other]) for one, other in ((0, 1), (0, 2), (1, 2)))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    train(tmp_path / "config.yaml", recipe / "data", tmp_path / "exp", "cpu", [])
    assert np.load(tmp_path / "exp" / hypotheses.WAYS).shape == (3, 2, 3, 2)
    with pytest.raises(UserError, match="multiple of the 3 networks that are trained apart, found 128"):
        train(tmp_path / "config.yaml", recipe / "data", tmp_path / "other", "cpu", ["--data.batch_size", "128"])
    with pytest.raises(UserError, match=r"data.draws: expected at least 1, found 0"):
        train(tmp_path / "config.yaml", recipe / "data", tmp_path / "other", "cpu", ["--data.draws", "0"])


def test_samples_stay_the_same_where_they_are_not_redrawn(recipe: Path) -> None:
    for redrawn in (True, False):
        task, _ = Experiment({**TREE, "data": {**TREE["data"], "redrawn": redrawn}}).build()
        source = task.training(recipe / "data").source
        first, later = (source.batch(epoch, [0, 1]).targets for epoch in (0, 1))
        assert torch.equal(first, later) != redrawn


def test_mistakes_are_told(recipe: Path) -> None:
    with pytest.raises(UserError, match=r"score.metrics: no metric is called 'distorsion'; did you mean 'distortion'"):
        Experiment({**TREE, "score": {"metrics": ["distorsion"]}}).build()
    unscored = {"class_path": "HypothesisMLP", "init_args": {"scored": False}}
    task, _ = Experiment({**TREE, "model": unscored}).build("meta")
    with pytest.raises(UserError, match="expected a model with scores"):
        task.check()
    manifest = Manifest.open(recipe / "data/quadrants/test.jsonl")
    manifest.header["corpus"] = "spirals"
    with pytest.raises(UserError, match="expected a corpus of quadrants, three_gaussians, found 'spirals'"):
        task.inputs(manifest, manifest[0])


def test_hypotheses_on_one_another_are_counted_once() -> None:
    assert hypotheses.distinct(np.array([[0.0, 0], [0.001, 0], [1, 0], [1, 0.5]])) == 3


def test_its_samples_can_be_drawn_by_loading_processes(recipe: Path) -> None:
    task, _ = Experiment.read(recipe / "config.yaml").build()
    source = task.training(recipe / "data").source
    sent = pickle.loads(pickle.dumps(source))  # as another process gets it
    torch.testing.assert_close(sent.batch(1, [0, 5]).targets, source.batch(1, [0, 5]).targets)
