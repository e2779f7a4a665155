"""Corpora of a mere rule: quadrants and three normal distributions as manifests, drawn when they are asked for."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from toolkit import files
from toolkit.corpora import _rules, quadrants, three_gaussians
from toolkit.data.manifest import Manifest
from toolkit.log import UserError

CORPORA = pytest.mark.parametrize("corpus", [quadrants, three_gaussians])


def prepared(corpus: ModuleType, place: Path, name: str) -> Manifest:
    corpus.make_mini(place / "corpus")
    corpus.prepare(place / "corpus", place / "data")
    return Manifest.open(place / "data" / f"{name}.jsonl")


@CORPORA
def test_a_folder_tells_its_edition(corpus: ModuleType, tmp_path: Path) -> None:
    corpus.make_mini(tmp_path)
    assert corpus.verify(tmp_path) == "mini"
    before = (tmp_path / _rules.RULE).stat().st_mtime_ns
    corpus.make_mini(tmp_path)
    assert (tmp_path / _rules.RULE).stat().st_mtime_ns == before
    corpus.download(tmp_path)
    assert corpus.verify(tmp_path) == "full"
    rule = files.read_json(tmp_path / _rules.RULE)
    files.write_json(tmp_path / _rules.RULE, {**rule, "sizes": {**rule["sizes"], "samples": 7}})
    assert corpus.verify(tmp_path) == "partial (other sizes)"


@CORPORA
def test_other_folders_are_refused(corpus: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        corpus.verify(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"expected rule\.json, found none"):
        corpus.verify(tmp_path)
    files.write_json(tmp_path / _rules.RULE, {"rule": "spirals", "version": 1, "seed": 0, "sizes": {}})
    with pytest.raises(UserError, match="expected the rule"):
        corpus.prepare(tmp_path, tmp_path / "data")


def test_names_of_manifests_are_checked() -> None:
    assert quadrants.options_for(["quadrants/train", "nothing/of/ours"]) == {}
    assert three_gaussians.options_for(["three_gaussians/fast/moving/test"]) == {}
    with pytest.raises(UserError, match="expected quadrants, each followed by /train"):
        quadrants.options_for(["quadrants/dev"])


def test_quadrants_have_an_item_for_each_input(tmp_path: Path) -> None:
    test = prepared(quadrants, tmp_path, "quadrants/test")
    assert [item.labels["t"] for item in test] == np.linspace(0, 1, 9).tolist()
    draws = quadrants.draw(test[2])
    assert (draws.t == 0.25).all()
    assert len(draws.t) == test[2].frames == 200
    np.testing.assert_array_equal(draws.targets, quadrants.draw(test[2]).targets)
    assert not np.array_equal(draws.targets[:, 0], quadrants.draw(test[6]).targets[:, 0])


def test_training_samples_follow_from_further_seeds(tmp_path: Path) -> None:
    train = prepared(quadrants, tmp_path, "quadrants/train")
    item = train[0]
    assert (item.audio, item.seconds, train.header["edition"]) == ({}, 0, "mini")
    one, again, other = (quadrants.draw(item, seeds) for seeds in ((0, 1), (0, 1), (0, 2)))
    np.testing.assert_array_equal(one.t, again.t)
    assert not np.array_equal(one.t, other.t)
    valid = Manifest.open(tmp_path / "data/quadrants/valid.jsonl")
    assert quadrants.draw(valid[0]).t[0] != quadrants.draw(item).t[0]


@pytest.mark.parametrize(("variant", "moving"), [("fixed", False), ("moving", True), ("fast/moving", True)])
def test_three_gaussians_by_variant(variant: str, moving: bool, tmp_path: Path) -> None:
    test = prepared(three_gaussians, tmp_path, f"three_gaussians/{variant}/test")
    spreads = [three_gaussians.draw(item).targets.std() for item in test]
    assert (spreads[2] > 2 * spreads[0]) == moving
    assert len(three_gaussians.draw(Manifest.open(test.path.with_name("train.jsonl"))[0]).t) == 3000


def test_the_notebook_has_one_input(tmp_path: Path) -> None:
    test = prepared(three_gaussians, tmp_path, "three_gaussians/notebook/test")
    assert [item.labels["t"] for item in test] == [0]
    assert np.abs(three_gaussians.draw(test[0]).targets).max() > 2
