"""MUSDB18: both releases to manifests, on tracks of a fraction of a second."""

import csv
import hashlib
import os
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from toolkit import audio
from toolkit.audio import ffmpeg
from toolkit.corpora import _musdb18, _musdb18_mini, musdb18
from toolkit.data.manifest import Manifest
from toolkit.dsp.resample import resample
from toolkit.log import UserError
from toolkit.prepare import run

RATE, FRAMES = 44100, 6000
TRACKS = {
    "train": ("A - One", "B - Two & Three", "Leaf - Summerghost", "Meaxic - Take A Step"),
    "test": ("C - Four", "Ä - Fünf"),
}


def has_ffmpeg() -> bool:
    try:
        return bool(ffmpeg.program())
    except UserError:
        return False


needs_ffmpeg = pytest.mark.skipif(not has_ffmpeg(), reason="ffmpeg is not installed")


def write_track(folder: Path, seed: int, frames: int = FRAMES) -> None:
    """Five files of 16-bit noise, the mixture the sum of the others."""
    rng = np.random.default_rng(seed)
    stems = {name: np.rint(1000 * rng.standard_normal((2, frames))) for name in _musdb18.SOURCES}
    for role, samples in {"mixture": sum(stems.values()), **stems}.items():
        write(folder / f"{role}.wav", samples / 2**15)


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> None:
    audio.write(path, torch.from_numpy(samples), rate, subtype)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """MUSDB18-HQ as it unpacks."""
    root = tmp_path / "corpus"
    for subset, names in TRACKS.items():
        for number, name in enumerate(names):
            write_track(root / subset / name, len(subset) + 10 * number)
    return root


def prepare(corpus: Path, data: Path, **options) -> None:
    musdb18.prepare(corpus, data, nj=1, **options)


def ids(data: Path, name: str) -> list[str]:
    return [item.id for item in Manifest.open(data / f"{name}.jsonl")]


