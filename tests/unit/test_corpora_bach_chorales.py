"""Sopranos of chorales, and sprites, as corpora: a folder, manifests, tables."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from toolkit.corpora import _sprites, bach_chorales, sprites
from toolkit.data import tables
from toolkit.data.manifest import Manifest
from toolkit.dsp.bar_attributes import attributes
from toolkit.dsp.tick_grid import TickGrid
from toolkit.log import UserError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chorales")
    bach_chorales.make_mini(folder)
    return folder


class TestChoraleCorpus:
    def test_from_sopranos_to_tables(self, corpus: Path, tmp_path: Path) -> None:
        assert bach_chorales.verify(corpus) == "mini"
        bach_chorales.fetch(corpus, tmp_path)
        bach_chorales.prepare(corpus, tmp_path)
        found = {s: Manifest.open(tmp_path / f"bach_chorales/all_meters/{s}.jsonl") for s in ("train", "valid", "test")}
        rows = {split: manifest[0].frames for split, manifest in found.items()}
        assert rows["test"] * 14 == pytest.approx(rows["train"], rel=0.02)
        manifest, item = found["test"], found["test"][0]
        tokens = tables.read(manifest, item, "tokens")
        grid = item.labels["grid"]
        assert tokens.max() < len(grid["tokens"]) < 80
        on_grid = np.array(grid["tokens"], np.uint8)[tokens]
        assert len(TickGrid(tuple(grid["ticks"])).decode(on_grid[0])) > 0
        assert item.labels["attributes"] == ["rhythmic_complexity", "pitch_range", "note_density", "contour"]
        np.testing.assert_array_equal(tables.read(manifest, item, "attributes"), attributes(on_grid))

    def test_other_bars_of_the_same_number_are_other_data(self, corpus: Path, tmp_path: Path) -> None:
        head, *lines = (corpus / "chorales.jsonl").read_text().splitlines()
        found = []
        for order in (lines, lines[::-1]):
            (tmp_path / "chorales.jsonl").write_text("\n".join([head, *order]) + "\n")
            bach_chorales.prepare(tmp_path, tmp_path / "data")
            found.append(Manifest.open(tmp_path / "data/bach_chorales/all_meters/train.jsonl"))
        assert found[0].content() == found[1].content()
        assert found[0].header["fingerprint"] != found[1].header["fingerprint"]

    def test_names_of_manifests(self) -> None:
        assert bach_chorales.options_for(["bach_chorales/common_time/valid", "other/train"]) == {}
        with pytest.raises(UserError, match="expected bach_chorales/all_meters or bach_chorales/common_time"):
            bach_chorales.options_for(["bach_chorales/3by4/train"])

    def test_what_is_no_chorale_is_skipped_and_named(
        self, corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        lines = (corpus / "chorales.jsonl").read_text().splitlines()
        broken = json.loads(lines[3]) | {"fifths": [0]}
        (tmp_path / "chorales.jsonl").write_text("\n".join([*lines[:3], json.dumps(broken), *lines[4:]]) + "\n")
        with caplog.at_level(logging.WARNING):
            bach_chorales.prepare(tmp_path, tmp_path / "data")
        assert "skipped mini/2: line 4 of chorales.jsonl is no chorale: expected as many tokens as fifths" in caplog.text
        header = Manifest.open(tmp_path / "data/bach_chorales/common_time/train.jsonl").header
        assert (header["skipped"], header["edition"]) == (1, "partial (15 sopranos of another source)")
        with pytest.raises(UserError, match=r"is no chorale.*Next:"):
            bach_chorales.prepare(tmp_path, tmp_path / "data", strict=True)

    def test_another_folder(self, tmp_path: Path) -> None:
        (tmp_path / "readme.txt").touch()
        with pytest.raises(UserError, match=r"expected chorales\.jsonl, found none"):
            bach_chorales.verify(tmp_path)
        (tmp_path / "chorales.jsonl").write_text('{"source": "music21 1", "edition": -1}\n')
        with pytest.raises(UserError, match="expected chorales of edition 1"):
            bach_chorales.verify(tmp_path)


class TestSpriteCorpus:
    def test_pictures_of_factors(self, tmp_path: Path) -> None:
        sprites.make_mini(tmp_path / "corpus")
        assert sprites.verify(tmp_path / "corpus") == "mini"
        sprites.prepare(tmp_path / "corpus", tmp_path)
        manifest = Manifest.open(tmp_path / "sprites/test.jsonl")
        pictures = tables.read(manifest, manifest[0], "pictures")
        numbers = _sprites.split()["test"][:256]
        assert np.array_equal(np.unpackbits(pictures, axis=-1), _sprites.render(numbers))
        values = tables.read(manifest, manifest[0], "attributes")
        np.testing.assert_array_equal(values, _sprites.values(_sprites.factors(numbers)))
        assert manifest[0].labels["attributes"] == ["shape", "scale", "orientation", "position_x", "position_y"]

    def test_sizes_are_the_released_shares(self) -> None:
        assert sprites.FULL == {"train": 516_095, "valid": 147_456, "test": 36_864}
        assert sum(len(part) for part in _sprites.split().values()) == sum(sprites.FULL.values())
        sprites.options_for(["sprites/train"])
        with pytest.raises(UserError, match="expected sprites"):
            sprites.options_for(["sprites/colour/train"])
