"""Files that are either whole or not there: atomic writing, hashes, downloads."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import os
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from toolkit import log

if TYPE_CHECKING:
    from torch import Tensor

HERE = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]  # numbers of processes are a machine's own
ROOM = bytes(1 << 16)  # what is written to learn whether anything can be
NEXT = {  # what a user does about a machine that refuses
    **dict.fromkeys(("ENOSPC", "EDQUOT", "EFBIG"), "make room and run the same command again; what is finished is kept"),
    **dict.fromkeys(("EACCES", "EPERM", "EROFS"), "mend its permissions, or give a folder that you may write to"),
    **dict.fromkeys(
        ("EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT"),
        "see to the disk or the network and run the same command again; what is finished is kept",
    ),
    "EISDIR": "give the name of a file, or remove the folder that stands in its place",
    **dict.fromkeys(("ENOTDIR", "EEXIST"), "give the name of a folder, or remove the file that stands in its place"),
    **dict.fromkeys(("ENAMETOOLONG", "ELOOP"), "give a shorter name"),
}
AGAIN = "bring back a copy, or run the stage that wrote it with --force"  # of a file that is not as it was written

logger = log.get(__name__)


def advice(error: OSError) -> str | None:
    """One line for whoever can mend it: what the system refused, where, and what to do; None where a program is to blame."""
    step = NEXT.get(errno.errorcode.get(error.errno or 0, ""))
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror}{where}. Next: {step}" if step else None


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Give a temporary name beside `path`; it becomes `path` when the block ends well and vanishes when it does not.

    The temporary name keeps the suffix, since writers choose the format by it.

    Raises:
        OSError: the disk is full, or nothing may be written; raised in place of whatever the writer made of that.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}-{HERE}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _require_room(path)
        os.replace(partial, path)
    except OSError as error:
        told = error if error.errno else _refusal(partial) or error  # NumPy's has no number
        told.filename = str(path) if told.filename in (None, str(partial)) else told.filename
        raise told from (None if told is error else error)
    except Exception as error:  # of safetensors, torch, libsndfile or ffmpeg, who say each in their own way that a disk is full
        if (refused := _refusal(partial)) is None:
            raise
        refused.filename = str(path)
        raise refused from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def sweep(folder: Path) -> None:
    """Remove what killed processes of this machine have left half-written in a folder and below."""
    for path in folder.rglob(".*.partial*"):
        found = re.search(rf"\.(\d+)-{HERE}\.partial", path.name)
        if found and not _is_alive(int(found[1])):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _require_room(path: Path) -> None:
    """Refuse what was written on a disk that is full now: libsndfile does not tell of a last block that found no room.

    Raises:
        OSError: it is full.
    """
    found = os.statvfs(path.parent)
    if found.f_bavail * found.f_frsize > len(ROOM):
        return
    probe = path.with_name(f".{path.stem}.{os.getpid()}.probe")
    refused = _refusal(probe)  # root may find room where others do not
    with contextlib.suppress(OSError):
        probe.unlink()
    if refused is not None:
        raise refused


def _refusal(path: Path) -> OSError | None:
    """Why nothing more can be written to a file, in the system's words; None where it can."""
    try:
        with path.open("ab") as stream:
            stream.write(ROOM)
    except OSError as error:
        return error
    return None


def write_text(path: Path | str, text: str) -> None:
    """Write `text` atomically as UTF-8."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` atomically as readable JSON."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_text(path: Path | str, again: str = AGAIN) -> str:
    """Read a file of UTF-8.

    Args:
        path: the file.
        again: what to do where it is not as it should be.

    Raises:
        UserError: it is missing, is a folder, or holds something else.
    """
    _require_file(Path(path), again)
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        found = f"found the byte {error.object[error.start]:#04x} at {error.start}"
        raise log.UserError(f"{path}: expected text in UTF-8, {found}. Next: {again}") from error


def read_json(path: Path | str, form: Any = Any, again: str = AGAIN) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        form: type that its value must be of, as of `misfit`.
        again: what to do where it is not as it should be.

    Raises:
        UserError: it is missing, is a folder, is no JSON, or its value is of another form.
    """
    return _parsed(read_text(path, again), str(path), form, again)


def read_jsonl(path: Path | str, form: Any = dict[str, Any], again: str = AGAIN) -> list[Any]:
    """Read JSON Lines; a last line that a crash cut off is left out.

    Args:
        path: the file.
        form: type that the value of each line must be of, as of `misfit`.
        again: what to do where it is not as it should be.

    Raises:
        UserError: it is missing, is a folder, or a line is no JSON or of another form.
    """
    _require_file(Path(path), again)
    *lines, _ = Path(path).read_bytes().split(b"\n")  # as bytes, since a crash may cut a character too
    return [_parsed(line, f"{path}, line {number}", form, again) for number, line in enumerate(lines, 1)]


