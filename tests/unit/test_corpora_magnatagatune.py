"""MagnaTagATune: annotations and mp3 files to manifests, on clips of half a second that say they last 29."""

import csv
import json
import pickletools
import re
import shutil
import zipfile
from ast import literal_eval
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from toolkit import audio
from toolkit.corpora import _magnatagatune, _magnatagatune_archive, _magnatagatune_mini, magnatagatune
from toolkit.corpora._magnatagatune import TAGS, Clip
from toolkit.corpora._magnatagatune_mini import COLUMNS, ENCODING, STYLES
from toolkit.data.manifest import Manifest
from toolkit.log import UserError

pytestmark = pytest.mark.skipif("MP3" not in soundfile.available_formats(), reason="this libsndfile cannot write MP3")

RATE = 16000
CLIPS = {  # clip_id, and path, to its tags
    ("2", "f/a-01-x-0-29.mp3"): ("classical", "strings"),
    ("11", "0/b-01-x-0-29.mp3"): ("guitar", "strange"),
    ("12", "b/b-02-x-0-29.mp3"): ("techno",),
    ("13", "c/c-01-x-0-29.mp3"): ("choral", "female voice"),
    ("14", "d/d-01-ü-0-29.mp3"): ("metal",),
    ("15", "5/e-01-x-0-29.mp3"): ("strange",),  # none of the fifty
    ("35644", "6/e-02-x-0-29.mp3"): (),  # as published: no sound
}


def write_mp3(path: Path, seconds: float = 0.5) -> None:
    frames = round(seconds * RATE)
    with audio.writing(path, frames, RATE, 1, ENCODING) as put:
        put(0.1 * torch.randn(1, frames))


