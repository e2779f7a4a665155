"""Files that are whole or not there: atomic writing, downloads."""

import errno
import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch

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


def test_weights_are_as_readable_as_other_files(tmp_path: Path) -> None:
    """A colleague on a shared server is to load them; what safetensors writes by itself only its owner may read."""
    (tmp_path / "run.json").touch()
    files.write_tensors(tmp_path / "model.safetensors", {"weight": torch.arange(6.0).view(2, 3).T})
    assert files.read_tensors(tmp_path / "model.safetensors")["weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "run.json").stat().st_mode
    assert len(list(tmp_path.iterdir())) == 2


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


def failing(path: Path, error: Exception) -> None:
    with files.atomic(path) as partial:
        partial.write_text("half")
        raise error


def test_whatever_a_writer_says_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="unexpected pos"):
        failing(tmp_path / "a.pt", RuntimeError("unexpected pos 576 vs 534"))  # there is room: it was something else
    monkeypatch.setattr(files, "_refusal", lambda path: OSError(errno.ENOSPC, "No space left on device"))
    for error in (RuntimeError("unexpected pos 576 vs 534"), OSError("100 requested and 25 written"), UserError("ffmpeg: no")):
        with pytest.raises(OSError, match=r"No space left on device: .*a\.pt") as caught:
            failing(tmp_path / "a.pt", error)
        assert caught.value.__cause__ is error
    told = files.advice(caught.value)
    assert told is not None
    assert told == f"No space left on device: {tmp_path}/a.pt. Next: make room and run the same command again; " + (
        "what is finished is kept"
    )
    assert files.advice(FileNotFoundError(errno.ENOENT, "No such file")) is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_finished_on_a_full_disk_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.flac").write_text("old")
    monkeypatch.setattr(files, "ROOM", b"")  # less is free than this: never
    files.write_text(tmp_path / "a.flac", "new")
    full = type("Full", (), {"f_bavail": 0, "f_frsize": 4096})
    monkeypatch.setattr(files.os, "statvfs", lambda path: full)
    files.write_text(tmp_path / "a.flac", "newer")  # by one who finds room all the same
    monkeypatch.setattr(files, "_refusal", lambda path: OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        files.write_text(tmp_path / "a.flac", "newest")
    assert (tmp_path / "a.flac").read_text() == "newer"


def test_json_and_its_lines(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"name": "Größe", "values": [1, 2]})
    assert files.read_json(tmp_path / "a.json") == {"name": "Größe", "values": [1, 2]}
    for number in range(3):
        files.append_jsonl(tmp_path / "b.jsonl", {"number": number, "title": "a line\u2028and another"})
    with (tmp_path / "b.jsonl").open("a") as stream:
        stream.write('{"number": 3, "cut o')  # by a crash
    assert [row["number"] for row in files.read_jsonl(tmp_path / "b.jsonl")] == [0, 1, 2]
    files.append_jsonl(tmp_path / "b.jsonl", {"number": 3})
    assert [row["number"] for row in files.read_jsonl(tmp_path / "b.jsonl")] == [0, 1, 2, 3]


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


class Server(BaseHTTPRequestHandler):
    """Serves `published`, from any byte on; the first answer ends too early."""

    published = b"published by its makers"
    cut = 9

    def do_GET(self) -> None:
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        rest = self.published[begin:]
        self.send_response(206 if begin and rest else 200 if rest else 416)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("Content-Range", f"bytes */{len(self.published)}")
        self.end_headers()
        self.wfile.write(rest[: Server.cut])
        Server.cut = 1000

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, 0.01))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/file"
        server.shutdown()
        thread.join()


def test_a_download_goes_on_where_it_stopped(tmp_path: Path, address: str) -> None:
    target, partial = tmp_path / "target", tmp_path / "target.download"
    with pytest.raises(UserError, match=r"the connection ended after 9 of 23 bytes.*run the same command again"):
        files.download(address, target)
    assert partial.read_bytes() == Server.published[:9]
    assert files.download(address, target).read_bytes() == Server.published
    target.rename(partial)  # all was there when it was killed
    assert files.download(address, target).read_bytes() == Server.published
    target.unlink()
    partial.write_bytes(Server.published + b", once longer")
    with pytest.raises(UserError, match="416"):
        files.download(address, target)
    assert files.download(address, target).read_bytes() == Server.published
