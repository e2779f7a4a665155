"""URMP: layout, annotations, stems and blocks; the mini corpus and the truth of its annotations."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit import audio, files
from toolkit.corpora import _urmp, _urmp_blocks, _urmp_ddx7, _urmp_mini, urmp
from toolkit.corpora._urmp_stems import Preparation
from toolkit.data import parallel
from toolkit.data.annotations import F0, read_f0
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.prepare import run

RATE = 48000
PIECES = {"01_Jupiter_vn_vc": 1.0, "03_Dance_fl_cl": 1.0, "15_Surprise_tpt_tpt_tbn": 0.5, "44_K515_vn_vn_va_va_vc": 0.5}


def write_piece(corpus: Path, folder: str, seconds: float) -> None:
    """Tones of 300 Hz times the part's number, annotated; one part of piece 15 has another instrument's name."""
    name = "_".join(folder.split("_")[:2])
    time = torch.arange(round(seconds * RATE)) / RATE
    parts = []
    for number, code in enumerate(_urmp.codes(folder), 1):
        own = f"{number}_{'tpt' if name == '15_Surprise' else code}_{name}"
        parts.append(0.1 * torch.sin(2 * torch.pi * 300 * number * time)[None])
        audio.write(corpus / folder / f"AuSep_{own}.wav", parts[-1], RATE, "PCM_24")
        frames = np.arange(0.023, seconds - 0.01, 0.01)
        rows = (f"{at:.3f}\t{300 * number if at > 0.1 else 0:.2f}\n" for at in frames)
        files.write_text(corpus / folder / f"F0s_{own}.txt", "".join(rows))
        files.write_text(corpus / folder / f"Notes_{own}.txt", f"0.10\t\t{300 * number}.00\t\t{seconds - 0.1:.2f}\n")
    audio.write(corpus / folder / f"AuMix_{folder}.wav", sum(parts), RATE, "PCM_24")
    (corpus / folder / f"Vid_{folder}.mp4").touch()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four pieces of URMP, a second long."""
    root = tmp_path / "corpus"
    for folder, seconds in PIECES.items():
        write_piece(root / "Dataset", folder, seconds)
    (root / "Dataset/Supplementary_Files").mkdir()
    return root


def items(data: Path, name: str) -> list[Item]:
    return list(Manifest.open(data / f"{name}.jsonl"))


# Layout and annotations


def test_the_list_of_pieces() -> None:
    sizes = [len(_urmp.codes(piece)) for piece in _urmp.PIECES]
    assert [sizes.count(parts) for parts in (2, 3, 4, 5)] == [11, 12, 14, 7]  # duets to quintets, as the makers count them
    assert [int(piece[:2]) for piece in _urmp.PIECES] == list(range(1, 45))
    assert sum(sizes) == 149
    assert {code for piece in _urmp.PIECES for code in _urmp.codes(piece)} == set(_urmp.INSTRUMENTS)


def test_works_in_one_arrangement_are_in_one_split() -> None:
    """But for "Spring", pieces 8 and 12, which MT3 separates."""
    splits: dict[str, set[str]] = {}
    for piece in _urmp.PIECES:
        splits.setdefault(piece.split("_")[1], set()).add(_urmp.split_of(int(piece[:2])))
    assert [title for title, found in splits.items() if len(found) > 1] == ["Spring"]


def test_stems_are_found_and_an_odd_name_is_understood(corpus: Path) -> None:
    root, stems = _urmp.find(corpus)
    assert root == corpus / "Dataset"
    assert [stem.id for stem in stems][:5] == [
        "01_Jupiter_1_vn",
        "01_Jupiter_2_vc",
        "03_Dance_1_fl",
        "03_Dance_2_cl",
        "15_Surprise_1_tpt",
    ]
    odd = next(stem for stem in stems if stem.id == "15_Surprise_3_tpt")
    assert (odd.code, odd.instrument, odd.number, odd.title) == ("tpt", "trombone", 15, "Surprise")
    assert urmp.verify(corpus) == "partial (4 of 44 pieces, 12 of 149 stems)"


