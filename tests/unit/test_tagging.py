"""A tagging experiment from stored features to scores, on clips whose loudest feature says their tag."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from toolkit import files
from toolkit.data import clips, loader, manifest, store
from toolkit.data.manifest import Item, Manifest
from toolkit.infer.run import infer
from toolkit.log import UserError
from toolkit.score.run import score
from toolkit.tasks.experiment import Experiment
from toolkit.tasks.tagging import Tagging, _chunks
from toolkit.train.run import train

TAGS = ["bell", "drum", "rain"]


def config(**changes) -> dict:
    data = {"train": "sounds/train", "valid": "sounds/train", "test": "sounds/train", "batch_size": 4, "workers": 0}
    feature = {"class_path": "Published", "init_args": {"name": "rows", "frame_rate": 2.0}}
    blocks = {
        "frontend": {"class_path": "StoredFeatures", "init_args": {"bins": 3, "scale": 255.0}},
        "backbone": {"class_path": "FrameGRU", "init_args": {"hidden": 8, "layers": 1}},
        "pooling": {"class_path": "MeanPooling"},
        "head": {"class_path": "LinearHead"},
        "tags": 3,
    }
    tree = {
        "task": "tagging",
        "data": {**data, "input": feature, **changes.pop("data", {})},
        "model": {"class_path": "Tagger", "init_args": {**blocks, **changes.pop("model", {})}},
        "loss": {"class_path": "BinaryCrossEntropy"},
        "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.05}},
        "score": {"metrics": ["average_precision", "f1@0.5"]},
    }
    return {**tree, **changes}


def task(**changes) -> Tagging:
    return Experiment(config(**changes)).build()[0]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve clips, of which each tag has four; one rating of each clip is not known, one is neither yes nor no."""
    rng, items, rows = np.random.default_rng(0), [], []
    for number in range(12):
        tags: list[float | None] = [0.1, 0.2, 0.0]
        tags[number % 3] = 0.9
        tags[(number + 1) % 3] = None if number % 2 else 0.5
        items.append(Item(f"clip{number:02}", "train", 8000, 40000, 1, {}, {"tags": tags}))
        frames = rng.integers(0, 100, (10, 3)).astype(np.uint8)
        frames[:, number % 3] += 60
        rows.append((f"clip{number:02}", frames))
    header = {"root": ".", "name": "sounds/train", "tags": TAGS, "edition": "mini"}
    manifest.write(tmp_path / "sounds" / "train.jsonl", header, items)
    store.write(tmp_path / "features" / "published" / "rows" / "sounds" / "train", {"manifest": "sounds/train"}, rows)
    return tmp_path


def test_a_batch_has_features_labels_and_what_is_known(data: Path) -> None:
    source = task().training(data).source
    batch = source.batch(0, [0, 1])
    assert batch.inputs.shape == (2, 10, 3)
    assert batch.embeddings.shape == (2, 0, 0)
    assert batch.labels.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert batch.mask.tolist() == [[1, 0, 1], [1, 1, 0]]  # a rating of 0.5 is dropped
    positive = task(data={"ambiguous": "positive"}).training(data).source.batch(0, [0])
    assert (positive.labels.tolist(), positive.mask.tolist()) == ([[1, 1, 0]], [[1, 1, 1]])


def test_probabilities_are_seen_beside_labels(data: Path) -> None:
    tagging = task()
    seen = tagging.look(tagging.model, tagging.training(data).source, torch.device("cpu"))
    assert seen["labels"].values[:2].tolist() == [[1, 0.5, 0], [0, 1, 0.5]]
    assert seen["probabilities"].values.shape == (12, 3)
    assert (seen["probabilities"].values < 1).all()


