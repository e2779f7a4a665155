"""Corpora of sequences: mixtures of Markov chains, which are a rule, and folk tunes in ABC notation."""

from pathlib import Path

import numpy as np
import pytest

from toolkit.corpora import _markov_mixtures, _nottingham, markov_mixtures, nottingham
from toolkit.data.manifest import Manifest
from toolkit.log import UserError


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chains")
    markov_mixtures.make_mini(folder / "corpus")
    markov_mixtures.prepare(folder / "corpus", folder)
    return folder


@pytest.fixture(scope="module")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tunes")
    nottingham.make_mini(folder / "corpus")
    nottingham.prepare(folder / "corpus", folder)
    return folder


def manifests(data: Path, name: str) -> list[Manifest]:
    return [Manifest.open(data / f"{name}/{split}.jsonl") for split in ("train", "valid", "test")]


def test_a_split_of_a_mixture_is_one_item_that_is_drawn(chains):
    opened = manifests(chains, "markov_mixtures/transition2/64/stationary")
    assert [manifest[0].frames for manifest in opened] == [6400, 200, 400]
    drawn = [markov_mixtures.draw(manifest[0], count=50).tokens for manifest in opened]
    assert all(tokens.shape == (50, 64) for tokens in drawn)
    assert not np.array_equal(drawn[0], drawn[1])
    again = Manifest.open(chains / "markov_mixtures/transition2/64/stationary/train.jsonl")[0]
    assert np.array_equal(markov_mixtures.draw(again, count=50).tokens, drawn[0])
    assert not np.array_equal(markov_mixtures.draw(again, (7,), count=50).tokens, drawn[0])
    np.testing.assert_allclose(again.labels["transitions"], _markov_mixtures.MIXTURES["transition2"])


def test_sequences_begin_as_their_manifest_says(chains):
    for beginning in ("stationary", "uniform"):
        item = Manifest.open(chains / f"markov_mixtures/transition1/32/{beginning}/train.jsonl")[0]
        tokens, drawn = markov_mixtures.draw(item, count=4000)
        for chain, law in enumerate(item.labels["initial"]):
            assert tokens[drawn == chain, 0].mean() == pytest.approx(law[1], abs=0.04)


def test_the_full_mixtures_have_published_lengths(tmp_path):
    markov_mixtures.download(tmp_path / "corpus")
    markov_mixtures.fetch(tmp_path / "corpus", tmp_path)
    assert markov_mixtures.verify(tmp_path / "corpus") == "full"
    assert markov_mixtures.options_for(["markov_mixtures/transition1/32/uniform/test", "musdb18/44100/test"]) == {}
    with pytest.raises(UserError, match="expected markov_mixtures/transition1/32/stationary"):
        markov_mixtures.options_for(["markov_mixtures/transition1/64/uniform/test"])


def test_a_tune_is_an_item_and_its_text_a_label(tunes):
    opened = manifests(tunes, "nottingham/abc")
    assert sum(map(len, opened)) == 120
    assert opened[0].header["edition"] == "mini"
    titles = [{item.labels["title"] for item in manifest} for manifest in opened]
    assert not titles[0] & titles[1]
    assert not titles[0] & titles[2]
    for item in opened[0]:
        text, prompt = item.labels["text"], item.labels["prompt"]
        assert text.startswith(prompt)
        assert prompt.split("\n")[-2].startswith("K:")
        assert (item.labels["meter"], item.frames) == (text.split("\n")[0].removeprefix("M:"), len(text))


def test_melodies_have_no_chord_symbols(tunes):
    chords, melodies = (list(manifests(tunes, f"nottingham/{variant}")[2]) for variant in ("abc", "melody"))
    assert all('"' in item.labels["text"] for item in chords)
    assert not any('"' in item.labels["text"] for item in melodies)
    assert [item.id for item in chords] == [item.id for item in melodies]


def test_what_stands_twice_is_taken_once(tmp_path):
    tune = "X:1\nT:One\nM:3/4\nK:G\nGBd|\n\n"
    others = "".join(f"X:{n}\nT:Tune {n}\nM:3/4\nK:G\n{'GBd|' * n}\n\n" for n in range(2, 60))
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/jigs.abc").write_text(tune + others)
    (tmp_path / "corpus/slip.abc").write_text(tune.replace("T:One", "T:Another"))
    assert nottingham.verify(tmp_path / "corpus") == "partial (2 of 14 files)"
    nottingham.prepare(tmp_path / "corpus", tmp_path)
    found = [item for manifest in manifests(tmp_path, "nottingham/abc") for item in manifest]
    assert len(found) == 59
    assert "slip.abc/1" not in {item.id for item in found}


def test_all_files_make_the_full_corpus(tmp_path):
    for name in _nottingham.FILES:
        (tmp_path / "ABC_cleaned").mkdir(exist_ok=True)
        (tmp_path / "ABC_cleaned" / name).write_text(f"X:1\nT:{name}\nM:3/4\nK:G\nGBd|\n")
    assert nottingham.verify(tmp_path) == "full"
    (tmp_path / "ABC_cleaned" / "mine.abc").write_text("X:1\nT:Mine\nK:G\nGBd|\n")
    assert nottingham.verify(tmp_path) == "partial (14 of 14 files, 1 others)"
    (tmp_path / "ABC_cleaned" / "LOUD.ABC").write_text("X:1\nK:C\nCDEF|\n")
    assert nottingham.verify(tmp_path) == "partial (14 of 14 files, 2 others)"


def test_another_seed_makes_other_tunes(tmp_path):
    for seed in (0, 1):
        nottingham.make_mini(tmp_path, seed)
        assert nottingham.verify(tmp_path) == "mini"
    assert (tmp_path / "ABC_cleaned/jigs.abc").is_file()


def test_mistakes_with_tunes_are_told(tmp_path):
    with pytest.raises(UserError, match=r"egs/nottingham/README\.md"):
        nottingham.prepare(tmp_path / "nowhere", tmp_path)
    nottingham.make_mini(tmp_path / "corpus")
    with pytest.raises(UserError, match=r"jigs.abc/999: no key"):
        nottingham.prepare(tmp_path / "corpus", tmp_path, strict=True)
    with pytest.raises(UserError, match="expected nottingham/abc or nottingham/melody"):
        nottingham.options_for(["nottingham/chords/train"])
