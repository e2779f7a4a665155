"""OpenMIC-2018: a folder like the archive's to manifests and stored features, on clips that hold no sound."""

import csv
import hashlib
import io
import json
import pickle
import random
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from toolkit.corpora import (
    _openmic2018,
    _openmic2018_mini,
    _openmic2018_ogg,
    _openmic2018_tables,
    openmic2018,
)
from toolkit.corpora._openmic2018 import TAGS
from toolkit.corpora._openmic2018_rules import choose
from toolkit.data.manifest import Manifest
from toolkit.data.store import Store, folder_of
from toolkit.log import UserError

KEYS = {"train": [f"{number:06d}_3840" for number in range(10, 50)], "test": [f"{number:06d}_7680" for number in range(60, 68)]}
ALL = [*KEYS["train"], *KEYS["test"]]


def features_of(key: str) -> np.ndarray:
    return np.random.default_rng(int(key[:6])).integers(0, 256, (10, 128))


def labels_of(key: str) -> dict[str, float]:
    rng = random.Random(key)
    return {tag: rng.choice([0.0, 0.17104999999999998, 0.5, 1.0]) for tag in rng.sample(TAGS, 3)}


def write_archive(path: Path, keys: np.ndarray) -> None:
    """`openmic-2018.npz`, with `sample_key` as Python objects if `keys` is such an array."""
    truth, mask = np.full((len(ALL), len(TAGS)), 0.5), np.zeros((len(ALL), len(TAGS)), bool)
    for row, key in enumerate(ALL):
        for tag, value in labels_of(key).items():
            truth[row, TAGS.index(tag)], mask[row, TAGS.index(tag)] = value, True
    np.savez(path, X=np.stack([features_of(key) for key in ALL]), Y_true=truth, Y_mask=mask, sample_key=keys)