def read_tensors(path: Path | str, again: str = AGAIN) -> dict[str, Tensor]:
    """Read a safetensors file.

    Args:
        path: the file.
        again: what to do where it is not as it should be.

    Raises:
        UserError: it is missing, is a folder, or no safetensors file; a pickled one is not opened.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _require_file(Path(path), again)
    with Path(path).open("rb"):  # safetensors says of what may not be read that it is not there
        pass
    try:
        return load_file(path)
    except SafetensorError as error:
        raise log.UserError(
            f"{path} is no safetensors file, or is damaged ({error}); pickled weights (.pt, .pth) could run code and are not "
            f"opened. Next: {again}"
        ) from error


def write_tensors(path: Path | str, tensors: dict[str, Tensor], about: dict[str, str] | None = None) -> None:
    """Write a safetensors file atomically, as readable as other new files: safetensors by itself lets nobody else read it.

    Args:
        path: the file.
        tensors: what stands in it; any shapes and devices.
        about: words for the file's header.
    """
    from safetensors.torch import save_file

    with atomic(path) as partial:
        partial.touch()
        mode = partial.stat().st_mode
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial, about)
        partial.chmod(mode)


def misfit(value: Any, form: Any) -> str:
    """What of plain values (of JSON, of YAML) is not of a type; empty if all is.

    Args:
        value: null, a number, a text, or lists and dicts of such.
        form: ``int | None``, ``list[str]``, ``dict[str, float]``, a TypedDict (further keys are let pass), or Any.

    Returns:
        As msgspec says it: ``Expected `str`, got `int` - at `$.config```.
    """
    try:
        msgspec.convert(value, form)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _parsed(text: str | bytes, where: str, form: Any, again: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise log.UserError(f"{where}: not JSON ({error}). Next: {again}") from error
    if wrong := misfit(value, form):
        raise log.UserError(f"{where}: {wrong}. Next: {again}")
    return value


def _require_file(path: Path, again: str) -> None:
    if not path.is_file():
        found = "expected a file, found a folder" if path.is_dir() else "no such file"
        raise log.UserError(f"{found}: {path}. Next: {again}")


def append_jsonl(path: Path | str, value: dict[str, Any]) -> None:
    """Append one line to a JSON Lines file; what a crash has left of a line before it goes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("ab+") as stream:
            _drop_cut_line(stream)
            stream.write((json.dumps(value, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        error.filename = str(path)
        raise


def _drop_cut_line(stream: IO[bytes]) -> None:
    end = stream.seek(0, os.SEEK_END)
    if not end:
        return
    stream.seek(end - 1)
    if stream.read(1) != b"\n":
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)


def sha256(path: Path | str) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    return _digest(path, "sha256")


def md5(path: Path | str) -> str:
    """Hexadecimal MD5 of a file's content, for lists that publish this hash."""
    return _digest(path, "md5")


def _digest(path: Path | str, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def require_folder(path: Path | str, what: str, next_step: str) -> Path:
    """The folder at `path`.

    Raises:
        UserError: nothing is there, it is a file, or it is empty.
    """
    path = Path(path)
    if not path.exists():
        raise log.UserError(f"{what}: no such folder: {path}. {next_step}")
    if not path.is_dir():
        raise log.UserError(f"{what}: expected a folder, found a file: {path}. {next_step}")
    if next(path.iterdir(), None) is None:
        raise log.UserError(f"{what}: the folder is empty: {path}. {next_step}")
    return path


def download(url: str, path: Path | str, sha256: str | None = None, size: int | None = None, *, md5: str | None = None) -> Path:
    """Fetch `url` to `path`, going on where an earlier try stopped, and check its content.

    Args:
        url: official address (https:, http: or file:).
        path: of the file to make; returned at once if it is there with the right content.
        sha256: expected hash, in hexadecimal; without any hash the content is not checked.
        size: expected bytes, told where the content is another.
        md5: expected hash where the makers publish this one.

    Raises:
        UserError: the address cannot be reached, or the content is not the published one.
    """
    path = Path(path)
    algorithm, expected = ("md5", md5) if md5 is not None else ("sha256", sha256)
    if path.exists() and expected in (None, _digest(path, algorithm)):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".download")
    try:
        _receive(url, partial)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise log.UserError(
            f"cannot fetch {url} ({error}). Next: run the same command again to go on, or put the file at {path} yourself"
        ) from error
    found = _digest(partial, algorithm)
    if expected not in (None, found):
        length = partial.stat().st_size
        partial.unlink()
        raise log.UserError(
            f"{url}: expected {algorithm} {expected}{f' ({size} bytes)' if size else ''}, found {found} ({length} bytes). "
            "Next: run the same command again; if it repeats, the published file has changed"
        )
    os.replace(partial, path)
    return path


def _receive(url: str, partial: Path) -> None:
    """Fetch to `partial` what is not there yet.

    Raises:
        OSError: it cannot be had, or the connection ended too early.
    """
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    logger.info("fetching %s%s", url, f" (from byte {have})" if have else "")
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # there is nothing beyond what we have
            if (error.headers.get("Content-Range") or "").endswith(f"/{have}"):
                return  # an earlier run was ended when all was there, before it was checked
            partial.unlink(missing_ok=True)  # of a longer file that stood there before
        raise
    with response:
        resumed = getattr(response, "status", None) == 206
        with partial.open("ab" if resumed else "wb") as stream:
            while block := response.read(1 << 20):
                stream.write(block)
        length = response.headers.get("Content-Length")
        expected = None if length is None else int(length) + (have if resumed else 0)
    if expected is not None and (found := partial.stat().st_size) < expected:
        raise ConnectionError(f"the connection ended after {found} of {expected} bytes")
