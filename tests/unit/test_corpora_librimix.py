"""LibriMix: from LibriSpeech, whole or in part, to mixtures, on a corpus of a few short noises."""

import hashlib
import random
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from toolkit import audio, files
from toolkit.corpora import _librimix_metadata, _librimix_mini, _librispeech, librimix
from toolkit.corpora._librimix_metadata import Measured, Mixture
from toolkit.data.manifest import Manifest
from toolkit.dsp.loudness import integrated_loudness
from toolkit.log import UserError

UTTERANCES = {
    "train-clean-100": ("19-1-0000", "19-1-0001", "26-2-0000", "27-3-0000"),
    "dev-clean": ("84-5-0000", "174-6-0000"),
    "test-clean": ("61-7-0000", "121-8-0000"),
}


def noise(name: str, seconds: float = 0.0) -> np.ndarray:
    """(time,), values of 16-bit PCM at 16 kHz, between 0.5 and 0.75 s."""
    rng = np.random.default_rng([ord(letter) for letter in name])
    samples = 0.05 * rng.standard_normal(int(16000 * seconds) or rng.integers(8000, 12000))
    return (np.rint(samples * 2**15) / 2**15).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = 16000) -> None:
    audio.write(path, torch.from_numpy(np.atleast_2d(samples)), rate)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """As the archives of openslr.org unpack."""
    root = tmp_path / "corpus"
    for subset, names in UTTERANCES.items():
        for name in names:
            speaker, chapter, _ = name.split("-")
            write(root / "LibriSpeech" / subset / speaker / chapter / f"{name}.flac", noise(name))
    return root