def test_manifests_of_the_corpus_own_files(corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    prepare(corpus, data)
    assert ids(data, "musdb18-hq/44100/train") == ["A - One", "B - Two & Three"]
    assert ids(data, "musdb18-hq/44100/valid") == ["Leaf - Summerghost", "Meaxic - Take A Step"]
    assert ids(data, "musdb18-hq/44100/test") == ["C - Four", "Ä - Fünf"]
    assert not list(data.rglob("*.wav"))  # nothing is copied

    manifest = Manifest.open(data / "musdb18-hq/44100/valid.jsonl")
    assert manifest.header["edition"] == "partial (train 2 of 86, valid 2 of 14, test 2 of 50 tracks)"
    item = manifest[0]
    assert list(item.audio) == ["mixture", "drums", "bass", "other", "vocals"]
    assert (item.sample_rate, item.frames, item.channels) == (RATE, FRAMES, 2)
    assert manifest.path_of(item, "bass") == (corpus / "train/Leaf - Summerghost/bass.wav").resolve()
    mono = audio.read(manifest.path_of(item, "mixture")).double().mean(0)
    assert item.labels["mixture_mean"] == pytest.approx(mono.mean().item(), abs=1e-12)
    assert item.labels["mixture_deviation"] == pytest.approx(mono.std().item(), rel=1e-12)
    assert item.labels["stem_ratio_db"] == 120


def test_a_track_is_measured_piece_by_piece(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [corpus / "train/A - One" / f"{role}.wav" for role in _musdb18.ROLES]
    whole = _musdb18.measure(paths, FRAMES)
    monkeypatch.setattr(_musdb18, "BLOCK", 1001)
    assert _musdb18.measure(paths, FRAMES) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("rate", [22050, 8192])
def test_other_rates_are_written(corpus: Path, tmp_path: Path, rate: int) -> None:
    data = tmp_path / "data"
    prepare(corpus, data, sample_rates=[rate], splits=["valid"])
    assert [path.name for path in (data / "musdb18-hq").iterdir() if list(path.glob("*.jsonl"))] == [str(rate)]
    manifest = Manifest.open(data / f"musdb18-hq/{rate}/valid.jsonl")
    item = manifest[1]
    assert item.frames == -(-FRAMES * rate // RATE)
    assert item.labels["stem_ratio_db"] > 110  # resampling is linear, and floats do not clip
    kept = audio.read(manifest.path_of(item, "drums"))
    original = audio.read(corpus / "train/Meaxic - Take A Step/drums.wav").numpy()
    np.testing.assert_array_equal(kept.numpy(), resample(original, RATE, rate))


def test_names_of_manifests_say_what_to_prepare() -> None:
    names = ["musdb18-hq/22050/train", "musdb18-hq/22050/valid", "musdb18-hq/44100/test", "other/thing"]
    assert musdb18.options_for(names) == {
        "sample_rates": [22050, 44100], "release": "musdb18-hq", "splits": ["train", "valid", "test"]
    }  # fmt: skip
    assert musdb18.options_for(["musdb18/44100/test"])["splits"] == ["test"]
    assert musdb18.options_for([]) == {}
    with pytest.raises(UserError, match="expected names of one release"):
        musdb18.options_for(["musdb18-hq/44100/train", "musdb18/44100/test"])
    with pytest.raises(UserError, match=r"expected a name such as musdb18-hq/44100/train.*found 'musdb18-hq/44k/dev'"):
        musdb18.options_for(["musdb18-hq/44k/dev"])


def damage_truncated(folder: Path) -> None:
    (folder / "bass.wav").write_bytes((folder / "bass.wav").read_bytes()[:-100])


def damage_nan(folder: Path) -> None:
    soundfile.write(folder / "other.wav", np.full((FRAMES, 2), np.nan), RATE, subtype="FLOAT")


def damage_emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "vocals.wav").unlink(), "missing vocals.wav"),
        (damage_emptied, "missing mixture.wav, drums.wav, bass.wav, other.wav, vocals.wav"),
        (damage_truncated, "truncated"),
        (damage_nan, "expected finite samples"),
        (lambda folder: (folder / "drums.wav").write_bytes(b""), "cannot read audio file"),
        (
            lambda folder: write(folder / "drums.wav", np.zeros((1, FRAMES))),
            "expected 2 channels at 44100 Hz, found 1 at 44100",
        ),
        (lambda folder: write(folder / "bass.wav", np.zeros((2, FRAMES)), 48000), "found 2 at 48000 Hz"),
        (lambda folder: write(folder / "bass.wav", np.zeros((2, 9))), "expected 6000 samples as in the mixture, found 9"),
        (lambda folder: write_track(folder, 0, 0), "expected some samples"),
        (lambda folder: write(folder / "mixture.wav", np.zeros((2, FRAMES))), "silent throughout"),
    ],
)
def test_a_bad_track_is_skipped_by_name(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage, reason: str
) -> None:
    damage(corpus / "train/A - One")
    prepare(corpus, tmp_path / "data")
    assert "skipped A - One: " in caplog.text
    assert reason in caplog.text
    manifest = Manifest.open(tmp_path / "data/musdb18-hq/44100/train.jsonl")
    assert (len(manifest), manifest.header["skipped"]) == (1, 1)
    assert manifest.header["edition"].startswith("partial (train 1 of 86")
    with pytest.raises(UserError, match=r"A - One: .*Next: mend the file, or run without --strict"):
        prepare(corpus, tmp_path / "strict", strict=True)


