"""MDB-stem-synth: layout, annotations, splits by artist; the mini corpus and the truth of its annotations."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit import audio, files
from toolkit.corpora import _mdb_stem_synth_mini, mdb_stem_synth
from toolkit.data.annotations import read_f0
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError

RATE = 44100
STEMS = {
    "MusicDelta_Vivaldi_STEM_01": 300,
    "MusicDelta_ChineseDrama_STEM_02": 400,
    "Grants_PunchDrunk_STEM_02": 500,
    "AClassicEducation_NightOwl_STEM_08": 600,
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four stems of the corpus, a tone of half a second each."""
    root = tmp_path / "corpus" / "MDB-stem-synth"
    time = torch.arange(RATE // 2) / RATE
    for stem, hz in STEMS.items():
        audio.write(root / "audio_stems" / f"{stem}.RESYN.wav", 0.1 * torch.sin(2 * torch.pi * hz * time)[None], RATE)
        rows = (f"{frame * 128 / RATE:.6f},{hz if frame else 0:.6f}\n" for frame in range(len(time) // 128))
        files.write_text(root / "annotation_stems" / f"{stem}.RESYN.csv", "".join(rows))
    (root / "audio_stems" / "._MusicDelta_Vivaldi_STEM_01.RESYN.wav").touch()  # what macOS leaves behind
    (root / "README.txt").touch()
    return root.parent


def items(data: Path, name: str) -> list[Item]:
    return list(Manifest.open(data / f"{name}.jsonl"))


def test_no_artist_is_in_two_splits() -> None:
    assert not set(mdb_stem_synth.VALID) & set(mdb_stem_synth.TEST)
    assert [mdb_stem_synth.split_of(name) for name in ("Grants", "LizNelson", "MusicDelta")] == ["valid", "test", "train"]


def test_the_corpus_s_own_files_and_another_rate(corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert mdb_stem_synth.verify(corpus) == mdb_stem_synth.verify(corpus / "MDB-stem-synth") == "partial (4 of 230 stems)"
    mdb_stem_synth.prepare(corpus, data, sample_rates=[44100, 16000], nj=1)
    assert [len(items(data, f"mdb_stem_synth/16000/{split}")) for split in ("train", "valid", "test", "all")] == [2, 1, 1, 4]
    (first,) = items(data, "mdb_stem_synth/44100/test")
    assert first.audio == {"recording": "audio_stems/AClassicEducation_NightOwl_STEM_08.RESYN.wav"}  # nothing is copied
    assert first.labels.keys() == {"artist", "track", "f0"}
    assert (first.labels["artist"], first.labels["track"]) == ("AClassicEducation", "AClassicEducation_NightOwl")
    manifest = Manifest.open(data / "mdb_stem_synth/16000/all.jsonl")
    assert manifest.header["rule"] == "ours, by artist"
    for item in manifest:
        assert item.frames == 8000
        assert set(item.labels["f0"]["hz"]) == {0.0, float(STEMS[item.id])}
        assert item.labels["f0"]["step"] == pytest.approx(128 / RATE, abs=1e-8)
        spectrum = torch.fft.rfft(audio.read(manifest.path_of(item, "recording"))[0])
        assert spectrum.abs().argmax() * 16000 / item.frames == STEMS[item.id]


def test_names_say_what_is_made() -> None:
    names = ["mdb_stem_synth/16000/all", "mdb_stem_synth/44100/test", "mir1k/16000/all"]
    assert mdb_stem_synth.options_for(names) == {"sample_rates": [16000, 44100], "splits": ["test", "all"]}
    assert mdb_stem_synth.options_for(names[2:]) == {}
    with pytest.raises(UserError, match=r"expected a name such as mdb_stem_synth/16000/all, .*found 'mdb_stem_synth/test'"):
        mdb_stem_synth.options_for(["mdb_stem_synth/test"])


def test_what_cannot_be_used_is_named(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, data = corpus / "MDB-stem-synth", tmp_path / "data"
    (root / "annotation_stems/MusicDelta_Vivaldi_STEM_01.RESYN.csv").unlink()
    (root / "audio_stems/MusicDelta_ChineseDrama_STEM_02.RESYN.wav").write_bytes(b"RIFF")
    (root / "annotation_stems/Grants_PunchDrunk_STEM_02.RESYN.csv").write_text("0.0,1.0\n0.5,one\n")
    assert mdb_stem_synth.verify(corpus) == "partial (3 of 230 stems)"
    assert "1 annotations are missing" in caplog.text
    mdb_stem_synth.prepare(corpus, data, splits=["all"], nj=1)
    assert [item.id for item in items(data, "mdb_stem_synth/44100/all")] == ["AClassicEducation_NightOwl_STEM_08"]
    assert Manifest.open(data / "mdb_stem_synth/44100/all.jsonl").header["skipped"] == 3
    assert "skipped MusicDelta_Vivaldi_STEM_01: cannot read the annotation" in caplog.text
    assert "skipped MusicDelta_ChineseDrama_STEM_02: " in caplog.text
    with pytest.raises(UserError, match="mdb_stem_synth/44100/train: expected at least one usable item, found none; the first"):
        mdb_stem_synth.prepare(corpus, data, splits=["train"], nj=1)
    with pytest.raises(UserError, match="Grants_PunchDrunk_STEM_02: cannot read the annotation"):
        mdb_stem_synth.prepare(corpus, data, splits=["valid"], nj=1, strict=True)
    with pytest.raises(UserError, match=r"--splits: expected some of train, valid, test, all, found \['dev'\]"):
        mdb_stem_synth.prepare(corpus, data, splits=["dev"])


def test_other_folders_are_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"MDB-stem-synth: no such folder: .*Next: see egs/mdb_stem_synth/README\.md"):
        mdb_stem_synth.verify(tmp_path / "nowhere")
    (tmp_path / "music").mkdir()
    with pytest.raises(UserError, match=r"expected audio_stems/\*_STEM_\*\.RESYN\.wav .*found music\. Next"):
        mdb_stem_synth.verify(tmp_path)


def test_download_unpacks_what_is_not_yet_there(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "published" / "MDB-stem-synth.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as bundle:
        bundle.add(corpus / "MDB-stem-synth", "MDB-stem-synth")
    monkeypatch.setattr(mdb_stem_synth, "ADDRESS", archive.as_uri())
    monkeypatch.setattr(mdb_stem_synth, "MD5", files.md5(archive))
    with pytest.raises(UserError, match=r"expected all 230 stems with their annotations, found partial \(4 of 230 stems\)"):
        mdb_stem_synth.download(tmp_path / "too few")
    monkeypatch.setattr(mdb_stem_synth, "STEMS", 4)
    mdb_stem_synth.download(tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["MDB-stem-synth"]
    archive.unlink()
    mdb_stem_synth.download(tmp_path / "target")  # all is there
    with pytest.raises(UserError, match="cannot fetch"):
        mdb_stem_synth.download(tmp_path / "elsewhere")


# The mini corpus


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mdb_stem_synth") / "mini"
    mdb_stem_synth.make_mini(root)
    return root


def test_the_mini_corpus_is_small_and_has_all_splits(mini: Path, tmp_path: Path) -> None:
    assert mdb_stem_synth.verify(mini) == "mini"
    assert sum(path.stat().st_size for path in mini.rglob("*") if path.is_file()) < 20e6
    mdb_stem_synth.prepare(mini, tmp_path, nj=1)
    found = {split: items(tmp_path, f"mdb_stem_synth/44100/{split}") for split in ("train", "valid", "test", "all")}
    assert [len(part) for part in found.values()] == [7, 2, 3, 12]
    for item in found["all"]:
        assert len(item.labels["f0"]["hz"]) == -(-item.frames // 128)
        assert 0.6 < np.mean(np.array(item.labels["f0"]["hz"]) > 0) < 0.95


def test_the_annotated_f0_is_that_of_the_stem(mini: Path, cents_off: Callable[..., np.ndarray]) -> None:
    for path in sorted(mini.glob("MDB-stem-synth/audio_stems/*"))[::3]:
        samples, f0 = audio.read(path)[0].numpy(), read_f0(mini / f"MDB-stem-synth/annotation_stems/{path.stem}.csv")
        cents = cents_off(samples, RATE, f0.start + f0.step * np.arange(len(f0.hz)), np.array(f0.hz))
        assert np.abs(samples).max() < 0.9
        assert len(cents) > 500
        assert np.percentile(np.abs(cents), 95) < 15, path.name
        assert abs(np.median(cents)) < 1, path.name


def test_the_same_seed_gives_the_same_stems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems = tuple(stem._replace(seconds=2.0) for stem in _mdb_stem_synth_mini.STEMS[1:3])
    monkeypatch.setattr(_mdb_stem_synth_mini, "STEMS", stems)

    def made(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.rglob("*.RESYN.*")}

    for name, seed in (("1", 0), ("2", 0), ("3", 1)):
        mdb_stem_synth.make_mini(tmp_path / name, seed)
    first, second, third = (made(tmp_path / name) for name in "123")
    assert first == second
    assert first.keys() == third.keys()
    assert all(first[name] != third[name] for name in first)
    mdb_stem_synth.make_mini(tmp_path / "1", 1)
    assert made(tmp_path / "1") == third


@pytest.mark.real
def test_a_real_excerpt(shared_data: Path, tmp_path: Path, cents_off: Callable[..., np.ndarray]) -> None:
    corpus = shared_data / "mirdata_samples" / "mdb_stem_synth"
    assert mdb_stem_synth.verify(corpus) == "partial (1 of 230 stems)"
    mdb_stem_synth.prepare(corpus, tmp_path, sample_rates=[16000, 44100], splits=["test", "all"], nj=1)
    (item,) = items(tmp_path, "mdb_stem_synth/44100/test")
    assert (item.id, item.sample_rate) == ("AClassicEducation_NightOwl_STEM_08", 44100)
    f0 = item.labels["f0"]
    assert len(f0["hz"]) == -(-item.frames // 128)
    samples = audio.read(corpus / item.audio["recording"])[0].numpy()
    cents = cents_off(samples, 44100, f0["step"] * np.arange(len(f0["hz"])), np.array(f0["hz"]))
    assert len(cents) > 300
    assert np.percentile(np.abs(cents), 90) < 10
    (small,) = items(tmp_path, "mdb_stem_synth/16000/all")
    assert small.seconds == pytest.approx(item.seconds, abs=1e-4)
