"""Archives: what is harmless is unpacked, anything else is refused before a byte is written."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from toolkit.corpora import _archives, _magnatagatune_archive
from toolkit.log import UserError


def zip_with(path: Path, member: str, content: bytes = b"content", link: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("folder/first.txt", "first")
        info = zipfile.ZipInfo(member)
        if link:
            info.external_attr = 0o120777 << 16
        bundle.writestr(info, link or content, zipfile.ZIP_DEFLATED)
    return path


def tar_with(path: Path, member: str, content: bytes = b"content", link: str = "", kind: bytes = tarfile.SYMTYPE) -> Path:
    with tarfile.open(path, "w:gz") as bundle:
        first = tarfile.TarInfo("folder/first.txt")
        first.size = 5
        bundle.addfile(first, io.BytesIO(b"first"))
        header = tarfile.TarInfo(member)
        if link:
            header.type, header.linkname = kind, link
        else:
            header.size = len(content)
        bundle.addfile(header, io.BytesIO(content))
    return path


both = pytest.mark.parametrize("pack", [zip_with, tar_with])


@both
def test_what_is_in_an_archive_is_written_file_by_file(tmp_path: Path, pack) -> None:
    _archives.extract(pack(tmp_path / "good", "folder/a.txt"), tmp_path / "out")
    assert (tmp_path / "out" / "folder" / "a.txt").read_text() == "content"
    assert sorted(path.name for path in (tmp_path / "out" / "folder").iterdir()) == ["a.txt", "first.txt"]


@both
@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "folder/../../evil.txt"])
def test_paths_that_leave_the_folder_are_refused(tmp_path: Path, pack, name: str) -> None:
    with pytest.raises(UserError, match="would be written outside"):
        _archives.extract(pack(tmp_path / "bad", name), tmp_path / "out")
    assert not (tmp_path / "evil.txt").exists()
    assert not list((tmp_path / "out").iterdir())  # not even the harmless files


@both
@pytest.mark.parametrize("target", ["../../etc/passwd", "/etc/passwd"])
def test_links_that_point_outside_are_refused(tmp_path: Path, pack, target: str) -> None:
    with pytest.raises(UserError, match=r"the link 'folder/link' points outside"):
        _archives.extract(pack(tmp_path / "bad", "folder/link", link=target), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@both
def test_links_that_stay_inside_are_left_out_and_named(tmp_path: Path, pack, caplog: pytest.LogCaptureFixture) -> None:
    _archives.extract(pack(tmp_path / "links", "folder/link", link="first.txt"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "folder").iterdir()] == ["first.txt"]
    assert "left out: folder/link" in caplog.text


def test_a_hard_link_is_named_from_the_root_of_the_archive(tmp_path: Path) -> None:
    _archives.extract(
        tar_with(tmp_path / "in", "folder/deep/link", link="folder/first.txt", kind=tarfile.LNKTYPE), tmp_path / "out"
    )
    with pytest.raises(UserError, match="points outside"):
        _archives.extract(tar_with(tmp_path / "bad", "folder/link", link="../secret", kind=tarfile.LNKTYPE), tmp_path / "out")


@both
def test_what_would_never_end_is_refused(tmp_path: Path, pack, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = pack(tmp_path / "bomb", "zeros", bytes(300_000))  # of about a kilobyte
    _archives.extract(bomb, tmp_path / "small")  # little enough to be harmless
    monkeypatch.setattr(_archives, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match=r"bomb: refused: its .* bytes would become 300,005 or more, over 100 times as many"):
        _archives.extract(bomb, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_an_archive_that_lies_about_its_size_writes_nothing_beyond_it(tmp_path: Path) -> None:
    lying = zip_with(tmp_path / "lying.zip", "zeros", bytes(300_000))
    packed = lying.read_bytes()
    assert packed.count((300_000).to_bytes(4, "little")) == 2
    lying.write_bytes(packed.replace((300_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(UserError, match=r"damaged.*Next: remove it and fetch it again"):
        _archives.extract(lying, tmp_path / "out")
    assert not (tmp_path / "out" / "zeros").exists()


def test_more_than_fits_on_the_disk_is_told_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = zip_with(tmp_path / "good", "a.txt")
    monkeypatch.setattr(_archives.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 11}))
    with pytest.raises(UserError, match=r"GB of room in .*Next: make room"):
        _archives.extract(good, tmp_path / "out")
    (tmp_path / "out" / "a.txt").write_text("content")  # by an earlier try
    _archives.extract(good, tmp_path / "out")


@both
def test_a_damaged_archive_is_told(tmp_path: Path, pack) -> None:
    noise = bytes((index * index * 7919 >> 5) & 255 for index in range(50_000))
    path = pack(tmp_path / "cut", "a.bin", noise)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"cut: the archive is damaged: .*Next: remove it and fetch it again"):
        _archives.extract(path, tmp_path / "out")
    assert not (tmp_path / "out" / "a.bin").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text(json.dumps("no"))
    with pytest.raises(UserError, match="expected a zip or tar archive"):
        _archives.extract(tmp_path / "a.zip", tmp_path / "out")


def test_the_archive_in_parts_has_the_same_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zip_with(tmp_path / "mp3.zip", "f/zeros.mp3", bytes(300_000))
    monkeypatch.setattr(_archives, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="refused"):
        _magnatagatune_archive.extract([bomb], tmp_path / "out")
    assert not (tmp_path / "out").exists()