def test_verify_counts_usable_tracks(corpus: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in {"train": 2, "valid": 2, "test": 2}.items():
        monkeypatch.setitem(_musdb18.SPLITS, split, count)
    assert musdb18.verify(corpus) == "full"
    (corpus / "test/C - Four/bass.wav").unlink()
    assert musdb18.verify(corpus) == "partial (train 2 of 2, valid 2 of 2, test 1 of 2 tracks)"
    assert "not usable: C - Four: expected mixture.wav" in caplog.text


def test_stems_that_do_not_add_up_are_named_and_used(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    vocals = corpus / "test/C - Four/vocals.wav"
    write(vocals, -audio.read(vocals).numpy())
    prepare(corpus, tmp_path / "data")
    assert "C - Four: the stems' sum is not the mixture: ratio 0." in caplog.text
    assert len(Manifest.open(tmp_path / "data/musdb18-hq/44100/test.jsonl")) == 2


def test_wrong_folders_are_the_users_error(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"MUSDB18: no such folder: .*Next: see egs/musdb18/README.md"):
        prepare(tmp_path / "nowhere", tmp_path / "data")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"MUSDB18: the folder is empty"):
        prepare(tmp_path / "empty", tmp_path / "data")
    (tmp_path / "other/music").mkdir(parents=True)
    with pytest.raises(UserError, match=r"expected MUSDB18 \(train/<track>.stem.mp4.*found music\. Next"):
        musdb18.verify(tmp_path / "other")
    with pytest.raises(
        UserError, match=r"expected musdb18 as the config names it, found musdb18-hq. Next: add --config conf/hq"
    ):
        prepare(corpus, tmp_path / "data", **musdb18.options_for(["musdb18/44100/train"]))
    with pytest.raises(UserError, match=r"--splits: expected some of train, valid, test, found \['dev'\]"):
        prepare(corpus, tmp_path / "data", splits=["dev"])
    (corpus / "test").rename(corpus / "Test set")
    with pytest.raises(UserError, match=r"musdb18-hq test: expected 50 tracks in .*, found none. Next"):
        prepare(corpus, tmp_path / "data")
    write_track(corpus / "test/A - One", 0)
    with pytest.raises(UserError, match=r"expected different tracks in train and test, found in both: A - One"):
        prepare(corpus, tmp_path / "data")


def test_names_in_decomposed_unicode_are_the_same_names(corpus: Path, tmp_path: Path) -> None:
    (corpus / "test/Ä - Fünf").rename(corpus / "test" / unicodedata.normalize("NFD", "Ä - Fünf"))
    prepare(corpus, tmp_path / "data")
    assert "Ä - Fünf" in ids(tmp_path / "data", "musdb18-hq/44100/test")


def test_a_second_run_does_nothing_and_a_change_is_seen(corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    prepare(corpus, data, sample_rates=[RATE, 22050])
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*.wav")}
    assert len(before) == 6 * 5
    prepare(corpus, data, sample_rates=[RATE, 22050])
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*.wav")} == before
    os.utime(corpus / "train/A - One/bass.wav", (1, 1))
    prepare(corpus, data, sample_rates=[RATE, 22050])
    changed = {path.parent.name for path, when in before.items() if path.stat().st_mtime_ns != when}
    assert changed == {"A - One"}


def test_a_stopped_preparation_goes_on(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, calls = tmp_path / "data", []

    def stopped_in_the_second_track(*arguments) -> np.ndarray:
        calls.append(arguments)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return resample(*arguments)

    monkeypatch.setattr(musdb18, "resample", stopped_in_the_second_track)
    with pytest.raises(KeyboardInterrupt):
        prepare(corpus, data, sample_rates=[22050])
    assert not (data / "musdb18-hq/22050/train.jsonl").exists()
    assert not list(data.rglob("*.partial*"))
    first = {path: path.stat().st_mtime_ns for path in (data / "musdb18-hq/22050/train/A - One").iterdir()}
    prepare(corpus, data, sample_rates=[22050])
    assert len(calls) == 8 + 5 * 5  # not the first track again
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert len(Manifest.open(data / "musdb18-hq/22050/train.jsonl")) == 2


def test_download_unpacks_what_is_not_there(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in _musdb18.SPLITS:
        monkeypatch.setitem(_musdb18.SPLITS, split, 2)
    archive = tmp_path / "published/musdb18hq.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as bundle:
        for path in sorted(corpus.rglob("*.wav")):
            bundle.write(path, path.relative_to(corpus))
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    release = _musdb18.Release(archive.as_uri(), archive.stat().st_size, md5, 30.0)
    monkeypatch.setitem(_musdb18.RELEASES, "musdb18-hq", release)
    target = tmp_path / "target"
    musdb18.download(target)
    assert musdb18.verify(target) == "full"
    assert sorted(path.name for path in target.iterdir()) == ["test", "train"]
    archive.rename(archive.with_suffix(".gone"))
    musdb18.download(target)  # all is there
    with pytest.raises(UserError, match="cannot fetch"):
        musdb18.download(tmp_path / "elsewhere")
    archive.write_bytes(b"not what was published")
    with pytest.raises(UserError, match=r"expected md5 .*, found .* \(22 bytes\)"):
        musdb18.download(tmp_path / "elsewhere")


# The mini corpus


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Songs of an eighth of their length."""
    tracks = [t._replace(seconds=t.seconds / 8, silence=t.silence / 8) for t in _musdb18_mini.TRACKS]
    monkeypatch.setattr(_musdb18_mini, "TRACKS", tuple(tracks))


def samples(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0].astype(int)


@pytest.mark.usefixtures("short")
def test_the_mini_corpus_as_wav(tmp_path: Path) -> None:
    root, data = tmp_path / "mini", tmp_path / "data"
    musdb18.make_mini(root)
    assert musdb18.verify(root) == "mini"
    assert sorted(path.name for path in root.iterdir()) == ["mini.json", "test", "train"]
    assert len(list(root.rglob("*.wav"))) == 11 * 5
    for folder in (*(root / "train").iterdir(), *(root / "test").iterdir()):
        stems = {name: samples(folder / f"{name}.wav") for name in _musdb18.SOURCES}
        mixture = samples(folder / "mixture.wav")
        np.testing.assert_array_equal(mixture, sum(stems.values()))
        assert 0.7 * 2**15 < np.abs(mixture).max() < 0.9 * 2**15
        assert [name for name, stem in stems.items() if not stem.any()] == (["vocals"] if "Night Bus" in folder.name else [])
    assert not samples(root / "test/Übertöne - Kör på søen/mixture.wav")[: RATE // 8].any()
    prepare(root, data, **musdb18.options_for(["musdb18-hq/44100/train", "musdb18-hq/44100/valid", "musdb18-hq/44100/test"]))
    manifests = [Manifest.open(data / f"musdb18-hq/44100/{split}.jsonl") for split in _musdb18.SPLITS]
    assert [len(manifest) for manifest in manifests] == [6, 2, 3]
    assert sorted({item.seconds for item in manifests[0]}) == [0.5, 1.0]
    assert {manifest.header["edition"] for manifest in manifests} == {"mini"}


def test_the_mini_corpus_is_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = tuple(t._replace(seconds=0.5, silence=0.0) for t in _musdb18_mini.TRACKS[:2])
    monkeypatch.setattr(_musdb18_mini, "TRACKS", tracks)
    for name, seed in (("1", 0), ("2", 0), ("3", 1)):
        musdb18.make_mini(tmp_path / name, seed)
    contents = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.wav")} for name in "123"
    ]
    assert contents[0] == contents[1]
    assert contents[0].keys() == contents[2].keys()
    assert all(contents[0][path] != contents[2][path] for path in contents[0])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "1").rglob("*.wav")}
    musdb18.make_mini(tmp_path / "1")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_layout_is_an_option_of_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(_musdb18_mini, "write", lambda corpus, seed, layout: written.append((seed, layout)))
    run.fetch("musdb18", "mini", tmp_path / "1", [])
    run.fetch("musdb18", "mini", tmp_path / "2", ["--layout", "stems", "--seed", "3"])
    assert written == [(0, "wav"), (3, "stems")]
    with pytest.raises(UserError, match=r"musdb18: .*did you mean '--layout'"):
        run.fetch("musdb18", "mini", tmp_path / "3", ["--layoud", "stems"])
    fetched = []
    monkeypatch.setattr(musdb18, "verify", lambda corpus: "full")

    def download(corpus: Path, *, release: str = "musdb18-hq") -> None:
        fetched.append(release)

    monkeypatch.setattr(musdb18, "download", download)
    run.fetch("musdb18", "download", tmp_path, ["--release", "musdb18"])
    assert fetched == ["musdb18"]


@needs_ffmpeg
def test_the_mini_corpus_as_stem_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = (_musdb18_mini.TRACKS[number] for number in (3, 7, 10))
    monkeypatch.setattr(_musdb18_mini, "TRACKS", tuple(track._replace(seconds=0.5) for track in few))
    root, data = tmp_path / "mini", tmp_path / "data"
    musdb18.make_mini(root, layout="stems")
    assert musdb18.verify(root) == "mini"
    assert [path.name for path in (root / "test").iterdir()] == ["Formant Choir - Glottis.stem.mp4"]
    prepare(root, data)
    assert ids(data, "musdb18/44100/train") == ["Delay Line - Night Bus"]
    assert ids(data, "musdb18/44100/valid") == ["Leaf - Summerghost"]
    assert not caplog.records  # nothing skipped, sums near enough
    manifest = Manifest.open(data / "musdb18/44100/test.jsonl")
    item = manifest[0]
    assert (item.frames, item.audio["bass"]) == (RATE // 2, "musdb18/44100/test/Formant Choir - Glottis/bass.wav")
    assert 10 < item.labels["stem_ratio_db"] < 40

    musdb18.make_mini(root)  # the other layout takes the place of this one
    assert not list(root.rglob("*.mp4"))
    for role in _musdb18.ROLES:
        original = audio.read(root / f"test/Formant Choir - Glottis/{role}.wav").double()
        decoded = audio.read(manifest.path_of(item, role)).double()
        assert (original - decoded).square().sum() < 0.1 * original.square().sum(), role


@needs_ffmpeg
def test_damaged_stem_files_are_skipped_by_name(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stems, data = tmp_path / "stems", tmp_path / "data"
    for folder in (*(corpus / "train").iterdir(), *(corpus / "test").iterdir()):
        roles = _musdb18.ROLES[:4] if folder.name == "B - Two & Three" else _musdb18.ROLES
        path = stems / folder.parent.name / f"{folder.name}.stem.mp4"
        ffmpeg.encode([folder / f"{role}.wav" for role in roles], path)
        if folder.name == "Leaf - Summerghost":
            path.write_bytes(path.read_bytes()[:20000])
    prepare(stems, data)
    assert "skipped B - Two & Three: expected 5 stereo streams at 44100 Hz, found 4" in caplog.text
    assert "skipped Leaf - Summerghost: ffmpeg cannot read" in caplog.text
    assert ids(data, "musdb18/44100/train") == ["A - One"]
    assert ids(data, "musdb18/44100/valid") == ["Meaxic - Take A Step"]
    with pytest.raises(UserError, match=r"expected musdb18-hq as the config names it, found musdb18\. Next"):
        prepare(stems, data, release="musdb18-hq")


def test_stems_decoded_to_slightly_different_lengths_are_cut(corpus: Path, tmp_path: Path, monkeypatch) -> None:
    for subset in ("train", "test"):
        for folder in list((corpus / subset).iterdir()):
            (corpus / subset / f"{folder.name}.stem.mp4").touch()
            folder.rename(tmp_path / folder.name)

    def decode(path: Path, targets) -> None:
        for number, target in enumerate(targets):
            samples = audio.read(tmp_path / path.name.removesuffix(".stem.mp4") / target.name)
            audio.write(target, torch.nn.functional.pad(samples, (0, 1024 * (number % 2))), RATE)

    monkeypatch.setattr(ffmpeg, "streams", lambda path: [ffmpeg.Stream("aac", RATE, "stereo")] * 5)
    monkeypatch.setattr(ffmpeg, "decode", decode)
    prepare(corpus, tmp_path / "data")
    manifest = Manifest.open(tmp_path / "data/musdb18/44100/train.jsonl")
    assert {audio.info(manifest.path_of(item, role)).frames for item in manifest for role in item.audio} == {FRAMES}
    monkeypatch.setattr(musdb18, "AAC_FRAME", 100)
    with pytest.raises(UserError, match=r"expected 6000 samples as in the mixture, found 7024"):
        prepare(corpus, tmp_path / "other")


# What was published


@pytest.mark.real
def test_the_list_of_validation_tracks(shared_data: Path) -> None:
    folder = shared_data / "musdb18"
    published = yaml.safe_load((folder / "mus.yaml").read_text())
    assert sorted(_musdb18.VALIDATION) == sorted(published["validation_tracks"])
    assert {role: number for number, role in enumerate(_musdb18.ROLES)} == published["stem_ids"]
    with (folder / "tracklist.csv").open(encoding="utf-8-sig", newline="") as stream:
        names = [row["Track Name"] for row in csv.DictReader(stream)]
    assert len(set(names)) == sum(_musdb18.SPLITS.values())
    assert set(_musdb18.VALIDATION) <= set(names)


@needs_ffmpeg
@pytest.mark.real
def test_a_real_excerpt(tmp_path: Path, shared_data: Path) -> None:
    """Releases of ffmpeg differ in the last bit of few samples: 9.0 gives just what the stored files have, 5.1 does not."""
    name = "Music Delta - 80s Rock"
    link = tmp_path / "corpus/train" / f"{name}.stem.mp4"
    link.parent.mkdir(parents=True)
    link.symlink_to(shared_data / "musdb18/MUSDB18-7-SAMPLE/train" / link.name)
    assert musdb18.verify(tmp_path / "corpus") == "partial (train 1 of 86, valid 0 of 14, test 0 of 50 tracks)"
    prepare(tmp_path / "corpus", tmp_path / "data", splits=["train"])
    manifest = Manifest.open(tmp_path / "data/musdb18/44100/train.jsonl")
    assert manifest[0].frames == 299880
    assert manifest[0].labels["stem_ratio_db"] == pytest.approx(31.57, abs=0.02)
    for role in _musdb18.ROLES:
        difference = np.abs(
            samples(manifest.path_of(manifest[0], role))
            - samples(shared_data / "musdb18/decoded_wav/train" / name / f"{role}.wav")
        )
        assert difference.max() <= 1
        assert difference.mean() < 1e-3

    prepare(shared_data / "musdb18/decoded_wav", tmp_path / "hq", splits=["train"])
    wav = Manifest.open(tmp_path / "hq/musdb18-hq/44100/train.jsonl")[0]
    assert wav.labels["mixture_deviation"] == pytest.approx(manifest[0].labels["mixture_deviation"], rel=1e-6)