def test_a_segment_is_another_piece_in_each_epoch(data: Path) -> None:
    source = task(data={"segment": 2.0}).training(data).source
    batches = [source.batch(epoch, [3]).inputs for epoch in range(4)]
    assert all(batch.shape == (1, 4, 3) for batch in batches)
    assert any(not batches[0].equal(batch) for batch in batches[1:])
    assert batches[0].equal(source.batch(0, [3]).inputs)
    longer = task(data={"segment": 8.0}).training(data).source.batch(0, [3])
    assert longer.inputs.shape == (1, 16, 3)
    assert longer.lengths.tolist() == [10]
    assert not longer.inputs[:, 10:].any()


def test_processes_load_the_same_batches(data: Path) -> None:
    source = task().training(data).source
    alone, together = (list(loader.batches(source, batch_size=4, seed=1, epoch=0, workers=workers)) for workers in (0, 1))
    for one, other in zip(alone, together, strict=True):
        assert one.ids == other.ids
        assert one.inputs.equal(other.inputs)
        assert one.labels.equal(other.labels)


@pytest.mark.parametrize("pool", ["features", "probabilities"])
def test_from_features_to_figures(data: Path, tmp_path: Path, pool: str) -> None:
    tree = config(model={"pool": pool}, train={"epochs": 30, "monitor": "valid/average_precision"})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    exp = tmp_path / "exp"
    train(tmp_path / "config.yaml", data, exp, "cpu", [])
    infer(exp, data, "test", "cpu")
    score(exp, data, "test", 1)
    assert files.read_json(exp / "tags.json") == TAGS
    last = files.read_jsonl(exp / "metrics.jsonl")[-1]
    assert last["valid/average_precision"] > 0.95
    summary = files.read_json(exp / "scores" / "test.summary.json")
    assert summary["metrics"]["average_precision/mean"] == pytest.approx(1)
    assert {f"f1@0.5/mean/{tag}" for tag in TAGS} < summary["metrics"].keys()
    low, high = summary["intervals"]["average_precision/mean"]
    assert low <= high == pytest.approx(1)
    rows = files.read_jsonl(exp / "predictions" / "test" / "index.jsonl")
    assert len(rows[0]["probabilities"]) == 3
    assert ("attention" in rows[0]) == (pool == "probabilities")
    lines = files.read_jsonl(exp / "scores" / "test.jsonl")
    assert lines[0]["labels"] == [1, None, 0]


def test_mixed_clips_share_their_labels(data: Path) -> None:
    torch.manual_seed(0)
    mixing = task(data={"mixup": 0.3})
    batch = mixing.training(data).source.batch(0, range(4))
    seen = []
    mixing.model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    mixing.loss(mixing.model, batch)
    mixing.validate(mixing.model, batch)
    spectrogram = batch.inputs.mT[:, None] / 255
    assert not torch.allclose(seen[0], spectrogram)
    assert torch.equal(seen[1], spectrogram)  # validation hears clips as they are


