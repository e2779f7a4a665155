"""An epoch in the order of shards: every example once, few files at a time, each process its own, resumable anywhere."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from toolkit.data import loader, manifest, shards, store
from toolkit.data.clips import ClipDataset
from toolkit.data.examples import ExampleSource
from toolkit.data.performances import PerformanceDataset
from toolkit.data.store import Store, StoreWriter, folder_of

SHARDS = st.lists(st.integers(0, 12), min_size=1, max_size=30).filter(any)  # examples of each shard


class Numbered(NamedTuple):
    numbers: Tensor
    ids: list[str]


class Numbers(ExampleSource[Numbered]):
    """Examples that are their own numbers, in shards of these sizes."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.shard_of = np.repeat(np.arange(len(sizes)), sizes)

    def __len__(self) -> int:
        return len(self.shard_of)

    def shards(self) -> np.ndarray:
        return self.shard_of

    def batch(self, epoch: int, indices: Sequence[int], memory: np.ndarray | None = None) -> Numbered:
        return Numbered(torch.tensor(indices), [str(index) for index in indices])


def ids(source: Numbers, batch_size: int = 2, seed: int = 3, epoch: int = 0, **options: Any) -> list[list[str]]:
    batches = loader.batches(source, batch_size=batch_size, seed=seed, epoch=epoch, drop_last=False, **options)
    return [batch.ids for batch in batches]


@given(sizes=SHARDS, batch_size=st.integers(1, 5), world_size=st.integers(1, 4), seed=st.integers(0, 9))
def test_every_example_comes_once_and_processes_read_files_of_their_own(
    sizes: list[int], batch_size: int, world_size: int, seed: int
) -> None:
    source = Numbers(sizes)

    def parts(drop_last: bool) -> list[list[np.ndarray]]:
        return [
            loader.order(len(source), batch_size, seed, 1, True, rank, world_size, drop_last, source.shard_of)
            for rank in range(world_size)
        ]

    assert sorted(index for part in parts(drop_last=False) for row in part for index in row) == list(range(len(source)))
    whole = parts(drop_last=True)
    assert len({len(part) for part in whole}) == 1
    read = [{int(source.shard_of[index]) for row in part for index in row} for part in whole]
    assert sum(map(len, read)) <= len(set().union(*read)) + world_size - 1  # two share a file where their parts meet


@given(sizes=SHARDS, seed=st.integers(0, 9))
def test_few_files_are_in_use_at_a_time(sizes: list[int], seed: int) -> None:
    shard_of = np.repeat(np.arange(len(sizes)), sizes)
    found = shard_of[shards.order(shard_of, np.random.default_rng(seed), 1, 1)].tolist()
    last = {shard: place for place, shard in enumerate(found)}
    in_use: set[int] = set()
    for place, shard in enumerate(found):
        in_use.add(shard)
        assert len(in_use) <= shards.MIXED
        in_use -= {shard} if last[shard] == place else set()


@settings(max_examples=30)
@given(sizes=SHARDS, skip=st.integers(0, 20), epoch=st.integers(0, 3))
def test_an_epoch_goes_on_at_any_batch_as_it_would_have(sizes: list[int], skip: int, epoch: int) -> None:
    source = Numbers(sizes)
    whole = ids(source, epoch=epoch)
    assert ids(source, epoch=epoch, skip=skip) == whole[skip:]
    assert ids(source, epoch=epoch) == whole


def test_epochs_and_seeds_differ_and_shards_are_mixed() -> None:
    source = Numbers([10] * 40)
    first = ids(source, batch_size=20)
    assert first not in (ids(source, batch_size=20, epoch=1), ids(source, batch_size=20, seed=4))
    assert all(len({int(name) // 10 for name in batch}) >= 4 for batch in first)
    assert ids(source, batch_size=20, workers=1) == first
    in_a_row = [int(name) for batch in ids(source, batch_size=20, shuffle=False) for name in batch]
    assert in_a_row == list(range(400))


@pytest.fixture
def corpus(tmp_path: Path) -> manifest.Manifest:
    """Twelve recordings in four shards, of which one has nothing stored."""
    names = [f"item{number:02d}" for number in range(12)]
    labels = [{"tags": [float(number % 2), None, 0.5]} for number in range(12)]
    items = [manifest.Item(name, "train", 8, 8, 1, {}, label) for name, label in zip(names, labels, strict=True)]
    manifest.write(tmp_path / "train.jsonl", {"root": ".", "name": "train", "tags": ["a", "b", "c"]}, items)
    writer = StoreWriter(folder_of(tmp_path, "number", "train"), {})
    for shard in range(4):
        rows = [(name, np.full(4, int(name[4:]), np.int16)) for name in names[3 * shard : 3 * shard + 3] if name != "item04"]
        writer.write(shard, rows)
    writer.finish(4)
    return manifest.Manifest.open(tmp_path / "train.jsonl")


def test_stored_clips_come_by_their_shards(corpus: manifest.Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(store, "_read_through", lambda path: read.append(path.name))
    feature = SimpleNamespace(name="number", scale=1.0)
    usual = ClipDataset(corpus, corpus.path.parent, feature)  # type: ignore[arg-type]
    assert (usual.shards(), read) == (None, [])
    clips = ClipDataset(corpus, corpus.path.parent, feature, shuffle="shards")  # type: ignore[arg-type]
    found = clips.shards()
    assert found is not None
    assert found.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3]
    batches = list(loader.batches(clips, batch_size=4, seed=0, epoch=0, drop_last=False))
    assert sorted(name for batch in batches for name in batch.ids) == list(clips.ids)
    assert sorted(read) == [f"{shard:05d}.npy" for shard in range(4)]  # each but once
    for batch in batches:
        assert batch.inputs[:, 0].tolist() == [int(name[4:]) for name in batch.ids]
        assert batch.labels.tolist() == [[int(name[4:]) % 2, 0, 0] for name in batch.ids]
        assert batch.mask.tolist() == [[1, 0, 0]] * len(batch.ids)


def test_performances_come_by_the_shards_of_their_sound(corpus: manifest.Manifest) -> None:
    sound = SimpleNamespace(name="number", scale=1.0)
    found = PerformanceDataset(corpus, corpus.path.parent, sound, None, None, 2, shuffle="shards")  # type: ignore[arg-type]
    numbers = found.shards()
    assert numbers is not None
    assert np.bincount(numbers).tolist() == [3, 2, 3, 3]
    assert found.ids.find("item04") is None
    assert found.batch(0, [found.ids.find("item05") or 0]).waveform[0].tolist() == [5.0] * 4


def test_no_more_shards_are_mapped_than_files_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAPPED", 3)
    writer = StoreWriter(tmp_path, {})
    for shard in range(8):
        writer.write(shard, [(f"item{shard}", np.full(2, shard))])
    writer.finish(8)
    found = Store(tmp_path, in_order=True)
    for shard in [*range(8), 7, 0, 7]:
        assert found.read(f"item{shard}").tolist() == [shard] * 2
        assert len(found._mapped) <= 3
    assert list(found._mapped) == [6, 0, 7]  # the last used stands last