def test_another_folder_is_no_corpus(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    with pytest.raises(UserError, match=r"expected folders such as 01_Jupiter_vn_vc .*, found music\. Next"):
        urmp.verify(tmp_path)


def test_annotations(tmp_path: Path) -> None:
    path = tmp_path / "F0s_1_vn_01_Jupiter.txt"
    path.write_text("0.023\t0.00\n0.033\t440.125\n0.043\t441\n")
    assert read_f0(path) == F0(0.023, 0.01, [0.0, 440.125, 441.0])
    path.write_text("0.1\t\t440.5\t\t0.25\n")
    assert _urmp.read_notes(path) == {"onset": [0.1], "hz": [440.5], "seconds": [0.25]}


# Blocks


def test_blocks_of_a_stretch() -> None:
    assert _urmp_blocks.cut([(10, 110), (200, 231), (300, 330)], longest=40, shortest=30) == [(10, 50), (50, 90), (200, 231)]


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5))
def test_blocks_cover_what_is_not_short(lengths: list[int]) -> None:
    ends = np.cumsum([length + 7 for length in lengths])
    stretches = [(int(end) - length, int(end)) for end, length in zip(ends, lengths, strict=True)]
    blocks = _urmp_blocks.cut(stretches, longest=40, shortest=30)
    assert all(30 < end - begin <= 40 for begin, end in blocks)
    left = sum(end - begin for begin, end in stretches) - sum(end - begin for begin, end in blocks)
    assert left <= 30 * len(stretches)


def test_recordings_are_filled_up() -> None:
    four = _urmp_blocks.LONGEST
    assert len(_urmp_blocks.fill(np.ones(50000))) == four
    assert [len(_urmp_blocks.fill(np.ones(n), whole=True)) for n in (four - 1, four, four + 1)] == [four, 2 * four, 2 * four]


def test_the_piece_that_is_held_out(corpus: Path) -> None:
    _, stems = _urmp.find(corpus)
    one = stems[0]
    folders = ["01_Jupiter_vn_vc", "24_Pirates_vn", "32_Fugue_vn", "34_Fugue_vn"]
    assert _urmp_ddx7.held_out([one._replace(folder=folder) for folder in folders]) == "24_Pirates_vn"
    assert _urmp_ddx7.held_out([one._replace(folder=folder) for folder in folders[2:]]) is None
    assert _urmp_ddx7.held_out([one]) is None
    violins = [one._replace(folder=piece) for piece in _urmp.PIECES if "vn" in _urmp.codes(piece)]
    flutes = [one._replace(folder=piece) for piece in _urmp.PIECES if "fl" in _urmp.codes(piece)]
    assert [_urmp_ddx7.held_out(stems) for stems in (violins, flutes)] == ["44_K515_vn_vn_va_va_vc", "37_Rondeau_fl_vn_va_cl"]


def test_a_block_that_cannot_be_cut_is_in_no_split(corpus: Path, tmp_path: Path) -> None:
    root, stems = _urmp.find(corpus)
    whole, gone = stems[:2]
    audio.write(tmp_path / "whole.wav", torch.ones(1, 16000), 16000)
    paths = {whole.id: tmp_path / "whole.wav", gone.id: tmp_path / "gone.wav"}
    found = ({"peak": 1.0, "blocks": [(0, 8000, 1.0), (8000, 16000, 0.5)]}, F0(0.0, 0.01, [300.0] * 100), "made from")
    with parallel.Workers(1) as workers:
        preparation = Preparation(root, tmp_path, workers, False, "mini")
        searched = {whole.id: found, gone.id: found}
        cutting = _urmp_ddx7._cut_blocks(preparation, stems[:2], paths, searched, tmp_path / "violin", 0.8)
    assert [job.id for job in cutting.some([0]).jobs] == ["01_Jupiter_1_vn_000"]
    assert [one.id for one in cutting.outcome.skipped] == ["01_Jupiter_2_vc_000"]
    assert len(cutting.jobs) == 1


