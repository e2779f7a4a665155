"""The generated corpus of melodies: tables, and how they are dealt out."""

from pathlib import Path

import numpy as np
import pytest

from toolkit.corpora import _dmelodies, dmelodies
from toolkit.data import tables
from toolkit.data.manifest import Manifest
from toolkit.dsp.tick_grid import TickGrid
from toolkit.log import UserError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dmelodies") / "corpus"
    dmelodies.make_mini(folder)
    return folder


def rows(data: Path, name: str, role: str = "tokens") -> np.ndarray:
    return np.asarray(tables.read_all(Manifest.open(data / f"{name}.jsonl"), role))


def changed(corpus: Path, folder: Path, name: str, change) -> Path:
    """A copy of a corpus in which one table was changed in place."""
    for role in dmelodies.COLUMNS:
        table = np.load(corpus / f"{role}.npy")
        if role == name:
            change(table)
        tables.write(folder / f"{role}.npy", table)
    return folder


def test_the_mini_corpus_has_every_value_of_every_factor(corpus):
    assert dmelodies.verify(corpus) == "mini"
    factors = np.load(corpus / "factors.npy")
    assert factors.shape == (4000, 9)
    assert [len(np.unique(column)) for column in factors.T] == list(_dmelodies.FACTORS.values())


def test_all_melodies_are_those_of_the_release(tmp_path):
    dmelodies.download(tmp_path)
    assert dmelodies.verify(tmp_path) == "full"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 34e6
    before = (tmp_path / "tokens.npy").stat().st_mtime_ns
    dmelodies.download(tmp_path)
    assert (tmp_path / "tokens.npy").stat().st_mtime_ns == before
    reversed_ = changed(tmp_path, changed(tmp_path, tmp_path, "tokens", flip), "factors", flip)
    with pytest.raises(UserError, match="in the order of the release"):
        dmelodies.verify(reversed_)


def flip(table: np.ndarray) -> None:
    table[:] = table[::-1].copy()


def test_the_splits_are_dealt_out_with_a_seed(corpus, tmp_path):
    dmelodies.prepare(corpus, tmp_path, seeds=[0, 1])
    order = _dmelodies.split(1, 4000)
    tokens, factors = (np.load(corpus / f"{name}.npy") for name in ("tokens", "factors"))
    for split, count in {"train": 2800, "valid": 799, "test": 401}.items():  # the benchmark cuts as it rounds, down
        found = rows(tmp_path, f"dmelodies/seed1/{split}")
        np.testing.assert_array_equal(found, tokens[order[split]])
        np.testing.assert_array_equal(rows(tmp_path, f"dmelodies/seed1/{split}", "attributes"), factors[order[split]])
        assert len(found) == count
        np.testing.assert_array_equal(rows(tmp_path, f"dmelodies/seed1/tenth/{split}"), found[: count // 10])
        assert not np.array_equal(rows(tmp_path, f"dmelodies/seed0/{split}"), found)


def test_an_item_tells_what_its_numbers_mean(corpus, tmp_path):
    dmelodies.prepare(corpus, tmp_path)
    manifest = Manifest.open(tmp_path / "dmelodies/seed0/test.jsonl")
    assert manifest.header["edition"] == "mini"
    labels = manifest[0].labels
    assert dict(zip(labels["attributes"], labels["values"], strict=True))["rhythm_bar1"] == 28
    grid = TickGrid(tuple(labels["grid"]["ticks"]))
    tokens = np.array(labels["grid"]["tokens"])[_dmelodies.melodies([0])[0]]
    assert [(note.onset, note.duration, note.pitch) for note in grid.decode(tokens)][5:7] == [(30, 6, 72), (48, 6, 67)]


def test_the_same_seed_gives_the_same_melodies(corpus, tmp_path):
    for name, seed in {"same": 0, "other": 1}.items():
        dmelodies.make_mini(tmp_path / name, seed)
    first, same, other = (np.load(folder / "tokens.npy") for folder in (corpus, tmp_path / "same", tmp_path / "other"))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    dmelodies.make_mini(tmp_path / "other", 0)
    np.testing.assert_array_equal(np.load(tmp_path / "other" / "tokens.npy"), first)


def test_tables_that_do_not_follow_the_rule(corpus, tmp_path):
    def put(place, value):
        return lambda table: table.__setitem__(place, value)

    for name, change, told in [
        ("tokens", put((7, 3), 51), r"tokens\.npy: row 7: expected the melody of its factors"),
        ("factors", put((9, 1), 3), r"factors\.npy: row 9: octave: expected less than 3, found 3"),
    ]:
        with pytest.raises(UserError, match=told):
            dmelodies.verify(changed(corpus, tmp_path / name, name, change))
    twice = changed(corpus, tmp_path / "twice", "tokens", lambda table: put(5, table[4])(table))
    twice = changed(twice, twice, "factors", lambda table: put(5, table[4])(table))
    with pytest.raises(UserError, match="expected each melody once, found 3999 in 4000 rows"):
        dmelodies.verify(twice)


def test_tables_that_are_none(corpus, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        dmelodies.verify(tmp_path / "nowhere")
    tables.write(tmp_path / "factors.npy", np.zeros((2, 9), np.uint8))
    with pytest.raises(UserError, match=r"no such file: .*tokens\.npy\. Next: see egs/dmelodies/README\.md"):
        dmelodies.prepare(tmp_path, tmp_path / "data")
    tables.write(tmp_path / "tokens.npy", np.zeros((3, 16), np.uint8))
    with pytest.raises(UserError, match="expected as many rows of factors as of tokens, found 3 and 2"):
        dmelodies.verify(tmp_path)
    tables.write(tmp_path / "factors.npy", np.zeros((3, 9)))
    with pytest.raises(UserError, match=r"expected bytes in 9 columns, found float64 of shape \(3, 9\)"):
        dmelodies.verify(tmp_path)


def test_a_part_of_the_melodies_is_told_as_such(corpus, tmp_path):
    for name in dmelodies.COLUMNS:
        tables.write(tmp_path / f"{name}.npy", np.load(corpus / f"{name}.npy"))
    assert dmelodies.verify(tmp_path) == "partial (4,000 of 1,354,752 melodies)"


def test_names_of_manifests():
    assert dmelodies.options_for(["dmelodies/seed2/tenth/train", "dmelodies/seed0/test"]) == {"seeds": [0, 2]}
    assert dmelodies.options_for([]) == {}
    with pytest.raises(UserError, match="expected dmelodies/seed0/train"):
        dmelodies.options_for(["dmelodies/train"])