@pytest.fixture
def whole(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Published tables that fit the corpus, which is told to be whole."""
    counts = {name: _librispeech.Subset(len(names), "") for name, names in UTTERANCES.items()}
    monkeypatch.setattr(_librispeech, "SUBSETS", _librispeech.SUBSETS | counts)
    rows = {"train-clean-100": [("19-1-0001", "26-2-0000")], "dev-clean": [("84-5-0000", "174-6-0000")]}
    rows["test-clean"] = [("61-7-0000", "121-8-0000")]
    monkeypatch.setattr(_librimix_metadata, "ROWS", {2: dict.fromkeys(rows, 1)})
    found = _librispeech.index(corpus)
    for subset, pairs in rows.items():
        mixtures = [Mixture(tuple(map(_librispeech.key, pair)), (0.5, 2.25)) for pair in pairs]
        path = tmp_path / "published/Libri2Mix" / _librimix_metadata.file_name(2, subset)
        _librimix_metadata.write(path, 2, mixtures, found[subset], corpus / "LibriSpeech")
    return tmp_path / "published"


def prepare(corpus: Path, data: Path, **options) -> None:
    librimix.prepare(corpus, data, **{"nj": 1, "min_seconds": 0.4, **options})


@pytest.mark.parametrize(("rate", "mode"), [(8000, "min"), (16000, "max")])
def test_published_mixtures_are_those_of_the_original_script(
    corpus: Path, whole: Path, tmp_path: Path, rate: int, mode: str
) -> None:
    data = tmp_path / "data"
    librimix.fetch(corpus, data, speakers=[2], url=str(whole))
    prepare(corpus, data, sample_rate=rate, mode=mode)
    sources = [
        signal.resample_poly(noise(name) * gain, rate, 16000) for name, gain in (("19-1-0001", 0.5), ("26-2-0000", 2.25))
    ]
    time = (min if mode == "min" else max)(map(len, sources))
    sources = [np.pad(source, (0, max(0, time - len(source))))[:time] for source in sources]
    folder = data / f"Libri2Mix/wav{rate // 1000}k/{mode}/train-100"
    for role, expected in {"mix_clean": sources[0] + sources[1], "s1": sources[0], "s2": sources[1]}.items():
        soundfile.write(tmp_path / "expected.wav", expected, rate)
        found, _ = soundfile.read(folder / role / "19-1-0001_26-2-0000.wav", dtype="int16")
        wanted, _ = soundfile.read(tmp_path / "expected.wav", dtype="int16")
        assert np.abs(found.astype(int) - wanted).max() <= 1
        assert (found != wanted).mean() < 0.01
    manifest = Manifest.open(data / f"libri2mix/{rate // 1000}k/{mode}/train-100.jsonl")
    assert manifest.header["edition"] == "full"
    assert manifest[0].labels["speakers"] == ["19", "26"]
    assert manifest[0].labels["gains_db"] == pytest.approx([-6.02, 7.04], abs=0.01)
    assert files.read_json(data / "metadata/sha256.json").keys() == {
        f"Libri2Mix/libri2mix_{subset}.csv" for subset in UTTERANCES
    }


def test_tables_of_the_larger_training_set_are_fetched_where_it_is_whole(
    corpus: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, subset, names = tmp_path / "data", "train-clean-360", ("100-1-0000", "101-1-0000")
    for name in names:
        write(corpus / "LibriSpeech" / subset / name.split("-")[0] / "1" / f"{name}.flac", noise(name))
    monkeypatch.setitem(_librispeech.SUBSETS, subset, _librispeech.Subset(len(names), ""))
    monkeypatch.setitem(_librimix_metadata.ROWS[2], subset, 1)
    mixtures = [Mixture(tuple(map(_librispeech.key, names)), (0.5, 2.25))]
    table = whole / "Libri2Mix" / _librimix_metadata.file_name(2, subset)
    _librimix_metadata.write(table, 2, mixtures, _librispeech.index(corpus)[subset], corpus / "LibriSpeech")
    librimix.fetch(corpus, data, speakers=[2], url=str(whole))
    for train_subset, split in (("train-clean-100", "train-100"), (subset, "train-360")):
        prepare(corpus, data, train_subset=train_subset)
        assert Manifest.open(data / f"libri2mix/8k/min/{split}.jsonl").header["edition"] == "full"


def test_without_tables_mixtures_are_drawn_and_kept_as_a_table(corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    librimix.fetch(corpus, data, url="file:///nowhere")  # nothing to fetch for a part of LibriSpeech
    prepare(corpus, data)
    manifest = Manifest.open(data / "libri2mix/8k/min/train-100.jsonl")
    assert "mixtures drawn with seed 72" in manifest.header["edition"]
    table = _librimix_metadata.read(data / "Libri2Mix/metadata/libri2mix_train-100.csv", 2)
    assert sorted(mixture.name for mixture in table) == [item.id for item in manifest]
    again = tmp_path / "again"
    prepare(corpus, again)
    for path in (data / "Libri2Mix").rglob("*.*"):
        assert path.read_bytes() == (again / path.relative_to(data)).read_bytes() or path.suffix == ".journal"

    utterances = Manifest.open(data / "librispeech/8k/dev.jsonl")
    assert [(one.id, one.labels["speaker"]) for one in utterances] == [("174-6-0000", "174"), ("84-5-0000", "84")]
    kept = audio.read(utterances.path_of(utterances[1], "speech"))[0].numpy()
    exact = signal.resample_poly(noise("84-5-0000").astype(np.float64), 1, 2)
    np.testing.assert_allclose(kept, exact, rtol=0, atol=5e-8)  # what float32 can hold of it, as SciPy's own float32 does
    assert utterances[1].labels["loudness_lufs"] == pytest.approx(integrated_loudness(noise("84-5-0000"), 16000), abs=1e-9)


def test_more_mixtures_are_drawn_in_more_passes(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepare(corpus, tmp_path / "data", train_mixtures=4, test_mixtures=7)
    assert len(Manifest.open(tmp_path / "data/libri2mix/8k/min/train-100.jsonl")) == 4
    assert len(Manifest.open(tmp_path / "data/libri2mix/8k/min/test.jsonl")) == 1
    assert "libri2mix test: 7 mixtures wanted, only 1 can be drawn" in caplog.text


@given(
    st.lists(st.tuples(st.integers(1, 6), st.floats(-60, -10), st.floats(0.01, 1)), min_size=4, max_size=40),
    st.sampled_from([2, 3]),
    st.sampled_from([None, 1, 10, 200]),
)
@settings(max_examples=60, deadline=None)
def test_the_rule_of_drawing(rows: list, speakers: int, count: int | None) -> None:
    measured = {f"{who}/{who}-0-{n:04d}": Measured(loudness, peak) for n, (who, loudness, peak) in enumerate(rows)}
    drawn = _librimix_metadata.draw(measured, speakers, count, random.Random(0))
    assert len({frozenset(mixture.utterances) for mixture in drawn}) == len(drawn)
    assert len(drawn) <= (len(rows) // speakers if count is None else count)
    for mixture in drawn:
        assert len({key.split("/")[0] for key in mixture.utterances}) == len(mixture.utterances) == speakers
        for key, gain in zip(mixture.utterances, mixture.gains, strict=True):
            loudness = measured[key].loudness + 20 * np.log10(gain)
            assert -33 - 1e-9 <= loudness <= -25 + 1e-9 or gain * measured[key].peak == pytest.approx(0.9)
            assert gain * measured[key].peak < 1
    if count is None:
        used = [key for mixture in drawn for key in mixture.utterances]
        assert len(set(used)) == len(used)


def test_a_pass_uses_nearly_every_utterance() -> None:
    measured = {f"{n % 20}/{n % 20}-0-{n:04d}": Measured(-20, 0.5) for n in range(200)}
    assert len(_librimix_metadata.draw(measured, 2, None, random.Random(0))) >= 95


def test_what_would_clip_is_scaled_down(corpus: Path, tmp_path: Path) -> None:
    for name in ("19/1/19-1-0000", "26/2/26-2-0000"):  # quiet noise with a loud click: at -33 LUFS its peak is high
        samples = noise(name) / 50
        samples[6000] = 0.2
        write(corpus / "LibriSpeech/train-clean-100" / f"{name}.flac", samples)
    prepare(corpus, tmp_path / "data", train_mixtures=20, mode="max", sample_rate=16000)
    manifest = Manifest.open(tmp_path / "data/libri2mix/16k/max/train-100.jsonl")
    peaks = [audio.read(manifest.path_of(item, "mixture")).abs().max().item() for item in manifest]
    assert max(peaks) == pytest.approx(0.9, abs=1e-4)


def test_speakers_are_held_out_where_no_subset_is_for_validation(corpus: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"  # subsets without folders of speakers
    for number in range(40):
        write(flat / "train-clean-100" / f"{number}-1-0000.flac", noise(str(number)))
    for name in UTTERANCES["test-clean"]:
        write(flat / "test-other" / name.split("-")[0] / f"{name}.flac", noise(name))
    prepare(flat, tmp_path / "data")
    speakers = {}
    for split in ("train-100", "dev", "test"):
        speakers[split] = {item.labels["speaker"] for item in Manifest.open(tmp_path / f"data/librispeech/8k/{split}.jsonl")}
    ordered = sorted(map(str, range(40)), key=lambda number: hashlib.sha256(number.encode()).hexdigest())
    assert speakers["dev"] == set(ordered[:4])
    assert speakers["train-100"] == set(ordered[4:])
    assert speakers["test"] == {"61", "121"}


def test_a_speaker_in_two_splits_is_an_error(corpus: Path, tmp_path: Path) -> None:
    write(corpus / "LibriSpeech/test-clean/19/9/19-9-0000.flac", noise("19-9-0000"))
    with pytest.raises(UserError, match=r"different speakers in train-clean-100 and test-clean, found in both: 19\. Next"):
        prepare(corpus, tmp_path / "data")


def damage_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def damage_nan(path: Path) -> None:
    path.unlink()
    soundfile.write(path.with_suffix(".wav"), np.full(8000, np.nan), 16000, subtype="FLOAT")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_truncated, "cannot read audio file"),
        (damage_nan, "expected finite samples"),
        (lambda path: write(path, np.stack([noise("a")[:8000]] * 2)), "expected one channel at 16000 Hz, found 2"),
        (lambda path: write(path, noise("a"), 8000), "expected one channel at 16000 Hz, found 1 at 8000 Hz"),
        (lambda path: write(path, noise("a", 0.2)), "loudness needs at least 0.4 s, found 0.200 s"),
        (lambda path: write(path, noise("a") / 1000), "quieter than -70 LUFS"),
        (lambda path: path.write_bytes(b""), "cannot read audio file"),
    ],
)
def test_a_bad_utterance_is_skipped_by_name(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage, reason: str
) -> None:
    damage(corpus / "LibriSpeech/train-clean-100/26/2/26-2-0000.flac")
    prepare(corpus, tmp_path / "data")
    assert "skipped 26/26-2-0000: " in caplog.text
    assert reason in caplog.text
    assert "train-100 utterances: 1 of 4 skipped" in caplog.text
    assert len(Manifest.open(tmp_path / "data/librispeech/8k/train-100.jsonl")) == 3
    with pytest.raises(UserError, match=r"26/26-2-0000: .*Next"):
        prepare(corpus, tmp_path / "data", strict=True)


def test_a_table_naming_a_missing_file(corpus: Path, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = whole / "Libri2Mix/libri2mix_train-clean-100.csv"
    path.write_text(path.read_text() + "x,train-clean-100/19/1/19-1-0099.flac,1,train-clean-100/27/3/27-3-0000.flac,1,,\n")
    prepare(corpus, tmp_path / "data", metadata=whole)
    assert "train-100: 1 utterances that are to be mixed are not in" in caplog.text
    assert "libri2mix train-100: 1 of 2 mixtures left out" in caplog.text
    with pytest.raises(UserError, match="19/19-1-0099"):
        prepare(corpus, tmp_path / "data", metadata=whole, strict=True)


def test_tables_of_another_form_are_named(corpus: Path, whole: Path, tmp_path: Path) -> None:
    path = whole / "Libri2Mix/libri2mix_dev-clean.csv"
    text = path.read_text()
    path.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(UserError, match=r"libri2mix_dev-clean.csv: expected 1 mixtures, found 2"):
        librimix.fetch(corpus, tmp_path / "data", speakers=[2], url=whole.as_uri())
    path.write_text(text + "x,y.flac\n")
    with pytest.raises(UserError, match=r"libri2mix_dev-clean.csv, line 3: expected 2 paths and gains"):
        _librimix_metadata.read(path, 2)
    with pytest.raises(UserError, match=r"expected the columns mixture_ID,source_1_path.*source_3_gain"):
        _librimix_metadata.read(path, 3)
    with pytest.raises(UserError, match=r"no such table of mixtures: .*Next: run the stage `fetch`"):
        prepare(corpus, tmp_path / "data2")  # the corpus is whole: its published mixtures are wanted


def test_wrong_folders_are_the_users_error(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"LibriSpeech: no such folder: .*Next: see egs/librimix/README.md"):
        prepare(tmp_path / "nowhere", tmp_path / "data")
    (tmp_path / "other/music").mkdir(parents=True)
    with pytest.raises(UserError, match=r"expected LibriSpeech .*found music\. Next"):
        librimix.verify(tmp_path / "other")
    with pytest.raises(UserError, match=r"--speakers: expected \[2\], \[3\] or \[2,3\], found \[4\]"):
        prepare(corpus, tmp_path / "data", speakers=[4])
    with pytest.raises(
        UserError, match=r"expected utterances in train-clean-360 and in test-clean or test-other, found train-clean"
    ):
        prepare(corpus, tmp_path / "data", train_subset="train-clean-360")
    with pytest.raises(
        UserError, match=r"libri2mix train-100: expected long enough utterances of 2 speakers in .*, found 0 of 0"
    ):
        prepare(corpus, tmp_path / "data", min_seconds=3.0)


def test_a_second_run_does_nothing(corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    prepare(corpus, data)
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*.wav")}
    assert len(before) == 8 + 3 * (1 + 1 + 2)  # utterances; mixtures of test, dev, train with their sources
    header = Manifest.open(data / "libri2mix/8k/min/dev.jsonl").header
    prepare(corpus, data)
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*.wav")} == before
    assert Manifest.open(data / "libri2mix/8k/min/dev.jsonl").header == header


def test_mixtures_already_made_are_checked_and_listed(corpus: Path, tmp_path: Path) -> None:
    made, data = tmp_path / "made", tmp_path / "data"
    prepare(corpus, made)
    assert librimix.verify(made).startswith("partial (train-100 2 of 13900 mixtures, dev 1 of 3000 mixtures")
    librimix.fetch(made, data)
    for folder in (made, made / "Libri2Mix"):
        prepare(folder, data)
        manifest = Manifest.open(data / "libri2mix/8k/min/dev.jsonl")
        assert manifest[0].labels["speakers"] in (["174", "84"], ["84", "174"])
        assert audio.read(manifest.path_of(manifest[0], "s2")).shape == (1, manifest[0].frames)
    assert not list(data.rglob("*.wav"))


def test_download_unpacks_what_is_not_there(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = tmp_path / "published"
    published.mkdir()
    subsets = {}
    for name, names in UTTERANCES.items():
        with tarfile.open(published / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(corpus / "LibriSpeech" / name, f"LibriSpeech/{name}")
        md5 = hashlib.md5((published / f"{name}.tar.gz").read_bytes()).hexdigest()
        subsets[name] = _librispeech.Subset(len(names), md5)
    monkeypatch.setattr(_librispeech, "SUBSETS", subsets)
    monkeypatch.setattr(_librispeech, "ADDRESS", published.as_uri())
    target = tmp_path / "target"
    librimix.download(target)
    assert librimix.verify(target) == "full"
    assert [path.name for path in target.iterdir()] == ["LibriSpeech"]
    (published / "dev-clean.tar.gz").unlink()
    librimix.download(target)  # all is there
    subsets["dev-clean"] = _librispeech.Subset(3, subsets["dev-clean"].md5)
    with pytest.raises(UserError, match="cannot fetch"):
        librimix.download(target)


def test_names_of_manifests_say_what_to_prepare() -> None:
    names = ["libri2mix/8k/min/train-360", "libri2mix/8k/min/dev"]
    assert librimix.options_for(names) == {
        "speakers": [2], "sample_rate": 8000, "mode": "min", "train_subset": "train-clean-360"
    }  # fmt: skip
    assert "train_subset" not in librimix.options_for(["libri3mix/8k/min/train-100"])


def test_the_mini_corpus_is_whole_and_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"train-clean-100": ("19", "26", "60"), "dev-clean": ("84", "174", "251"), "test-clean": ("61", "121", "237")}
    for name, value in {"SPEAKERS": few, "UTTERANCES": 2, "MIXTURES": dict.fromkeys(few, 4)}.items():
        monkeypatch.setattr(_librimix_mini, name, value)
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        librimix.make_mini(folder)
    contents = [{p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in (first, second)]
    assert contents[0] == contents[1]
    assert librimix.verify(first) == "mini"
    assert "60   | F | train-clean-100  | 0.4   | |CBW|Simon" in (first / "LibriSpeech/SPEAKERS.TXT").read_text()
    librimix.fetch(first, tmp_path / "data")
    librimix.prepare(first, tmp_path / "data", speakers=[2, 3], nj=1)
    manifest = Manifest.open(tmp_path / "data/libri3mix/8k/min/train-100.jsonl")
    assert (len(manifest), manifest.header["edition"]) == (4, "mini")


@pytest.mark.real
def test_real_speech(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "librispeech"
    chosen = sorted((source / "train-clean-100").glob("*.flac"))[:8]
    for speaker in sorted((source / "test-other").iterdir())[:2]:
        chosen += sorted(speaker.glob("*.flac"))[:2]
    for path in chosen:
        link = tmp_path / "corpus" / path.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    librimix.prepare(tmp_path / "corpus", tmp_path / "data", min_seconds=1.0, nj=1)
    for split in ("train-100", "dev", "test"):
        manifest = Manifest.open(tmp_path / f"data/libri2mix/8k/min/{split}.jsonl")
        for item in manifest:
            parts = [audio.read(manifest.path_of(item, role)) for role in ("mixture", "s1", "s2")]
            torch.testing.assert_close(parts[0], parts[1] + parts[2], atol=2**-14, rtol=0)
            assert parts[0].abs().max() <= 0.91