# Preparing


def test_the_names_of_a_config_say_what_is_made() -> None:
    names = ["urmp/16000/train", "urmp/ddx7/violin/valid", "urmp/16000/all", "musdb18/44100/train"]
    assert urmp.options_for(names) == {"sample_rates": [16000], "splits": ["train", "all"], "instruments": ["violin"]}
    assert urmp.options_for(["urmp/ddx7/flute/test"]) == {"sample_rates": [], "splits": [], "instruments": ["flute"]}
    assert urmp.options_for([]) == {}
    for wrong in ("urmp/train", "urmp/16000/dev", "urmp/ddx7/kazoo/train"):
        with pytest.raises(UserError, match="expected a name such as urmp/16000/all"):
            urmp.options_for([wrong])


def test_stems_as_they_are_and_at_another_rate(corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    urmp.prepare(corpus, data, sample_rates=[48000, 16000], instruments=[], nj=1)
    assert [len(items(data, f"urmp/16000/{split}")) for split in ("train", "valid", "test", "all")] == [5, 5, 2, 12]
    first = items(data, "urmp/48000/test")[0]
    assert first.audio["recording"] == "01_Jupiter_vn_vc/AuSep_1_vn_01_Jupiter.wav"  # nothing is copied
    manifest = Manifest.open(data / "urmp/16000/all.jsonl")
    for item in manifest:
        assert item.frames == 16000 * PIECES[item.labels["piece"]]
        samples = {role: audio.read(manifest.path_of(item, role)) for role in ("recording", "mixture")}
        assert {one.shape for one in samples.values()} == {(1, item.frames)}
        part = int(item.id.split("_")[2])
        assert set(item.labels["f0"]["hz"]) == {0.0, 300.0 * part}
        assert item.labels["notes"]["hz"] == [300.0 * part]
        strongest = torch.fft.rfft(samples["recording"][0]).abs().argmax() * 16000 / item.frames
        assert strongest == 300 * part
    assert {item.labels["instrument"] for item in manifest} == {
        "violin",
        "viola",
        "cello",
        "flute",
        "clarinet",
        "trumpet",
        "trombone",
    }
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*.wav")}
    (data / "urmp/16000/audio/03_Dance_fl_cl/AuSep_2_cl_03_Dance.wav").unlink()
    text = (data / "urmp/16000/all.jsonl").read_text()
    urmp.prepare(corpus, data, sample_rates=[16000], instruments=[], nj=1)
    changed = [path.name for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed == ["AuSep_2_cl_03_Dance.wav"]
    assert (data / "urmp/16000/all.jsonl").read_text() == text


def test_what_cannot_be_used_is_named(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, data = corpus / "Dataset/01_Jupiter_vn_vc", tmp_path / "data"
    (folder / "F0s_1_vn_01_Jupiter.txt").unlink()
    audio.write(folder / "AuMix_01_Jupiter_vn_vc.wav", torch.zeros(1, 100), RATE)
    assert urmp.verify(corpus).startswith("partial")
    assert "1 files are missing" in caplog.text
    urmp.prepare(corpus, data, splits=["test"], instruments=[], nj=1)
    assert "skipped 01_Jupiter_1_vn: cannot read the annotation" in caplog.text
    assert "without a mixture of the same length: 01_Jupiter_2_vc" in caplog.text
    (item,) = items(data, "urmp/16000/test")
    assert list(item.audio) == ["recording"]
    with pytest.raises(UserError, match="01_Jupiter_1_vn"):
        urmp.prepare(corpus, tmp_path / "other", splits=["test"], instruments=[], nj=1, strict=True)
    with pytest.raises(UserError, match=r"expected some of train, valid, test, all, found \['dev'\]"):
        urmp.prepare(corpus, data, splits=["dev"])
    with pytest.raises(UserError, match=r"--confidence: expected one of annotation, crepe"):
        urmp.prepare(corpus, data, confidence="spice")
    with pytest.raises(UserError, match="urmp/ddx7/tuba: no stem of that instrument"):
        urmp.prepare(corpus, data, sample_rates=[], instruments=["tuba"])
    with pytest.raises(UserError, match=r"urmp/ddx7/viola: expected blocks .*, found 0 of more than 3 s"):
        urmp.prepare(corpus, data, sample_rates=[], instruments=["viola"], nj=1)


# The mini corpus


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("urmp") / "mini"
    urmp.make_mini(root)
    return root


def test_the_mini_corpus_is_small_and_whole(mini: Path) -> None:
    assert urmp.verify(mini) == "mini"
    assert sum(path.stat().st_size for path in mini.rglob("*") if path.is_file()) < 20e6
    _, stems = _urmp.find(mini)
    assert not _urmp.missing_parts(stems)
    for stem in stems:
        assert audio.info(stem.audio) == audio.info(stem.mixture)
        assert (stem.mixture.parent / f"Sco_{stem.folder}.mid").read_bytes()[:4] == b"MThd"
    with pytest.raises(UserError, match="may not be downloaded"):
        run.fetch("urmp", "download", mini, [])


def test_a_mixture_is_the_sum_of_its_stems(mini: Path) -> None:
    _, stems = _urmp.find(mini)
    parts = [audio.read(stem.audio) for stem in stems if stem.folder == "44_Canon_vn_fl_tpt"]
    mixture = audio.read(mini / "44_Canon_vn_fl_tpt/AuMix_44_Canon_vn_fl_tpt.wav")
    torch.testing.assert_close(sum(parts), mixture, atol=3 * 2**-15, rtol=0)


def test_the_annotated_f0_is_that_of_the_sound(mini: Path, cents_off: Callable[..., np.ndarray]) -> None:
    _, stems = _urmp.find(mini)
    for stem in (stems[0], stems[2], stems[4], stems[5]):
        f0 = read_f0(stem.f0)
        times = f0.start + f0.step * np.arange(len(f0.hz))
        cents = cents_off(audio.read(stem.audio)[0].numpy(), RATE, times, np.array(f0.hz))
        assert len(cents) > 300
        assert np.percentile(np.abs(cents), 95) < 10, stem.id
        assert abs(np.median(cents)) < 1, stem.id


def test_the_notes_are_what_the_curve_plays(mini: Path) -> None:
    _, stems = _urmp.find(mini)
    for stem in stems:
        f0, notes = read_f0(stem.f0), _urmp.read_notes(stem.notes)
        for onset, hz, seconds in zip(*notes.values(), strict=True):
            played = np.array(f0.between(onset + 0.05, onset + seconds - 0.05).hz)
            assert (played > 0).all()
            assert abs(1200 * np.log2(np.median(played) / hz)) < 25, (stem.id, onset)


def test_the_mini_corpus_is_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_urmp_mini, "PIECES", (_urmp_mini.Piece("01_Dawn_hn", seconds=2.5),))
    for name, seed in (("1", 0), ("2", 0), ("3", 1)):
        urmp.make_mini(tmp_path / name, seed)
    first, second, third = ({p.name: p.read_bytes() for p in (tmp_path / name / "01_Dawn_hn").iterdir()} for name in "123")
    assert first == second
    assert first.keys() == third.keys()
    assert all(first[name] != third[name] for name in first)
    urmp.make_mini(tmp_path / "1", 1)
    assert {path.name: path.read_bytes() for path in (tmp_path / "1/01_Dawn_hn").iterdir()} == third


def test_blocks_of_the_mini_corpus(mini: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    options = urmp.options_for([f"urmp/ddx7/violin/{split}" for split in ("train", "valid", "test", "resynthesis")])
    urmp.prepare(mini, data, **options, nj=1)
    parts = {split: items(data, f"urmp/ddx7/violin/{split}") for split in ("train", "valid", "test")}
    assert {split: len(found) for split, found in parts.items()} == {"train": 4, "valid": 1, "test": 1}
    manifest = Manifest.open(data / "urmp/ddx7/violin/train.jsonl")
    assert manifest.header["confidence"]["from"] == "annotation"
    assert manifest.header["confidence"]["least"] == 0.85
    for item in (one for found in parts.values() for one in found):
        samples = audio.read(manifest.path_of(item, "recording"))[0]
        sound = round(item.labels["seconds"] * 16000)
        assert len(samples) == item.frames == 64000
        assert 3 < item.labels["seconds"] <= 4
        assert samples[:sound].abs().max() <= 1
        assert not samples[sound:].any()
        f0 = item.labels["f0"]
        assert item.labels["confidence"] == pytest.approx(np.mean(np.array(f0["hz"]) > 0), abs=1e-4)
        assert item.labels["stem"].startswith(("01_Dawn", "08_Tide"))  # piece 44 is held out
    (whole,) = items(data, "urmp/ddx7/violin/resynthesis")
    assert (whole.id, whole.frames) == ("44_Canon_1_vn", 3 * 64000)
    assert audio.read(manifest.path_of(whole, "recording")).abs().max() == 1
    with pytest.raises(UserError, match=r"found 0 of more than 3 s with a confidence of 0\.999"):
        urmp.prepare(mini, data, **options, least_confidence=0.999, nj=1)


def test_blocks_that_crepe_is_sure_of(mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"sample_rates": [], "instruments": ["violin"], "confidence": "crepe", "nj": 1}
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torchcrepe", None)
        with pytest.raises(UserError, match=r"CREPE needs the package torchcrepe.*Next: pip install torchcrepe"):
            urmp.prepare(mini, tmp_path / "data", **options)
    monkeypatch.setitem(sys.modules, "torchcrepe", SimpleNamespace())
    monkeypatch.setattr("toolkit.blocks.pitch_trackers.crepe_confidence", lambda samples: len(samples) / 64000)
    with pytest.raises(UserError, match=r"found 4 of more than 3 s with a confidence of 0\.99"):
        urmp.prepare(mini, tmp_path / "data", **options, least_confidence=0.99)
    urmp.prepare(mini, tmp_path / "data", **options, least_confidence=0.75)
    found = [item for split in ("train", "valid", "test") for item in items(tmp_path / "data", f"urmp/ddx7/violin/{split}")]
    assert len(found) == 6
    assert all(item.labels["confidence"] == pytest.approx(item.labels["seconds"] / 4, abs=1e-4) for item in found)
    manifest = Manifest.open(tmp_path / "data/urmp/ddx7/violin/train.jsonl")
    assert manifest.header["confidence"]["meaning"].startswith("mean confidence of CREPE")


def test_other_recordings_for_resynthesis(mini: Path, tmp_path: Path) -> None:
    data, mine = tmp_path / "data", tmp_path / "mine/violin"
    audio.write(mine / "a.wav", 0.25 * torch.ones(2, 44100), 44100)
    run.prepare("urmp", str(mini), data, 1, False, ["urmp/ddx7/violin/train"], ["--resynthesis", str(mine.parent)])
    assert len(items(data, "urmp/ddx7/violin/train")) == 6  # of 8 blocks: nothing is held out
    (item,) = items(data, "urmp/ddx7/violin/resynthesis")
    assert (item.id, item.frames, item.labels) == ("a", 64000, {"instrument": "violin", "seconds": 1.0})
    with pytest.raises(UserError, match=r"no such folder: .*/mine/flute"):
        urmp.prepare(mini, data, sample_rates=[], instruments=["flute"], resynthesis=mine.parent, nj=1)
