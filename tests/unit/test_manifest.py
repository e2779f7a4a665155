"""Manifests: written sorted, read lazily, checked."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.data import manifest
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError


def item(id: str, frames: int = 8000) -> Item:
    return Item(id, "tr", 8000, frames, 1, {"mixture": f"mix/{id}.wav", "s1": f"s1/{id}.wav"}, {"speakers": ["a", "b"]})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lists" / "tr.jsonl"
    manifest.write(path, {"name": "tiny", "root": "../audio", "edition": "mini"}, [item("b"), item("a", 4000)])
    opened = Manifest.open(path)
    assert len(opened) == 2
    assert [found.id for found in opened] == ["a", "b"]
    assert opened[1] == item("b")
    assert opened[0].seconds == 0.5
    assert opened[0].sources == ["s1"]
    assert opened.path_of(opened[0], "s1") == tmp_path.resolve() / "audio" / "s1" / "a.wav"
    assert (opened.header["edition"], opened.header["items"]) == ("mini", 2)
    assert opened.header["hours"] == pytest.approx(1.5 / 3600, abs=1e-4)
    with pytest.raises(IndexError):
        opened[2]
    with pytest.raises(UserError, match=r"tr\.jsonl: a: expected a file for the role 's2', found mixture, s1\. Next"):
        opened.path_of(opened[0], "s2")


@settings(max_examples=30, deadline=None)
@given(ids=st.lists(st.text(min_size=1).filter(manifest._is_name), min_size=1, unique=True))
def test_any_id_is_kept(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    path = tmp_path_factory.mktemp("any") / "tr.jsonl"
    manifest.write(path, {"root": "."}, [item(id) for id in ids])
    opened = Manifest.open(path)
    assert [opened[index].id for index in range(len(opened))] == sorted(ids)


@given(ids=st.lists(st.text('ab\n"é\u2028', min_size=1, max_size=3), min_size=1, max_size=12, unique=True))
def test_more_items_than_are_sorted_in_memory(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    folder = tmp_path_factory.mktemp("many")
    manifest.write(folder / "once.jsonl", {"root": "."}, (item(id) for id in ids))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "SORTED", 2)
        manifest.write(folder / "spilled.jsonl", {"root": "."}, (item(id) for id in ids))
        with pytest.raises(UserError, match="stands twice"):
            manifest.write(folder / "twice.jsonl", {"root": "."}, (item(id) for id in [*ids, *ids]))
    assert (folder / "spilled.jsonl").read_bytes() == (folder / "once.jsonl").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["once.jsonl", "spilled.jsonl"]


def test_few_items_with_long_labels_are_sorted_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sorted_at_once: list[int] = []
    spilled = manifest._spilled

    def counted(lines, stream):
        sorted_at_once.append(len(lines))
        return spilled(lines, stream)

    monkeypatch.setattr(manifest, "_spilled", counted)
    monkeypatch.setattr(manifest, "SORTED", 2500)
    manifest.write(tmp_path / "all.jsonl", {"root": "."}, (replace(item(id), labels={"f0": [0] * 300}) for id in "gfedcba"))
    assert sorted_at_once == [3, 3]
    assert [one.id for one in Manifest.open(tmp_path / "all.jsonl")] == [*"abcdefg"]


@pytest.mark.parametrize("id", ["", "/a", "..", "a/../b"])
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, id: str) -> None:
    with pytest.raises(UserError, match="id: expected a name, found"):
        manifest.write(tmp_path / "tr.jsonl", {"root": "."}, [item(id)])
    assert not (tmp_path / "tr.jsonl").exists()


def test_the_folder_of_the_data_follows_from_the_name(tmp_path: Path) -> None:
    path = tmp_path / "wsj0-2mix" / "8k" / "tr.jsonl"
    manifest.write(path, {"root": ".", "name": "wsj0-2mix/8k/tr"}, [item("a")])
    opened = Manifest.open(path)
    assert (opened.name, opened.data) == ("wsj0-2mix/8k/tr", tmp_path)
    manifest.write(path, {"root": "."}, [item("a")])
    with pytest.raises(UserError, match="line 1: expected a name, found none"):
        _ = Manifest.open(path).data


def test_the_root_moves_with_its_tree(tmp_path: Path) -> None:
    (tmp_path / "data" / "audio").mkdir(parents=True)
    path = tmp_path / "data" / "lists" / "tr.jsonl"
    root = manifest.relative_root(path, tmp_path / "data" / "audio")
    manifest.write(path, {"root": root}, [item("a")])
    (tmp_path / "data").rename(tmp_path / "moved")
    opened = Manifest.open(tmp_path / "moved" / "lists" / "tr.jsonl")
    assert opened.root == (tmp_path / "moved" / "audio").resolve()


def test_nothing_is_written_without_items_or_with_one_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="tiny: no usable item"):
        manifest.write(tmp_path / "tr.jsonl", {"name": "tiny", "root": "."}, [])
    with pytest.raises(UserError, match="the id 'a' stands twice"):
        manifest.write(tmp_path / "tr.jsonl", {"root": "."}, [item("a"), item("a")])
    assert not (tmp_path / "tr.jsonl").exists()


def edited(tmp_path: Path, line: int, **changes: object) -> Path:
    """A manifest of two items in which one line has other values; None takes a key away."""
    path = tmp_path / "tr.jsonl"
    manifest.write(path, {"root": "."}, [item("a"), item("b")])
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    rows[line] = {key: value for key, value in (rows[line] | changes).items() if value is not None}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("line", "changes", "message"),
    [
        (0, {"manifest": 99}, "expected manifest version 1, found 99"),
        (0, {"items": 3}, "expected 3 items, found 2"),
        (1, {"frames": None}, r"line 2: missing or unknown keys \['frames'\]"),
        (2, {"extra": 1}, r"line 3: missing or unknown keys \['extra'\]"),
        (2, {"frames": "many"}, r"line 3: Expected `int`, got `str` - at `\$\.frames`"),
        (2, {"frames": True}, r"line 3: Expected `int`, got `bool` - at `\$\.frames`"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, line: int, changes: dict[str, object], message: str) -> None:
    path = edited(tmp_path, line, **changes)
    with pytest.raises(UserError, match=message):
        list(Manifest.open(path))


def test_a_missing_or_cut_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such manifest: .*Next: run the stage `prepare`"):
        Manifest.open(tmp_path / "tr.jsonl")
    path = edited(tmp_path, 0)
    path.write_text(path.read_text()[:-30])
    with pytest.raises(UserError, match="line 3: not JSON"):
        list(Manifest.open(path))
    path.write_text("")
    with pytest.raises(UserError, match="line 1: not JSON"):
        Manifest.open(path)


def test_what_has_gone_is_told_with_what_brings_it_back() -> None:
    """`prepare` alone finds its manifests, all that it looks at, as they were, and does nothing."""
    assert str(manifest.gone(Path("a.wav"))).endswith("or run the stage `prepare` with --force")
