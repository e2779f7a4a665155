"""Tables: rows of arrays as items of a manifest, and as examples; examples drawn by a rule."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from toolkit.data import loader, manifest, tables
from toolkit.data.manifest import Manifest
from toolkit.data.rows import Drawn, Rows
from toolkit.log import UserError


class Melodies(NamedTuple):
    tokens: Tensor
    factors: Tensor
    ids: list[str]


TOKENS = np.arange(40, dtype=np.uint8).reshape(10, 4)
FACTORS = np.arange(10, dtype=np.int64)[:, None]


def prepared(folder: Path) -> Manifest:
    for name, values in {"tokens": TOKENS, "factors": FACTORS}.items():
        tables.write(folder / f"test.{name}.npy", values)
    item = tables.item("test", "test", 10, {"tokens": "test.tokens.npy", "factors": "test.factors.npy"}, {"key": "C"})
    manifest.write(folder / "test.jsonl", {"root": ".", "name": "test", "corpus": "tunes", "edition": "mini"}, [item])
    return Manifest.open(folder / "test.jsonl")


def test_a_table_is_an_item_without_a_rate(tmp_path):
    found = prepared(tmp_path)
    item = found[0]
    assert (item.frames, item.sample_rate, item.seconds, found.header["hours"]) == (10, 0, 0, 0)
    np.testing.assert_array_equal(tables.read(found, item, "tokens"), TOKENS)
    np.testing.assert_array_equal(tables.read_all(found, "factors"), FACTORS)


def test_what_cannot_be_read_is_told(tmp_path):
    found = prepared(tmp_path)
    with pytest.raises(UserError, match="expected a table 'chords', found tokens, factors"):
        tables.read(found, found[0], "chords")
    tables.write(tmp_path / "test.factors.npy", FACTORS[:7])
    with pytest.raises(UserError, match=r"expected 10 rows, found shape \(7, 1\)"):
        tables.read(found, found[0], "factors")
    (tmp_path / "test.tokens.npy").write_bytes(b"\x93NUMPY\x01")
    with pytest.raises(UserError, match="expected a NumPy file"):
        tables.read(found, found[0], "tokens")
    (tmp_path / "test.tokens.npy").unlink()
    with pytest.raises(UserError, match="no such table"):
        tables.read(found, found[0], "tokens")


def test_objects_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        tables.write(tmp_path / "x.npy", np.array([{}, []], dtype=object))
    found = prepared(tmp_path)
    np.save(tmp_path / "test.tokens.npy", np.array([{}] * 10), allow_pickle=True)
    with pytest.raises(UserError, match="expected a NumPy file"):
        tables.read(found, found[0], "tokens")


def test_rows_come_in_batches():
    source = Rows(Melodies, TOKENS, FACTORS)
    batches = list(loader.batches(source, batch_size=4, seed=0, epoch=3, drop_last=False))
    rows = torch.cat([batch.factors for batch in batches])[:, 0]
    assert sorted(rows.tolist()) == list(range(10))
    assert torch.equal(torch.cat([batch.tokens for batch in batches]), torch.from_numpy(TOKENS)[rows])
    assert batches[0].ids == [str(row) for row in batches[0].factors[:, 0].tolist()]
    with pytest.raises(ValueError, match="equally many rows"):
        Rows(Melodies, TOKENS, FACTORS[:3])


@pytest.mark.parametrize("fixed", [False, True])
def test_drawn_examples_follow_from_seed_and_epoch(fixed):
    def draw(seeds):
        rng = np.random.default_rng(seeds)
        return rng.integers(100, size=(10, 4)), rng.random((10, 1))

    one, other, third = (Drawn(Melodies, draw, seed, fixed) for seed in (1, 1, 2))
    first = one.batch(0, [1, 2])
    later = one.batch(5, [1, 2])
    assert torch.equal(first.tokens, later.tokens) == fixed
    assert torch.equal(other.batch(5, [2]).factors, later.factors[1:])  # whatever was asked before
    assert torch.equal(one.batch(0, [2]).tokens, first.tokens[1:])
    assert not torch.equal(third.batch(0, [1, 2]).tokens, first.tokens)
    assert len(one) == 10
