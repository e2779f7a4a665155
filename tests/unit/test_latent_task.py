"""Autoencoders as experiments: from tables to figures; schedules and discriminators that go on where they stopped."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from toolkit import files
from toolkit.data import manifest, tables
from toolkit.data.manifest import Manifest
from toolkit.infer.run import infer
from toolkit.log import UserError
from toolkit.metrics.dependence import rank_correlation
from toolkit.score.run import score
from toolkit.tasks.base import trying_out
from toolkit.tasks.experiment import Experiment, load
from toolkit.tasks.latent import LatentLearning
from toolkit.train.run import train

CNN = {"class_path": "MelodyCNNVAE", "init_args": {"vocabulary": 12, "channels": [16, 32], "latent": 4, "dropout": 0.0}}


def tied(*dimensions: int) -> dict:
    return {"attributes": {"class_path": "AttributeRegularization", "init_args": {"dimensions": list(dimensions)}}}


def variational(**parts) -> dict:
    return {"class_path": "VariationalLoss", "init_args": parts}


def factor(latent: int) -> dict:
    discriminator = {"class_path": "LatentDiscriminator", "init_args": {"latent": latent, "hidden": 8}}
    return {"class_path": "TotalCorrelation", "init_args": {"discriminator": discriminator, "gamma": 5.0}}


def config(**changes) -> dict:
    names = dict.fromkeys(["train", "valid", "test"], "steps/all")
    tree = {
        "task": "latent",
        "data": {**names, "batch_size": 32, **changes.pop("data", {})},
        "model": CNN,
        "loss": variational(divergence={"class_path": "BetaDivergence", "init_args": {"beta": 0.001}}, **tied(2, 0)),
        "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.01}},
        "train": {"epochs": 12, "clip_grad_norm": None, "monitor": "valid/step"},
        "infer": {"rows": 200, "examples": 3, "steps": 5, "batch_size": 64},
    }
    return {**tree, **changes}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Melodies of four tokens that rise from a first one by a step: two attributes, a melody each pair."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    attributes = np.stack([rng.integers(0, 6, 256), rng.integers(0, 3, 256)], 1)
    tokens = (attributes[:, :1] + attributes[:, 1:] * np.arange(4) // 2).astype(np.uint8)
    pictures = np.packbits(rng.random((256, 64, 64)) < attributes[:, :1, None] / 6, -1)
    roles = {"tokens": tokens, "attributes": attributes.astype(np.float32), "pictures": pictures}
    for name, values in roles.items():
        tables.write(folder / "steps" / f"{name}.npy", values)
    labels = {"attributes": ["first", "step"]}
    item = tables.item("all", "all", 256, {name: f"{name}.npy" for name in roles}, labels)
    header = {"root": ".", "name": "steps/all", "corpus": "steps", "edition": "mini"}
    manifest.write(folder / "steps" / "all.jsonl", header, [item])
    return folder


def written(folder: Path, tree: dict) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_from_tables_to_figures(data: Path, tmp_path: Path) -> None:
    exp = tmp_path / "exp"
    train(written(tmp_path, config()), data, exp, "cpu", [])
    infer(exp, data, "test", "cpu")
    score(exp, data, "test", 1)

    rows = files.read_jsonl(exp / "metrics.jsonl")
    assert {"valid/loss", "valid/reconstruction", "valid/divergence", "valid/attributes", "valid/nats"} < rows[-1].keys()
    assert rows[-1]["valid/reconstruction_accuracy"] > 0.8 > rows[0]["valid/reconstruction_accuracy"]
    assert rows[-1]["valid/step"] == rows[-1]["step"]
    found = load_file(exp / "predictions" / "test" / "all.safetensors")
    assert {name: tuple(found[name].shape) for name in ("means", "drawn", "reconstructions", "traversals", "steps")} == {
        "means": (200, 4),
        "drawn": (200, 4),
        "reconstructions": (3, 4),
        "traversals": (3, 4, 5, 4),
        "steps": (5,),
    }
    figures = files.read_json(exp / "scores" / "test.summary.json")["metrics"]
    assert figures["reconstruction_accuracy/mean"] == pytest.approx(found["reconstruction_accuracy"].mean().item())
    assert 0.1 < figures["reconstruction_accuracy/most_frequent"] < 0.5
    assert figures["scc/mean"] > 0.8
    assert figures["mig/mean"] == pytest.approx((figures["mig/mean/first"] + figures["mig/mean/step"]) / 2)
    assert "modularity/mean" in figures
    assert "modularity/mean/first" not in figures
    (row,) = files.read_jsonl(exp / "scores" / "test.jsonl")
    assert np.shape(row["dependence"]) == (4, 2)
    opened = Manifest.open(data / "steps" / "all.jsonl")
    correlation = rank_correlation(found["means"], tables.read_all(opened, "attributes")[:200])
    assert correlation[[2, 0], [0, 1]].min() > 0.8  # where they were tied to
    assert sum(row["nats"]) == pytest.approx(row["metrics"]["nats"])


@pytest.mark.parametrize("with_factor", [False, True])
def test_training_goes_on_bit_by_bit(data: Path, tmp_path: Path, with_factor: bool) -> None:
    growing = {"class_path": "BetaDivergence", "init_args": {"warmup_epochs": 1, "iterations": 20}}
    changes = {"total_correlation": factor(4)} if with_factor else {}
    path = written(tmp_path, config(loss=variational(divergence=growing), **changes))
    train(path, data, tmp_path / "whole", "cpu", ["--train.epochs", "3"])
    for epochs in ("1", "3"):
        train(path, data, tmp_path / "resumed", "cpu", ["--train.epochs", epochs, "--train.checkpoint_every", "3"])
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "resumed"))
    assert all(whole[name].equal(resumed[name]) for name in whole)
    rows = files.read_jsonl(tmp_path / "resumed" / "metrics.jsonl")
    assert [row["valid/divergence"] > 0 for row in rows] == [False, True, True]
    state = torch.load(sorted((tmp_path / "whole" / "checkpoints").glob("*/state.pt"))[-1], weights_only=True)["task"]
    assert state["batches"] == 24
    assert ("discriminator" in state) == with_factor


def test_a_discriminator_learns_a_batch_later_from_the_other_half(data: Path) -> None:
    tree = config(loss=variational(), total_correlation=factor(4), data={"batch_size": 64})
    task = Experiment(tree).build()[0]
    assert isinstance(task, LatentLearning)
    examples = task.training(data)
    task.start_training(torch.device("cpu"))
    weight = task.config.total_correlation.discriminator.network[0].weight
    before, batch = weight.detach().clone(), examples.source.batch(0, range(64))
    task.loss(task.model, batch).backward()
    assert weight.grad is None  # nor does the model's loss reach it
    assert torch.equal(weight, before)
    waiting = task.training_state()["waiting"]
    assert torch.equal(waiting["others"], batch.items[32:])
    task.loss(task.model, batch)
    assert not torch.equal(weight, before)


def test_pictures_come_back(data: Path, tmp_path: Path) -> None:
    tree = config(
        data={"items": "pictures", "batch_size": 32},
        model={"class_path": "SpriteVAE", "init_args": {"channels": 4, "hidden": 16, "latent": 3}},
        loss=variational(reconstruction={"class_path": "PixelCrossEntropy"}),
        train={"epochs": 1},
        infer={"rows": 40, "examples": 2, "steps": 3},
    )
    train(written(tmp_path, tree), data, tmp_path / "exp", "cpu", [])
    infer(tmp_path / "exp", data, "test", "cpu")
    score(tmp_path / "exp", data, "test", 1)
    found = load_file(tmp_path / "exp" / "predictions" / "test" / "all.safetensors")
    assert found["traversals"].shape == (2, 3, 3, 64, 64)
    task = load(tmp_path / "exp", torch.device("cpu"))[0]
    seen = task.look(task.model, task.validation(data).source, torch.device("cpu"))
    assert seen["reconstructions"].values.shape == (2 * 64, 4 * 64)  # four originals, and below them what is decoded
    assert seen["traversals"].values.shape == (3 * 64, 3 * 64)  # a row of steps for each dimension
    second = task.read(task.validation(data).source.batch(0, [1]).items)[0, 0]
    assert torch.equal(seen["reconstructions"].values[:64, 64:128], (255 * second).byte())
    opened = Manifest.open(data / "steps" / "all.jsonl")
    stored = tables.read(opened, opened[0], "pictures")
    assert np.array_equal(task.read(torch.tensor(stored[:5])).squeeze(1).numpy(), np.unpackbits(stored[:5], axis=-1))
    assert torch.equal(found["originals"], torch.from_numpy(np.unpackbits(stored[[10, 30]], axis=-1) * 255))


def test_parts_that_do_not_fit_one_another_are_told_in_a_line() -> None:
    for call in (lambda: torch.zeros(2).sum(3), lambda: torch.zeros(2) @ torch.zeros(3), lambda: torch.zeros(2).view(3)):
        with pytest.raises(UserError, match=r"the model cannot be put together: [^\n]+$"), trying_out():
            call()


def test_what_does_not_fit_is_told(data: Path) -> None:
    for option in ("rows", "batch_size", "examples", "steps"):
        with pytest.raises(UserError, match=rf"infer\.{option}: expected at least 1, found 0"):
            Experiment(config(infer={option: 0})).build()
    with pytest.raises(UserError, match=r"dimensions: expected numbers below 4, found \[4\]"):
        Experiment(config(loss=variational(**tied(4)))).build("meta")[0].check()
    with pytest.raises(UserError, match=r"total_correlation: .*dimensions"):
        Experiment(config(total_correlation=factor(5))).build("meta")[0].check()
    with pytest.raises(UserError, match=r"data\.batch_size: expected at least 2, as total_correlation halves batches, found 1"):
        Experiment(config(total_correlation=factor(4), data={"batch_size": 1})).build("meta")[0].check()
    with pytest.raises(UserError, match="cannot be put together: melodies: expected shape"):
        Experiment(config(data={"items": "pictures"})).build("meta")[0].check()
    with pytest.raises(UserError, match="expected 1 attributes"):
        Experiment(config(loss=variational(**tied(1)))).build()[0].training(data)