def write_labels(path: Path) -> None:
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["sample_key", "instrument", "relevance", "num_responses"])
        rows.writerows([key, tag, value, 3] for key in ALL for tag, value in labels_of(key).items())


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The archive as it unpacks, with files that are no sound."""
    root = tmp_path / "openmic-2018"
    for key in ALL:
        for kind, suffix, content in (("audio", ".ogg", f"sound of {key}"), ("vggish", ".json", published(key))):
            path = root / kind / key[:3] / f"{key}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    (root / "partitions").mkdir()
    for split, keys in KEYS.items():
        (root / "partitions" / f"split01_{split}.csv").write_text("\n".join(keys) + "\n")
    (root / "class-map.json").write_text(json.dumps({tag: column for column, tag in enumerate(TAGS)}))
    write_archive(root / "openmic-2018.npz", np.array(ALL, dtype=object))
    write_labels(root / "openmic-2018-aggregated-labels.csv")
    return root


def published(key: str) -> str:
    return json.dumps({"time_points": [0.96 * frame for frame in range(10)], "features": features_of(key).tolist()})


def prepare(corpus: Path, data: Path, **options) -> None:
    openmic2018.prepare(corpus, data, nj=1, **options)


def ids(data: Path, name: str) -> list[str]:
    return [item.id for item in Manifest.open(data / f"openmic2018/{name}.jsonl")]


def test_manifests_hold_probabilities_where_clips_are_rated(corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    prepare(corpus, data)
    manifest = Manifest.open(data / "openmic2018/test.jsonl")
    assert [item.id for item in manifest] == KEYS["test"]
    assert manifest.header["tags"] == list(TAGS)
    assert manifest.header["edition"] == "partial (train 40 of 14915, test 8 of 5085 clips)"
    item = manifest[3]
    assert (item.sample_rate, item.frames, item.channels) == (44100, 441000, 2)
    assert item.labels["tags"] == [labels_of(item.id).get(tag) for tag in TAGS]
    assert manifest.path_of(item, "recording") == (corpus / f"audio/000/{item.id}.ogg").resolve()

    for rule in ("attention_mil", "east"):
        train, valid = ids(data, f"{rule}/train"), ids(data, f"{rule}/valid")
        assert sorted(train + valid) == KEYS["train"]
        assert not set(train) & set(valid)


def test_published_features_are_stored_for_each_manifest(corpus: Path, tmp_path: Path) -> None:
    prepare(corpus, tmp_path / "data", rules=["east"])
    for name in ("east/train", "east/valid", "test"):
        store = Store(folder_of(tmp_path / "data", "published/vggish", f"openmic2018/{name}"))
        assert list(store) == ids(tmp_path / "data", name)
        for key in store:
            assert store.read(key).dtype == np.uint8
            np.testing.assert_array_equal(store.read(key), features_of(key))


def test_without_the_archive_the_table_and_the_files_give_the_same(corpus: Path, tmp_path: Path) -> None:
    prepare(corpus, tmp_path / "1")
    (corpus / "openmic-2018.npz").unlink()
    prepare(corpus, tmp_path / "2")
    kept = [[path for path in (tmp_path / run).rglob("*.*") if path.name != ".lock"] for run in "12"]
    contents = [
        {path.relative_to(tmp_path / run): path.read_bytes() for path in paths} for run, paths in zip("12", kept, strict=True)
    ]
    assert len(contents[0]) == 5 * 5  # five manifests, and four files of a store for each
    assert contents[0] == contents[1]


def test_the_folder_itself_or_the_one_it_was_unpacked_in(corpus: Path, tmp_path: Path) -> None:
    for split in KEYS:
        (corpus / f"partitions/split01_{split}.csv").rename(corpus / f"partitions/{split}01.txt")
    assert openmic2018.verify(corpus) == openmic2018.verify(corpus.parent)
    prepare(corpus.parent, tmp_path / "data", splits=["test"], rules=[])
    assert len(ids(tmp_path / "data", "test")) == 8


def test_the_published_split_as_it_is(corpus: Path, tmp_path: Path) -> None:
    prepare(corpus, tmp_path / "data", rules=[], splits=["train", "test"], whole=True)
    assert ids(tmp_path / "data", "train") == sorted(KEYS["train"])
    assert ids(tmp_path / "data", "test") == sorted(KEYS["test"])


def test_a_second_run_leaves_the_features_as_they_are(corpus: Path, tmp_path: Path) -> None:
    stored = tmp_path / "data/features/published/vggish/openmic2018/test/00000.npy"
    prepare(corpus, tmp_path / "data")
    before = stored.stat().st_mtime_ns
    prepare(corpus, tmp_path / "data")
    assert stored.stat().st_mtime_ns == before
    (corpus / "openmic-2018.npz").unlink()
    (corpus / f"vggish/000/{KEYS['test'][0]}.json").write_text(published(KEYS["test"][1]))
    prepare(corpus, tmp_path / "data")
    np.testing.assert_array_equal(np.load(stored)[:10], features_of(KEYS["test"][1]))


# Python objects in the archive


@given(st.lists(st.from_regex(r"[0-9]{6}_[0-9]{1,6}", fullmatch=True), unique=True, max_size=40), st.integers(2, 5))
def test_strings_are_read_from_a_pickle_without_unpickling(strings: list[str], protocol: int) -> None:
    pickled = pickle.dumps(np.array(strings, dtype=object), protocol)
    assert _openmic2018_tables._pickled_strings(io.BytesIO(pickled)) == strings


@pytest.mark.parametrize("count", [1, 1000, 1001, 2500])  # a pickle holds a list in pieces of a thousand
def test_long_lists_of_strings(count: int) -> None:
    strings = [f"{number:06d}_0" for number in range(count)]
    for protocol in (2, 3, 4, 5):
        pickled = pickle.dumps(np.array(strings, dtype=object), protocol)
        assert _openmic2018_tables._pickled_strings(io.BytesIO(pickled)) == strings


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_of_an_archive_is_executed(corpus: Path, tmp_path: Path) -> None:
    write_archive(corpus / "openmic-2018.npz", np.array([Trap(tmp_path / "sprung"), *ALL[1:]], dtype=object))
    with pytest.raises(UserError, match=r"openmic-2018\.npz: cannot be read .*strings in sample_key"):
        prepare(corpus, tmp_path / "data")
    assert not (tmp_path / "sprung").exists()


def test_an_archive_of_plain_strings(corpus: Path) -> None:
    write_archive(corpus / "openmic-2018.npz", np.array(ALL))
    assert _openmic2018_tables.read(corpus).keys == ALL


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        ({"X": np.zeros((48, 10, 64), np.uint8)}, r"expected X of shape \(48, 10, 128\), found \(48, 10, 64\)"),
        ({"X": np.full((48, 10, 128), 256)}, "whole numbers from 0 to 255"),
        ({"Y_true": np.full((48, 20), 1.5)}, "expected probabilities from 0 to 1, found 1.5 to 1.5"),
        ({"Y_mask": np.ones((48, 19), bool)}, r"expected Y_mask of shape \(48, 20\)"),
        ({"sample_key": np.array(["000010_3840"] * 48)}, "found 48 rows of 1 clips"),
        ({"sample_key": np.arange(48)}, "expected strings in sample_key, found int64"),
        ({"sample_key": np.array(ALL[:9])}, r"expected Y_true of shape \(9, 20\), found \(48, 20\)"),
    ],
)
def test_an_archive_that_is_not_the_published_one(corpus: Path, array: dict[str, np.ndarray], reason: str) -> None:
    good = {
        "X": np.zeros((48, 10, 128), np.uint8),
        "Y_true": np.full((48, 20), 0.5),
        "Y_mask": np.ones((48, 20), bool),
        "sample_key": np.array(ALL),
    }
    np.savez(corpus / "openmic-2018.npz", **good)
    _openmic2018_tables.read(corpus)
    np.savez(corpus / "openmic-2018.npz", **good | array)
    with pytest.raises(UserError, match=reason):
        _openmic2018_tables.read(corpus)
    del good["Y_mask"]
    np.savez(corpus / "openmic-2018.npz", **good)
    with pytest.raises(UserError, match="cannot be read"):
        _openmic2018_tables.read(corpus)
    (corpus / "openmic-2018.npz").write_bytes(b"PK nothing")
    with pytest.raises(UserError, match="cannot be read"):
        _openmic2018_tables.read(corpus)


# Validation


def test_the_published_split_file(corpus: Path, tmp_path: Path) -> None:
    valid = [3, 17, 39]
    rows = {"train": np.setdiff1d(np.arange(40), valid), "val": np.array(valid)}
    with (corpus / "train_val.split").open("wb") as stream:
        np.savez(stream, **rows)
    prepare(corpus, tmp_path / "1", rules=["attention_mil"])
    assert ids(tmp_path / "1", "attention_mil/valid") == [KEYS["train"][row] for row in valid]
    header = Manifest.open(tmp_path / "1/openmic2018/attention_mil/train.jsonl").header
    assert header["validation"] == "AttentionMIC's train_val.split: 3 of 40"

    (corpus / "train_val.split").rename(tmp_path / "elsewhere")
    prepare(corpus, tmp_path / "2", rules=["attention_mil"], split_file=tmp_path / "elsewhere")
    assert ids(tmp_path / "2", "attention_mil/valid") == ids(tmp_path / "1", "attention_mil/valid")

    with (corpus / "train_val.split").open("wb") as stream:
        np.savez(stream, train=rows["train"], val=rows["val"][:2])
    with pytest.raises(UserError, match="expected every row from 0 to 39 of the training list once, found 37 \\+ 2 rows"):
        prepare(corpus, tmp_path / "3")
    (corpus / "train_val.split").write_bytes(b"0 1 2")
    with pytest.raises(UserError, match="expected row numbers `train` and `val`"):
        prepare(corpus, tmp_path / "3")


def test_without_the_split_file_as_many_clips_are_drawn(corpus: Path, tmp_path: Path) -> None:
    prepare(corpus, tmp_path / "data", rules=["attention_mil"])
    manifest = Manifest.open(tmp_path / "data/openmic2018/attention_mil/valid.jsonl")
    assert len(manifest) == 6
    assert manifest.header["validation"] == "seeded: 6 of 40, for want of AttentionMIC's train_val.split"


def test_the_draw_of_east(corpus: Path, tmp_path: Path) -> None:
    prepare(corpus, tmp_path / "data", rules=["east"])
    draw = random.Random(2022)
    drawn = [key for key in KEYS["train"] if draw.uniform(0, 1) < 0.15]
    assert ids(tmp_path / "data", "east/valid") == drawn
    header = Manifest.open(tmp_path / "data/openmic2018/east/valid.jsonl").header
    assert header["validation"] == f"EAsT's draw, seed 2022: {len(drawn)} of 40"


def test_names_of_manifests_say_what_to_prepare() -> None:
    names = ["openmic2018/east/train", "openmic2018/east/valid", "openmic2018/test", "magnatagatune/clean/train"]
    assert openmic2018.options_for(names) == {"rules": ["east"], "splits": ["train", "valid", "test"], "whole": False}
    assert openmic2018.options_for(["openmic2018/test"]) == {"rules": [], "splits": ["test"], "whole": False}
    assert openmic2018.options_for(["openmic2018/train"]) == {"rules": [], "splits": ["train"], "whole": True}
    assert openmic2018.options_for([]) == {}
    for wrong in ("openmic2018/valid", "openmic2018/east/test", "openmic2018/west/train"):
        with pytest.raises(UserError, match=rf"expected a name such as openmic2018/train or .*found '{wrong}'"):
            openmic2018.options_for([wrong])


# Errata


def test_the_errata_are_corrected(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = KEYS["test"][0]
    rated = labels_of(key)
    absent = next(tag for tag in TAGS if tag not in rated)
    monkeypatch.setattr(_openmic2018, "CORRECTIONS", ((key, absent), ("095253_134400", "piano")))
    monkeypatch.setattr(_openmic2018, "CORRUPT_TRACKS", (key[:6],))
    prepare(corpus, tmp_path / "1", splits=["test"])
    manifest = Manifest.open(tmp_path / "1/openmic2018/test.jsonl")
    assert manifest[0].labels["tags"][TAGS.index(absent)] == 1.0
    assert manifest.header["errata"] == {"applied": True, "corrected": [f"{key} {absent}"], "corrupt_when_rated": [key]}
    assert len(manifest) == 8  # a clip that was corrupt stays: all published counts have it
    prepare(corpus, tmp_path / "2", splits=["test"], errata=False)
    manifest = Manifest.open(tmp_path / "2/openmic2018/test.jsonl")
    assert manifest[0].labels["tags"][TAGS.index(absent)] is None
    assert manifest.header["errata"] == {"applied": False}


def test_a_label_that_is_right_already_stays(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = next(key for key in KEYS["test"] if 1.0 in labels_of(key).values())
    present = next(tag for tag, value in labels_of(key).items() if value == 1.0)
    monkeypatch.setattr(_openmic2018, "CORRECTIONS", ((key, present),))
    prepare(corpus, tmp_path / "data", splits=["test"])
    assert Manifest.open(tmp_path / "data/openmic2018/test.jsonl").header["errata"]["corrected"] == []


# Clips that cannot be used


def test_a_clip_without_audio_keeps_its_features(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    missing, empty = KEYS["test"][:2]
    (corpus / f"audio/000/{missing}.ogg").unlink()
    (corpus / f"audio/000/{empty}.ogg").write_bytes(b"")
    prepare(corpus, tmp_path / "data")
    assert caplog.text.count(f"audio missing or empty, only features used, clips: 2: {missing}, {empty}") == 1
    manifest = Manifest.open(tmp_path / "data/openmic2018/test.jsonl")
    assert [bool(item.audio) for item in manifest] == [False] * 2 + [True] * 6
    assert (manifest.header["without_audio"], manifest.header["skipped"]) == (2, 0)
    assert missing in Store(folder_of(tmp_path / "data", "published/vggish", "openmic2018/test"))
    with pytest.raises(UserError, match=r"clips: 2: .*Next: mend the files, or run without --strict"):
        prepare(corpus, tmp_path / "strict", strict=True)


def test_a_clip_with_neither_is_skipped(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (corpus / "openmic-2018.npz").unlink()
    lost, deaf = KEYS["test"][:2]
    (corpus / f"audio/000/{lost}.ogg").unlink()
    (corpus / f"vggish/000/{lost}.json").unlink()
    (corpus / f"vggish/000/{deaf}.json").write_text('{"features": [[1, 2]]}')
    prepare(corpus, tmp_path / "data")
    assert f"neither audio nor features, not used, clips: 1: {lost}" in caplog.text
    assert f"no features of {deaf}: " in caplog.text
    assert "expected features of shape (10, 128), found (1, 2)" in caplog.text
    assert ids(tmp_path / "data", "test") == KEYS["test"][1:]
    assert Manifest.open(tmp_path / "data/openmic2018/test.jsonl").header["skipped"] == 1
    assert list(Store(folder_of(tmp_path / "data", "published/vggish", "openmic2018/test"))) == KEYS["test"][2:]


def test_features_alone_are_enough(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(corpus / "audio")
    prepare(corpus, tmp_path / "data", strict=True)
    assert "no audio here; only features are used" in caplog.text
    assert Manifest.open(tmp_path / "data/openmic2018/test.jsonl").header["without_audio"] == 8


def write_checksums(folder: Path, corpus: Path) -> None:
    """Lists as in the makers' repository."""
    folder.mkdir(exist_ok=True)
    for kind, suffix in (("audio", ".ogg"), ("vggish", ".json")):
        rows = [f"{key},{md5(corpus / kind / '000' / (key + suffix))}\n" for key in ALL]
        (folder / f"openmic-2018-{kind}.csv").write_text("".join([",md5\n", *rows]))


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_files_that_differ_from_the_published_are_left_out(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_checksums(corpus / "checksums", corpus)
    sound, features, gone = KEYS["test"][:3]
    (corpus / f"audio/000/{sound}.ogg").write_text("another sound")
    (corpus / f"vggish/000/{features}.json").write_text(published(sound))
    (corpus / f"audio/000/{gone}.ogg").unlink()
    prepare(corpus, tmp_path / "data", checksums=True)
    assert f"skipped {sound}: expected md5 " in caplog.text
    assert f"skipped {features}: expected md5 " in caplog.text
    assert ids(tmp_path / "data", "test") == KEYS["test"][2:]
    assert Manifest.open(tmp_path / "data/openmic2018/test.jsonl").header["skipped"] == 2
    with pytest.raises(UserError, match=f"checksums: {sound}: expected md5"):
        prepare(corpus, tmp_path / "strict", checksums=True, strict=True)
    prepare(corpus, tmp_path / "unchecked")
    assert ids(tmp_path / "unchecked", "test") == KEYS["test"]


def test_lists_of_checksums_of_other_forms(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UserError, match=r"expected lists of MD5 hashes, found no list\. Next: give --checksum-lists"):
        prepare(corpus, tmp_path / "data", checksums=True)
    wrong = KEYS["test"][0]
    (corpus / "checksums").write_text(f"{'0' * 32}  audio/000/{wrong}.ogg\n{'0' * 32}  vggish/000/999999_0.json\n")
    prepare(corpus, tmp_path / "1", checksums=True)
    assert ids(tmp_path / "1", "test") == KEYS["test"][1:]
    (corpus / "checksums").unlink()
    (corpus / "vggish/checksums.txt").write_text(f"{wrong} {'0' * 32}\n")
    prepare(corpus, tmp_path / "2", checksums=True)
    assert ids(tmp_path / "2", "test") == KEYS["test"][1:]
    write_checksums(tmp_path / "lists", corpus)
    prepare(corpus, tmp_path / "3", checksums=True, checksum_lists=tmp_path / "lists")
    assert ids(tmp_path / "3", "test") == KEYS["test"]


def test_wrong_folders_are_the_users_error(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"OpenMIC-2018: no such folder: .*Next: see egs/openmic2018/README.md"):
        prepare(tmp_path / "nowhere", tmp_path / "data")
    with pytest.raises(UserError, match=r"expected OpenMIC-2018 \(audio/, partitions/, .*found 000"):
        openmic2018.verify(corpus / "audio")
    with pytest.raises(UserError, match=r"--splits: expected some of train, valid, test, found \['dev'\]"):
        prepare(corpus, tmp_path / "data", splits=["dev"])
    with pytest.raises(UserError, match=r"--rules: expected attention_mil or east, or both, found \[\]"):
        prepare(corpus, tmp_path / "data", rules=[])
    (corpus / "class-map.json").write_text('{"accordion": 1}')
    with pytest.raises(UserError, match=r"class-map.json: expected \{'accordion': 0, .*found \{'accordion': 1\}"):
        prepare(corpus, tmp_path / "data")


def test_wrong_tables_are_the_users_error(corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    partition = corpus / "partitions/split01_test.csv"
    partition.write_text("\n".join([*KEYS["test"][1:], KEYS["train"][0]]))
    with pytest.raises(UserError, match=f"expected different clips in train and test, found in both: {KEYS['train'][0]}"):
        prepare(corpus, tmp_path / "data")
    partition.write_text("\n".join(KEYS["test"][1:]))
    prepare(corpus, tmp_path / "data")
    assert f"in no split, not used, clips: 1: {KEYS['test'][0]}" in caplog.text
    partition.write_text("000099_0\n")
    with pytest.raises(UserError, match=r"openmic2018/test: expected some of 1 clips in .*, found none"):
        prepare(corpus, tmp_path / "data")
    partition.write_text("000099_0\n000099_0\n")
    with pytest.raises(UserError, match="expected keys that differ, found 2, 1 of them different"):
        prepare(corpus, tmp_path / "data")
    partition.unlink()
    with pytest.raises(UserError, match=r"expected split01_test\.csv or test01.txt, found neither"):
        prepare(corpus, tmp_path / "data")


def test_wrong_labels_are_the_users_error(corpus: Path) -> None:
    (corpus / "openmic-2018.npz").unlink()
    labels = corpus / "openmic-2018-aggregated-labels.csv"
    for row in ("000010_3840,theremin,0.5,3", "000010_3840,piano,often,3", "000010_3840"):
        labels.write_text(f"sample_key,instrument,relevance,num_responses\n{row}\n")
        with pytest.raises(UserError, match="line 2: expected sample_key, instrument, relevance"):
            openmic2018.verify(corpus)
    labels.unlink()
    with pytest.raises(UserError, match=r"expected openmic-2018.npz or openmic-2018-aggregated-labels.csv, found neither"):
        openmic2018.verify(corpus)


def test_download_unpacks_what_is_not_there(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, keys in KEYS.items():
        monkeypatch.setitem(_openmic2018.SPLITS, split, len(keys))
    archive = tmp_path / "published/openmic-2018-v1.0.0.tgz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as bundle:
        bundle.add(corpus, "openmic-2018")
    monkeypatch.setattr(_openmic2018, "ADDRESS", archive.as_uri())
    monkeypatch.setattr(_openmic2018, "MD5", md5(archive))
    target = tmp_path / "target"
    openmic2018.download(target)
    assert [path.name for path in target.iterdir()] == ["openmic-2018"]
    assert openmic2018.verify(target) == "full"
    archive.rename(archive.with_suffix(".gone"))
    openmic2018.download(target)  # all is there
    with pytest.raises(UserError, match="cannot fetch"):
        openmic2018.download(tmp_path / "elsewhere")
    archive.write_bytes(b"not what was published")
    with pytest.raises(UserError, match=r"expected md5 .*, found .* \(22 bytes\)"):
        openmic2018.download(tmp_path / "elsewhere")


# The mini corpus


@pytest.mark.parametrize("seed", [0, 1])
def test_every_tag_of_the_mini_corpus_is_rated_present_and_absent(seed: int) -> None:
    clips = _openmic2018_mini.compose(seed)
    assert [clip.key for clip in clips] == sorted(clip.key for clip in clips)
    assert {len(clip.ratings) for clip in clips} == {_openmic2018_mini.RATED}
    for split, count in _openmic2018_mini.CLIPS.items():
        of_split = [clip for clip in clips if clip.split == split]
        assert len(of_split) == count
        for present in (True, False):
            ratings = [r for clip in of_split for r in clip.ratings if r.relevance != 0.5 and (r.relevance > 0.5) == present]
            assert {rating.tag for rating in ratings} == set(TAGS)
    for clip in clips:
        for rating in clip.ratings:
            assert rating.relevance == 0.5 or (rating.relevance > 0.5) == (rating.tag in clip.instruments)
    assert sum(rating.relevance == 0.5 for clip in clips for rating in clip.ratings) == 4


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve clips of noise in the place of sixty with music."""
    compose = _openmic2018_mini.compose
    monkeypatch.setattr(_openmic2018_mini, "compose", lambda seed: [*compose(seed)[:10], *compose(seed)[-2:]])

    def noise(instruments: list[str], seconds: float, sample_rate: int, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).uniform(-0.1, 0.1, (2, round(0.1 * seconds * sample_rate)))

    monkeypatch.setattr(_openmic2018_mini, "play", noise)


@pytest.mark.usefixtures("quick")
def test_the_mini_corpus_is_laid_out_as_published(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    openmic2018.make_mini(tmp_path / "mini")
    root = tmp_path / "mini/openmic-2018"
    assert sorted(path.name for path in root.iterdir()) == [
        "acknowledgement.md",
        "audio",
        "checksums",
        "class-map.json",
        "license-cc-by.txt",
        "mini.json",
        "openmic-2018-aggregated-labels.csv",
        "openmic-2018-individual-responses.csv",
        "openmic-2018-metadata.csv",
        "openmic-2018.npz",
        "partitions",
        "vggish",
    ]
    assert openmic2018.verify(tmp_path / "mini") == openmic2018.verify(root) == "mini"
    sounds = sorted((root / "audio").glob("*/*.ogg"))
    assert len(sounds) == 12
    assert [path.stat().st_size for path in sounds].count(0) == 1
    info = [soundfile.info(path) for path in sounds if path.stat().st_size]
    assert {(each.samplerate, each.channels, each.subtype) for each in info} == {(44100, 2, "VORBIS")}
    assert sorted({each.frames for each in info}) == [17640, 44100]  # one is shorter
    rows = list(csv.DictReader((root / "openmic-2018-metadata.csv").open(encoding="utf-8")))
    assert [row["sample_key"] for row in rows] == [path.stem for path in sounds]
    assert any(not row["artist_name"].isascii() for row in rows)

    prepare(tmp_path / "mini", tmp_path / "data", checksums=True)
    empty = next(path.stem for path in sounds if not path.stat().st_size)
    assert f"audio missing or empty, only features used, clips: 1: {empty}" in caplog.text
    assert "skipped" not in caplog.text
    (root / "openmic-2018.npz").unlink()
    prepare(tmp_path / "mini", tmp_path / "again")
    manifests = [(tmp_path / data / "openmic2018/test.jsonl").read_text() for data in ("data", "again")]
    assert manifests[0] == manifests[1]


@pytest.mark.usefixtures("quick")
def test_the_mini_corpus_is_the_same_again(tmp_path: Path) -> None:
    for name, seed in (("1", 0), ("2", 0), ("3", 1)):
        openmic2018.make_mini(tmp_path / name, seed)
    contents = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")} for name in "123"
    ]
    assert contents[0] == contents[1]
    assert contents[0].keys() == contents[2].keys()
    assert contents[0] != contents[2]
    sound = next((tmp_path / "1").rglob("*.ogg"))
    sound.unlink()
    openmic2018.make_mini(tmp_path / "1")  # is there already
    assert not sound.exists()
    openmic2018.make_mini(tmp_path / "1", seed=1)
    assert {path: (tmp_path / "1" / path).read_bytes() for path in contents[2]} == contents[2]


@pytest.mark.real
def test_metadata_and_labels_of_the_mini_corpus_have_the_published_columns(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "openmic2018/mirdata_sample"
    _openmic2018_mini._write_tables(tmp_path, _openmic2018_mini.compose(0)[:2])
    for path in folder.glob("*.csv"):
        assert (tmp_path / path.name).read_text().splitlines()[0] == path.read_text().splitlines()[0]


def test_ogg_files_are_the_same_bytes_and_sound(tmp_path: Path) -> None:
    time = np.arange(100_000) / 44100
    samples = 0.5 * np.sin(2 * np.pi * time[:, None] * np.array([440, 660]))
    for name in ("1.ogg", "2.ogg"):
        _openmic2018_ogg.write(tmp_path / name, samples, 44100)
    assert (tmp_path / "1.ogg").read_bytes() == (tmp_path / "2.ogg").read_bytes()
    decoded, _ = soundfile.read(tmp_path / "1.ogg")  # a page with a wrong checksum would be left out
    assert decoded.shape == samples.shape
    assert np.abs(decoded - samples).max() < 0.05


# What was published


@pytest.fixture
def published_lists(shared_data: Path, tmp_path: Path) -> Path:
    """The real partitions and class map, with features of nothing."""
    real, root = shared_data / "openmic2018", tmp_path / "openmic-2018"
    shutil.copytree(real / "partitions", root / "partitions")
    shutil.copy(real / "class-map.json", root)
    keys = sorted(key for path in (root / "partitions").iterdir() for key in path.read_text().split())
    with zipfile.ZipFile(root / "openmic-2018.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        arrays = {
            "X": np.zeros((20000, 10, 128), np.uint8),
            "Y_true": np.full((20000, 20), 0.5),
            "Y_mask": np.zeros((20000, 20), bool),
            "sample_key": np.array(keys),
        }
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
    return root


@pytest.mark.real
def test_the_published_splits(shared_data: Path, published_lists: Path, tmp_path: Path) -> None:
    split_file = shared_data / "openmic2018/attentionmic/train_val.split"
    prepare(published_lists, tmp_path / "data", split_file=split_file)
    names = ("attention_mil/train", "attention_mil/valid", "east/train", "east/valid", "test")
    manifests = [Manifest.open(tmp_path / f"data/openmic2018/{name}.jsonl") for name in names]
    assert [len(manifest) for manifest in manifests] == [12678, 2237, 12692, 2223, 5085]
    assert {manifest.header["edition"] for manifest in manifests} == {"full"}
    corrected = manifests[0].header["errata"]
    assert len(corrected["corrected"]) == 3
    assert len(corrected["corrupt_when_rated"]) == 10
    without = choose("attention_mil", [item.id for item in (*manifests[0], *manifests[1])], tmp_path, None)
    assert len(without.keys) == 2237

    # the first and last of suncerock/EAsT-music-classification, openmic_valid.json
    valid = [item.id for item in manifests[3]]
    assert valid[:5] == ["000141_153600", "000208_195840", "000250_26880", "000258_3840", "000384_161280"]
    assert valid[-3:] == ["154972_76800", "154975_84480", "155310_372480"]


@pytest.mark.real
def test_one_real_clip(shared_data: Path, tmp_path: Path) -> None:
    real, root = shared_data / "openmic2018", tmp_path / "openmic-2018"
    shutil.copytree(real, root, ignore=shutil.ignore_patterns("tfrecord*", "attentionmic"))
    for path in (root / "mirdata_sample").glob("*.csv"):
        path.rename(root / path.name)
    prepare(root, tmp_path / "data", rules=["attention_mil"], splits=["train"], checksums=True)
    manifest = Manifest.open(tmp_path / "data/openmic2018/attention_mil/train.jsonl")
    assert manifest.header["edition"] == "partial (train 1 of 14915, test 0 of 5085 clips)"
    item = manifest[0]
    assert item.id == "000046_3840"
    rated = {tag: value for tag, value in zip(TAGS, item.labels["tags"], strict=True) if value is not None}
    assert rated == {"clarinet": 0.17104999999999998, "flute": 0.0, "trumpet": 0.0}
    info = soundfile.info(manifest.path_of(item, "recording"))
    assert (info.frames, info.samplerate, info.channels) == (item.frames, item.sample_rate, item.channels)
    features = Store(folder_of(tmp_path / "data", "published/vggish", "openmic2018/attention_mil/train")).read(item.id)
    published = json.loads((real / "vggish/000/000046_3840.json").read_text())["features"]
    np.testing.assert_array_equal(features, published)