def test_chunks_are_spread_over_the_clip_and_short_ones_filled_up() -> None:
    clip = torch.arange(10.0)[None]
    assert _chunks(clip, 4, 3).tolist() == [[[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]]
    assert _chunks(clip[:, :2], 4, 1).tolist() == [[[0, 1, 0, 0]]]


def test_probabilities_are_the_mean_over_chunks(data: Path) -> None:
    chunked, whole = task(infer={"chunk": 2.0, "chunks": 2}), task()
    inputs = whole.inputs(
        Manifest.open(data / "sounds" / "train.jsonl"), next(iter(Manifest.open(data / "sounds/train.jsonl")))
    )
    chunked.model.load_state_dict(whole.model.state_dict())
    halves = [whole.probabilities(whole.model, inputs[None, begin : begin + 4]) for begin in (0, 3)]
    torch.testing.assert_close(chunked.probabilities(chunked.model, inputs[None]), sum(halves) / 2)


def test_the_validation_loss_of_chunks_is_that_of_each(data: Path) -> None:
    chunked, whole = task(infer={"chunk": 2.0, "chunks": 2}), task()
    chunked.model.load_state_dict(whole.model.state_dict())
    batch = whole.validation(data).source.batch(0, range(4))
    halves = [whole.validate(whole.model, batch._replace(inputs=batch.inputs[:, begin : begin + 4])) for begin in (0, 3)]
    found = chunked.validate(chunked.model, batch)
    for name in ("loss", "probabilities"):
        torch.testing.assert_close(found[name], sum(half[name] for half in halves) / 2)


def test_mistakes_are_told(data: Path) -> None:
    with pytest.raises(UserError, match="expected the 3 tags of sounds/train, found 4"):
        task(model={"tags": 4}).training(data)
    with pytest.raises(UserError, match=r"no stored features at .*Next: run the stage `features`"):
        task(data={"teacher": {"class_path": "Waveform", "init_args": {"sample_rate": 8000}}}).training(data)
    with pytest.raises(UserError, match="average_precision"):
        task(score={"metrics": ["average_precisoin"]})
    with pytest.raises(UserError, match=r"infer\.chunk: expected more than 0 seconds"):
        task(infer={"chunk": -1.0})
    with pytest.raises(UserError, match=r"data\.mixup: expected 0 for none, or more, found -1"):
        task(data={"mixup": -1})
    with pytest.raises(UserError, match=r"infer\.chunks: expected 1"):
        task(infer={"chunks": 4})
    teacher = {"class_path": "Published", "init_args": {"name": "teacher", "frame_rate": 1.0}}
    with pytest.raises(UserError, match=r"data\.segment: expected null where there is a data\.teacher"):
        task(data={"segment": 2.0, "teacher": teacher})
    loss = {"class_path": "Distillation", "init_args": {"weight": 0.5, "stages": ["backbone.rgu"]}}
    with pytest.raises(UserError, match=r"data\.teacher: expected whose embeddings Distillation shall read"):
        task(loss=loss)
    with pytest.raises(UserError, match=r"no module 'backbone\.rgu'; it has backbone\.gru"):
        Experiment(config(loss=loss, data={"teacher": teacher})).build("meta")[0].check()
    Experiment(config()).build("meta")[0].check()


def test_validation_and_test_clips_have_the_tags_of_the_training(data: Path) -> None:
    path = data / "sounds" / "train.jsonl"
    tagging, item = task(), Manifest.open(path)[0]
    tagging.training(data)
    path.write_text(path.read_text().replace('["bell", "drum", "rain"]', '["bell", "rain", "drum"]'))
    with pytest.raises(UserError, match=r"data\.valid: expected a manifest with the tags of sounds/train, in their order"):
        tagging.validation(data)
    with pytest.raises(UserError, match="expected 2 tags, as the model has, found 3"):
        tagging.score(Manifest.open(path), item, {"probabilities": [0.1, 0.9]}, data)


def test_another_teacher_is_another_training(tmp_path: Path) -> None:
    teacher = {"class_path": "Published", "init_args": {"name": "teacher", "frame_rate": 1.0}}
    options = {"weight": 0.5, "knowledge": 1.0, "teacher": str(tmp_path)}
    taught = task(loss={"class_path": "Distillation", "init_args": options}, data={"teacher": teacher})
    keys = [taught.made_with()]
    for content in ("weights", "others"):
        (tmp_path / "model.safetensors").write_text(content)
        keys.append(taught.made_with())
    assert len(set(map(tuple, keys))) == 3
    assert task().made_with() == ["published/rows"]


def test_ratings_to_decisions() -> None:
    labels, mask = clips.binary([[0.0, 0.5, None, 0.51]], "dropped")
    assert (labels.tolist(), mask.tolist()) == ([[0, 0, 0, 1]], [[1, 0, 0, 1]])
    labels, mask = clips.binary([[0.0, 0.5, None, 0.51]], "positive")
    assert (labels.tolist(), mask.tolist()) == ([[0, 1, 0, 1]], [[1, 1, 0, 1]])
