"""The page of an autoencoder, its pictures, and the trained model in a user's hands."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

import toolkit
from toolkit import files
from toolkit.data import manifest, tables
from toolkit.dsp.notes import NoteEvent
from toolkit.dsp.tick_grid import HOLD, REST
from toolkit.infer.autoencoder import TrainedLatent
from toolkit.infer.pack import pack
from toolkit.infer.run import infer
from toolkit.report import latent, latent_figures, report
from toolkit.report.runs import Group, Run
from toolkit.report.scored import Scored
from toolkit.score.run import score
from toolkit.train.run import train

PAPER = {
    "title": "Codes",
    "authors": ["A. Body"],
    "venue": "None",
    "year": 2020,
    "protocol": "Ours.",
    "rows": [{"system": "VAE", "config": "conf/paper.yaml", "data": "x", "metric": "mig/mean", "value": 0.1, "source": "none"}],
}


def made(folder: Path, pictures: bool) -> Path:
    """An experiment of one epoch on random items."""
    rng, count = np.random.default_rng(0), 64
    tokens = rng.integers(0, 4, (count, 16)).astype(np.uint8)
    images = np.packbits(rng.random((count, 64, 64)) < 0.5, -1)
    attributes = np.stack([(tokens < 2).mean(1), tokens[:, 0]], 1).astype(np.float32)
    for name, values in {"tokens": tokens, "pictures": images, "attributes": attributes}.items():
        tables.write(folder / f"{name}.npy", values)
    labels = {"attributes": ["note_density", "other"], "grid": {"ticks": [0, 6], "tokens": [60, 64, HOLD, REST]}}
    roles = {name: f"{name}.npy" for name in ("tokens", "pictures", "attributes")}
    header = {"root": ".", "name": "x", "corpus": "x", "edition": "mini"}
    manifest.write(folder / "a/x.jsonl", header | {"root": ".."}, [tables.item("x", "x", count, roles, labels)])
    cnn = {"class_path": "MelodyCNNVAE", "init_args": {"vocabulary": 9, "channels": [4, 4, 4, 4], "latent": 3}}
    vae = {"class_path": "SpriteVAE", "init_args": {"channels": 2, "hidden": 8, "latent": 3}}
    pixels = {"reconstruction": {"class_path": "PixelCrossEntropy"}} if pictures else {}
    tree = {
        "task": "latent",
        "data": {**dict.fromkeys(["train", "valid", "test"], "a/x"), "batch_size": 32},
        "model": vae if pictures else cnn,
        "loss": {"class_path": "VariationalLoss", "init_args": pixels},
        "optimizer": {"class_path": "Adam"},
        "train": {"epochs": 1},
        "infer": {"examples": 2, "steps": 3},
    }
    if pictures:
        tree["data"]["items"] = "pictures"
    (folder / "conf").mkdir()
    (folder / "conf/paper.yaml").write_text(yaml.safe_dump(tree))
    (folder / "paper.yaml").write_text(yaml.safe_dump(PAPER))
    exp = folder / "exp" / "paper"
    train(folder / "conf/paper.yaml", folder, exp, "cpu", [])
    infer(exp, folder, "test", "cpu")
    score(exp, folder, "test", 1)
    return exp


@pytest.fixture(scope="module", params=["melodies", "pictures"])
def exp(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp(request.param), request.param == "pictures")


def test_a_page_shows_and_plays_what_codes_do(exp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exp.parents[1])
    report(exp, exp.parents[1] / "paper.yaml", data=exp.parents[1])
    page = (exp / "report/index.html").read_text()
    assert "What 3 dimensions tell of each attribute" in page
    assert "nats of each of 3 dimensions" in page
    assert "Over 1 item (64 rows) of a/x" in page
    if "pictures" in str(exp):
        assert page.count("Rows of 2 images each: originals, decoded") == 1
        assert page.count("Rows of 3 images each: note_density") == 2
    else:
        assert page.count("Piano rolls of 3 bars for each attribute") == 2
        assert page.count("<audio") == 2 + 2 * 2
    assert "This page lacks" not in page


def test_without_attributes_dimensions_go_by_their_numbers(tmp_path: Path) -> None:
    folder, pictures = tmp_path / "exp/one/predictions/test", torch.zeros(2, 2, 3, 8, 8, dtype=torch.uint8)
    found = {"means": torch.zeros(2, 2), "originals": pictures[:, 0, 0], "reconstructions": pictures[:, 0, 0]}
    found |= {"traversals": pictures, "steps": torch.linspace(-1, 1, 3), "reconstruction_accuracy": torch.ones(2)}
    folder.mkdir(parents=True)
    save_file({name: values.contiguous() for name, values in found.items()}, folder / "x.safetensors")
    files.append_jsonl(folder / "index.jsonl", {"id": "x", "file": "x.safetensors"})
    header = {"root": ".", "name": "x", "corpus": "x", "edition": "mini"}
    manifest.write(tmp_path / "x.jsonl", header, [manifest.Item("x", "test", 0, 2, 0, {}, {})])
    run = Run(tmp_path / "exp/one", {}, {"test": {"data": "x", "metrics": {"nats/mean": 0.3}}})
    row: dict[str, Any] = {"id": "x", "metrics": {"nats": 0.3}, "nats": [0.1, 0.2]}
    group = Group([run], "test", "x", "mini")
    scored = Scored(run, "test", group, "nats/mean", [row], manifest.Manifest.open(tmp_path / "x.jsonl"))

    shown = latent.view(scored, []).examples
    assert [example.title for example in shown] == ["Reconstructions", "Traversals of picture 1", "Traversals of picture 2"]
    caption, picture = shown[1].pictures[0]
    assert caption.endswith("a dimension goes from -1 to 1.")
    assert "Rows of 3 images each: dimension 0, dimension 1" in picture

    (folder / "x.safetensors").unlink()
    missing: list[str] = []
    assert latent.view(scored, missing).examples == []
    assert missing[0].startswith(f"examples: no such file: {folder}/x.safetensors. Next: ")


def test_a_trained_model_encodes_and_decodes(exp: Path) -> None:
    trained = toolkit.load(exp)
    assert isinstance(trained, TrainedLatent)
    assert trained.attributes == ["note_density", "other"]
    codes = torch.zeros(2, 3)
    items = trained.decode(codes)
    assert items.shape == ((2, 64, 64) if trained.pictures else (2, 16))
    posterior = trained.encode(items)
    assert posterior.mean.shape == posterior.log_variance.shape == (2, 3)
    moved = trained.traverse(codes[0], 1, [-3.0, 0.0, 3.0])
    assert torch.equal(moved[1], items[0])
    assert trained.use.gives.startswith("codes of 3 dimensions")
    with pytest.raises(ValueError, match="items: expected shape"):
        trained.encode(items[:, :5])
    with pytest.raises(ValueError, match=f"items: expected 0 to {1 if trained.pictures else 8}, found"):
        trained.encode(items + 9)
    with pytest.raises(ValueError, match="codes: expected 3 dimensions"):
        trained.decode(codes[0])
    with pytest.raises(ValueError, match="dimension: expected one from 0 to 2"):
        trained.traverse(codes[0], 3, [0.0])
    if not trained.pictures:
        assert trained.notes([0, 2, 2, 1, 9, 2]) == [NoteEvent(0, 18, 60), NoteEvent(18, 6, 64)]
        assert json.loads((exp / "labels.json").read_text())["grid"]["ticks"] == [0, 6]


def test_what_has_no_names_is_packed_without(exp: Path, tmp_path: Path) -> None:
    nameless = shutil.copytree(exp, tmp_path / "exp")
    (nameless / "labels.json").unlink()
    assert toolkit.load(pack(nameless, tmp_path / "pack")).attributes == []


def test_a_picture_of_dependence() -> None:
    drawn = latent_figures.dependence(np.array([[0.0, 1.0], [2.0, 0.5]]), ["a", "b"])
    assert "the most informative ones: a: 1; b: 0" in drawn
    with pytest.raises(ValueError, match="a name for each attribute"):
        latent_figures.dependence(np.zeros((3, 2)), ["a"])
