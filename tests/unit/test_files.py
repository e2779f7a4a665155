"""Files that are whole or not there: atomic writing, downloads, archives."""

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from toolkit import files
from toolkit.log import UserError


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.wav"
    with files.atomic(path) as partial:
        assert partial.suffix == ".wav"
        partial.write_text("content")
        assert not path.exists()
    assert path.read_text() == "content"
    assert list(path.parent.iterdir()) == [path]


def interrupted(path: Path) -> None:
    with files.atomic(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt


def test_an_interrupted_file_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_and_its_lines(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"name": "Größe", "values": [1, 2]})
    assert files.read_json(tmp_path / "a.json") == {"name": "Größe", "values": [1, 2]}
    for number in range(3):
        files.append_jsonl(tmp_path / "b.jsonl", {"number": number, "title": "a line\u2028and another"})
    with (tmp_path / "b.jsonl").open("a") as stream:
        stream.write('{"number": 3, "cut o')  # by a crash
    assert [row["number"] for row in files.read_jsonl(tmp_path / "b.jsonl")] == [0, 1, 2]


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"reprise")
    assert files.sha256(tmp_path / "a") == hashlib.sha256(b"reprise").hexdigest()


def test_a_required_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert files.require_folder(tmp_path / "full", "WSJ0", "Next: --corpus") == tmp_path / "full"
    for name, message in {"empty": "the folder is empty", "file": "found a file", "gone": "no such folder"}.items():
        with pytest.raises(UserError, match=rf"WSJ0: .*{message}.*{name}\. Next: --corpus"):
            files.require_folder(tmp_path / name, "WSJ0", "Next: --corpus")


def test_a_download_is_checked_and_not_repeated(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "data" / "target"
    source.write_bytes(b"published")
    expected = hashlib.sha256(b"published").hexdigest()
    assert files.download(source.as_uri(), target, sha256=expected) == target
    assert target.read_bytes() == b"published"
    source.unlink()
    files.download(source.as_uri(), target, sha256=expected)  # it is there: nothing is fetched
    with pytest.raises(UserError, match=r"cannot fetch .*put the file at"):
        files.download(source.as_uri(), tmp_path / "other", sha256=expected)


def test_a_download_of_another_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"changed")
    with pytest.raises(UserError, match=r"expected sha256 0000 \(9 bytes\), found .* \(7 bytes\)"):
        files.download((tmp_path / "source").as_uri(), tmp_path / "target", sha256="0000", size=9)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def zip_with(path: Path, member: str) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr(member, "content")
    return path


def tar_with(path: Path, member: str) -> Path:
    with tarfile.open(path, "w:gz") as bundle:
        header = tarfile.TarInfo(member)
        header.size = 7
        bundle.addfile(header, io.BytesIO(b"content"))
    return path


@pytest.mark.parametrize("pack", [zip_with, tar_with])
def test_archives(tmp_path: Path, pack) -> None:
    files.extract(pack(tmp_path / "good", "folder/a.txt"), tmp_path / "out")
    assert (tmp_path / "out" / "folder" / "a.txt").read_text() == "content"
    with pytest.raises(UserError, match="would be written outside"):
        files.extract(pack(tmp_path / "bad", "../evil.txt"), tmp_path / "out")
    assert not (tmp_path / "evil.txt").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text(json.dumps("no"))
    with pytest.raises(UserError, match="expected a zip or tar archive"):
        files.extract(tmp_path / "a.zip", tmp_path / "out")