def write_annotations(corpus: Path, clips: dict[tuple[str, str], tuple[str, ...]]) -> None:
    with (corpus / "annotations_final.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        table.writerow(["clip_id", *COLUMNS, "mp3_path"])
        table.writerows([identity, *(int(name in tags) for name in COLUMNS), path] for (identity, path), tags in clips.items())


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MagnaTagATune as it unpacks, its clips 0.5 s long."""
    monkeypatch.setattr(_magnatagatune, "CLEAN_SECONDS", 0.4)
    root = tmp_path / "corpus"
    for identity, path in CLIPS:
        write_mp3(root / path)
        if identity in _magnatagatune.NO_SOUND:
            (root / path).write_bytes(b"")
    write_annotations(root, CLIPS)
    return root


def prepare(corpus: Path, data: Path, **options) -> None:
    magnatagatune.prepare(corpus, data, nj=1, **options)


def ids(data: Path, name: str) -> list[str]:
    return [item.id for item in Manifest.open(data / f"magnatagatune/{name}.jsonl")]


def test_manifests_of_both_versions(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "data"
    prepare(corpus, data)
    assert ids(data, "original/train") == ["11", "12", "15"]
    assert ids(data, "clean/train") == ["11", "12"]
    assert ids(data, "original/valid") == ids(data, "clean/valid") == ["13"]
    assert ids(data, "original/test") == ids(data, "clean/test") == ["14", "2"]
    assert "skipped 35644" not in caplog.text  # that one is left out by its number

    manifest = Manifest.open(data / "magnatagatune/clean/valid.jsonl")
    assert manifest.header["edition"] == "partial (train 3 of 18706, valid 1 of 1825, test 2 of 5329 clips)"
    assert (manifest.header["tags"], manifest.header["version"]) == (list(TAGS), "clean")
    item = manifest[0]
    assert item.labels["tags"] == [int(tag in ("choral", "female voice")) for tag in TAGS]
    assert (item.sample_rate, item.channels) == (RATE, 1)
    assert audio.read(manifest.path_of(item, "recording")).shape == (1, item.frames)
    assert manifest.path_of(item, "recording") == (corpus / "c/c-01-x-0-29.mp3").resolve()  # nothing is copied


def test_the_fingerprint_follows_the_labels(corpus: Path, tmp_path: Path) -> None:
    def fingerprint() -> str:
        prepare(corpus, tmp_path / "data", splits=["test"])
        return Manifest.open(tmp_path / "data/magnatagatune/original/test.jsonl").header["fingerprint"]

    before = fingerprint()
    assert fingerprint() == before
    write_annotations(corpus, {**CLIPS, ("2", "f/a-01-x-0-29.mp3"): ("opera",)})
    assert fingerprint() != before


def test_names_of_manifests_say_what_to_prepare() -> None:
    names = ["magnatagatune/clean/train", "magnatagatune/clean/test", "other/thing"]
    assert magnatagatune.options_for(names) == {"versions": ["clean"], "splits": ["train", "test"]}
    assert magnatagatune.options_for([]) == {}
    with pytest.raises(UserError, match=r"expected a name such as magnatagatune/VERSION/train.*found 'magnatagatune/train'"):
        magnatagatune.options_for(["magnatagatune/train"])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "truncated: expected 144 bytes in the last frame, found 94"),
        (lambda path: path.write_bytes(b""), "empty file: "),
        (lambda path: path.write_bytes(bytes(1000)), "cannot read audio file"),
    ],
)
def test_a_bad_clip_is_skipped_by_name(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage, reason: str
) -> None:
    damage(corpus / "b/b-02-x-0-29.mp3")
    prepare(corpus, tmp_path / "data")
    assert "skipped 12: " in caplog.text
    assert reason in caplog.text
    assert ids(tmp_path / "data", "clean/train") == ["11"]
    manifest = Manifest.open(tmp_path / "data/magnatagatune/original/train.jsonl")
    assert (len(manifest), manifest.header["skipped"]) == (2, 1)
    assert manifest.header["edition"].startswith("partial (train 2 of")
    with pytest.raises(UserError, match=r"12: .*Next: mend the file, or run without --strict"):
        prepare(corpus, tmp_path / "strict", strict=True)


def test_missing_clips_are_named(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (corpus / "b/b-02-x-0-29.mp3").unlink()
    (corpus / "f/a-01-x-0-29.mp3").write_bytes(b"")
    assert magnatagatune.verify(corpus) == "partial (train 2 of 18706, valid 1 of 1825, test 1 of 5329 clips)"
    assert "2 clips that are annotated are missing or empty" in caplog.text
    assert "f/a-01-x-0-29.mp3, b/b-02-x-0-29.mp3" in caplog.text
    with pytest.raises(UserError, match=r"1 clips .* missing or empty in .*b-02.*Next: fetch them again"):
        prepare(corpus, tmp_path / "data", strict=True, splits=["train"])


def test_a_whole_corpus_is_full(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in {"train": 3, "valid": 1, "test": 2}.items():
        monkeypatch.setitem(_magnatagatune.SPLITS, split, count)
    assert magnatagatune.verify(corpus) == "full"


def test_a_clip_that_is_cut_short_is_not_clean(corpus: Path, tmp_path: Path) -> None:
    write_mp3(corpus / "0/b-01-x-0-29.mp3", 0.1)
    prepare(corpus, tmp_path / "data", splits=["train"])
    assert ids(tmp_path / "data", "original/train") == ["11", "12", "15"]
    assert ids(tmp_path / "data", "clean/train") == ["12"]


def test_clips_may_lie_in_a_folder_mp3(corpus: Path, tmp_path: Path) -> None:
    (corpus / "mp3").mkdir()
    for folder in "056bcdf":
        (corpus / folder).rename(corpus / "mp3" / folder)
    prepare(corpus, tmp_path / "data", versions=["clean"])
    manifest = Manifest.open(tmp_path / "data/magnatagatune/clean/test.jsonl")
    assert manifest.path_of(manifest[1], "recording").is_file()
    assert not (tmp_path / "data/magnatagatune/original").exists()


def test_a_part_with_the_test_folders_alone(corpus: Path, tmp_path: Path) -> None:
    for folder in "056bc":
        shutil.rmtree(corpus / folder)
    assert magnatagatune.verify(corpus) == "partial (train 0 of 18706, valid 0 of 1825, test 2 of 5329 clips)"
    prepare(corpus, tmp_path / "data", splits=["test"])
    assert ids(tmp_path / "data", "clean/test") == ["14", "2"]


# The archive


def archive_of(corpus: Path, target: Path, prefix: str = "") -> None:
    """The clips as one zip archive in three parts; they are removed from `corpus`."""
    with zipfile.ZipFile(target / "whole", "w") as bundle:
        for path in sorted(corpus.rglob("*.mp3")):
            bundle.write(path, prefix + path.relative_to(corpus).as_posix())
            path.unlink()
            if not list(path.parent.iterdir()):
                path.parent.rmdir()
        bundle.writestr(f"{prefix}../../0/evil.mp3", b"evil")
        bundle.writestr(f"{prefix}f/notes.txt", b"no clip")
    content = (target / "whole").read_bytes()
    (target / "whole").unlink()
    third = len(content) // 3
    for number, part in enumerate((content[:third], content[third : 2 * third + 7], content[2 * third + 7 :]), 1):
        (target / f"mp3.zip.00{number}").write_bytes(part)


@pytest.mark.parametrize("prefix", ["", "mp3/"])
def test_the_parts_of_the_archive_are_unpacked_below_data(corpus: Path, tmp_path: Path, prefix: str) -> None:
    data = tmp_path / "data"
    archive_of(corpus, corpus, prefix)
    assert magnatagatune.verify(corpus) == "partial (train 3 of 18706, valid 1 of 1825, test 2 of 5329 clips)"
    prepare(corpus, data)
    assert ids(data, "original/test") == ["14", "2"]
    manifest = Manifest.open(data / "magnatagatune/clean/test.jsonl")
    path = manifest.path_of(manifest[0], "recording")
    assert path == (data / "magnatagatune/mp3/d/d-01-ü-0-29.mp3").resolve()
    assert not list(tmp_path.rglob("notes.txt"))
    assert {found.parent.parent for found in tmp_path.rglob("*.mp3")} == {data / "magnatagatune/mp3"}  # nothing outside
    assert sorted(found.name for found in corpus.iterdir()) == ["annotations_final.csv", *_magnatagatune_archive.PARTS]

    before = path.stat().st_mtime_ns
    (data / "magnatagatune/mp3/c/c-01-x-0-29.mp3").unlink()
    prepare(corpus, data)  # only what is missing is unpacked again
    assert path.stat().st_mtime_ns == before
    assert (data / "magnatagatune/mp3/c/c-01-x-0-29.mp3").is_file()


def test_an_incomplete_or_damaged_archive_is_the_users_error(corpus: Path, tmp_path: Path) -> None:
    archive_of(corpus, corpus)
    second = corpus / "mp3.zip.002"
    content = second.read_bytes()
    second.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(UserError, match=r"expected the parts of a zip archive, found mp3.zip.001, .*CRC-32.*Next: fetch"):
        prepare(corpus, tmp_path / "data")
    second.write_bytes(content[:-100])
    with pytest.raises(UserError, match=r"expected the parts of a zip archive"):
        prepare(corpus, tmp_path / "data")
    second.unlink()
    with pytest.raises(UserError, match=r"missing mp3.zip.002. Next: fetch the missing parts"):
        magnatagatune.verify(corpus)


def test_parts_read_as_one_file(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path, content in zip(paths, (b"01234", b"", b"56789"), strict=True):
        path.write_bytes(content)
    with _magnatagatune_archive.Parts(paths) as parts:
        assert parts.read() == b"0123456789"
        assert (parts.seek(-7, 2), parts.read(4), parts.tell()) == (3, b"34", 5)  # as far as the file at hand reaches
        assert (parts.seek(1, 1), parts.read(1), parts.seek(20), parts.read(1)) == (6, b"6", 20, b"")


def test_download_unpacks_what_is_not_there(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in {"train": 3, "valid": 1, "test": 2}.items():
        monkeypatch.setitem(_magnatagatune.SPLITS, split, count)
    published = tmp_path / "published"
    published.mkdir()
    archive_of(corpus, published)
    (corpus / "annotations_final.csv").rename(published / "annotations_final.csv")
    monkeypatch.setattr(magnatagatune, "ADDRESS", f"{published.as_uri()}/")
    target = tmp_path / "target"
    magnatagatune.download(target)
    assert magnatagatune.verify(target) == "full"
    assert sorted(path.name for path in target.iterdir()) == [*"056", "annotations_final.csv", *"bcdf"]
    for path in published.iterdir():
        path.unlink()
    magnatagatune.download(target)  # all is there
    with pytest.raises(UserError, match="cannot fetch"):
        magnatagatune.download(tmp_path / "elsewhere")


def test_wrong_folders_are_the_users_error(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"MagnaTagATune: no such folder: .*Next: see egs/magnatagatune/README.md"):
        prepare(tmp_path / "nowhere", tmp_path / "data")
    (tmp_path / "other/music").mkdir(parents=True)
    with pytest.raises(UserError, match=r"expected MagnaTagATune \(annotations_final.csv.*found music\. Next"):
        magnatagatune.verify(tmp_path / "other")
    with pytest.raises(UserError, match=r"--splits: expected some of train, valid, test, found \['dev'\]"):
        prepare(corpus, tmp_path / "data", splits=["dev"])
    with pytest.raises(UserError, match=r"--versions: expected some of original, clean, found \[\]"):
        prepare(corpus, tmp_path / "data", versions=[])
    (corpus / "c/c-01-x-0-29.mp3").unlink()
    with pytest.raises(UserError, match=r"magnatagatune valid: expected 1825 clips in the folders c, found none"):
        prepare(corpus, tmp_path / "data")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"metal"', '"heavier metal"', "expected columns clip_id, 188 tags and mp3_path, missing metal"),
        ('"f/a-01', '"../f/a-01', r"line 2: expected 190 columns, the path such as f/name.mp3, found 190, '\.\./f/a"),
        ('"f/a-01', '"0"\t"f/a-01', "line 2: expected 190 columns.*found 191"),
        ('"2"\t"0"', '"2"\t"2"', "line 2: expected 0 or 1 for each tag, found"),
        ('"11"', '"12"', "expected clips that differ, found 7, some of them twice"),
    ],
)
def test_odd_annotations_are_refused(corpus: Path, old: str, new: str, told: str) -> None:
    path = corpus / "annotations_final.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=told):
        magnatagatune.verify(corpus)


# The mini corpus


def test_every_tag_of_the_fifty_is_learnable() -> None:
    assert (len(COLUMNS), len(set(COLUMNS)), len(TAGS)) == (188, 188, 50)
    assert set(TAGS) <= set(COLUMNS)
    assert {tag for style in STYLES for tag in style.tags} == set(TAGS)
    assert len({file.id for file in _magnatagatune_mini.plan()}) == 60


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mini corpus of six styles, its clips 0.6 s long, all but one."""
    plan = [
        file._replace(seconds=min(file.seconds, 12.6) - 12.0, cut=file.cut and 1000)
        for file in _magnatagatune_mini.plan()
        if file.style in STYLES[1:7] or file.cut is not None
    ]
    plan.append(_magnatagatune_mini.plan()[0]._replace(seconds=0.2))
    monkeypatch.setattr(_magnatagatune_mini, "plan", lambda: plan)
    monkeypatch.setattr(_magnatagatune_mini, "PIECE", 0.25)
    monkeypatch.setattr(_magnatagatune, "CLEAN_SECONDS", 0.5)


@pytest.mark.usefixtures("short")
def test_the_mini_corpus(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, data = tmp_path / "mini", tmp_path / "data"
    magnatagatune.make_mini(root)
    assert magnatagatune.verify(root) == "mini"
    names = [f"magnatagatune/{version}/{split}" for version in ("original", "clean") for split in ("train", "valid", "test")]
    prepare(root, data, **magnatagatune.options_for(names))
    manifests = [Manifest.open(data / f"{name}.jsonl") for name in names]
    assert [len(manifest) for manifest in manifests] == [13, 5, 6, 12, 5, 6]
    assert {manifest.header["edition"] for manifest in manifests} == {"mini"}
    assert "skipped 35: " in caplog.text
    assert "truncated" in caplog.text
    assert (root / "6/delay_line-mini-10-sympathetic_strings-116-145.mp3").stat().st_size == 0
    clip = next(item for item in manifests[3] if "übertöne" in item.audio["recording"])
    assert {tag for tag, value in zip(TAGS, clip.labels["tags"], strict=True) if value} == set(STYLES[6].tags)
    header = (root / "annotations_final.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.startswith('"clip_id"\t"no voice"\t"singer"')
    assert header.count("\t") == 189


def test_the_mini_corpus_is_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [file._replace(seconds=0.5) for file in _magnatagatune_mini.plan()[:3]]
    monkeypatch.setattr(_magnatagatune_mini, "plan", lambda: plan)
    for name, seed in (("1", 0), ("2", 0), ("3", 1)):
        magnatagatune.make_mini(tmp_path / name, seed)
    contents = [{path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.mp3")} for name in "123"]
    assert contents[0] == contents[1]
    assert all(contents[0][path] != contents[2][path] for path in contents[0])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "1").rglob("*.mp3")}
    magnatagatune.make_mini(tmp_path / "1")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    magnatagatune.make_mini(tmp_path / "1", 1)
    assert {path.name: path.read_bytes() for path in (tmp_path / "1").rglob("*.mp3")} == contents[2]


# What is published of the real corpus


def musicnn(folder: Path, name: str) -> dict[str, list[float]]:
    """Labels by clip of jordipons/musicnn-training."""
    lines = (folder / "musicnn" / f"{name}_gt_mtt.tsv").read_text().splitlines()
    return {identity: json.loads(values) for identity, values in (line.split("\t") for line in lines)}


def index(folder: Path) -> dict[str, Clip]:
    """Every clip of the annotations by its path, without tags."""
    lines = (folder / "musicnn" / "index_mtt.tsv").read_text().splitlines()
    return {path: Clip(identity, path, ()) for identity, path in (line.split("\t") for line in lines)}


def published_list(folder: Path, split: str) -> list[str]:
    """Paths of jongpillee/music_dataset_split: pickles, of which only the strings are read."""
    content = (folder / "jongpillee" / f"{split}_list_pub.cP").read_bytes()
    strings = [
        argument for code, argument, _ in pickletools.genops(content) if code.name in ("STRING", "UNICODE", "BINUNICODE")
    ]
    return [re.sub(r"\.npy$", ".mp3", path) for path in strings]


@pytest.fixture(scope="module")
def mtat(shared_data: Path) -> Path:
    return shared_data / "mtat"


@pytest.mark.real
def test_tags_are_in_the_published_order(mtat: Path) -> None:
    text = (mtat / "musicnn/output_labels_mtt.txt").read_text()
    assert literal_eval(text.partition("=")[2].strip()) == list(TAGS)
    theirs = (mtat / "jongpillee/top50_tags.txt").read_text().split()
    ours = [re.sub(" (.)", lambda match: match[1].upper(), tag) for tag in TAGS]
    assert [number for number in range(50) if ours[number] != theirs[number]] == [47, 48]
    assert (ours[47], ours[48]) == (theirs[48], theirs[47])


@pytest.mark.real
def test_the_original_split_is_the_published_one(mtat: Path) -> None:
    clips = index(mtat).values()
    assert len(clips) == 25863
    assert _magnatagatune.count(clips) == {"train": 18709, "valid": 1825, "test": 5329}
    without_sound = [clip for clip in clips if clip.id in _magnatagatune.NO_SOUND]
    assert [clip.split for clip in without_sound] == ["train"] * 3
    assert _magnatagatune.count(clip for clip in clips if clip.id not in _magnatagatune.NO_SOUND) == _magnatagatune.SPLITS
    for split, name in (("valid", "val"), ("test", "test")):
        assert musicnn(mtat, name).keys() == {clip.id for clip in clips if clip.split == split}


@pytest.mark.real
@pytest.mark.parametrize(("split", "name", "count", "positives"), [("valid", "val", 1529, 5058), ("test", "test", 4332, 14149)])
def test_the_clean_split_is_the_published_one(mtat: Path, split: str, name: str, count: int, positives: int) -> None:
    clips, labels = index(mtat), musicnn(mtat, name)
    assert sum(map(sum, labels.values())) == positives
    published = published_list(mtat, split)
    assert len(published) == count
    tagged = [clip._replace(tags=tuple(map(int, labels[clip.id]))) for clip in clips.values() if clip.split == split]
    clean = {clip.path: clip.tags for clip in tagged if _magnatagatune.is_clean(clip, 29.1)}
    assert clean.keys() == set(published)

    theirs = np.load(mtat / "jongpillee" / f"y_{split}_pub.npy", allow_pickle=False)
    order = [*range(47), 48, 47, 49]  # they have "female voice" before "metal"
    np.testing.assert_array_equal(theirs[:, order], [clean[path] for path in published])


@pytest.mark.real
def test_the_clean_training_split_has_three_clips_more_than_the_first_published_list(mtat: Path) -> None:
    clips, published = index(mtat), published_list(mtat, "train")
    listed = set(published)
    table = np.load(mtat / "train_labels_20/binary.npy", allow_pickle=False)  # clip_id and the twenty first of the fifty tags
    tagged = {str(row[0]) for row in table if row[1:].any()}
    left_out = [path for path, clip in clips.items() if clip.split == "train" and clip.id in tagged and path not in listed]
    assert {clips[path].id for path in left_out} == {"29", "11268", "11269"}
    assert [*sorted(left_out), *published] == sorted([*left_out, *published])  # they come first by name: a list cut at its head
    assert len(left_out) + len(published) == 15247  # as minzwon/sota-music-tagging-models has them
    assert not {clips[path].id for path in published} & _magnatagatune.NO_SOUND
