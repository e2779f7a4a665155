"""Files that are either whole or not there: atomic writing, hashes, downloads, archives."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit import log

logger = log.get(__name__)


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Give a temporary name beside `path`; it becomes `path` when the block ends well and vanishes when it does not.

    The temporary name keeps the suffix, since writers choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` atomically as UTF-8."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` atomically as readable JSON."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_jsonl(path: Path | str) -> list[dict[str, Any]]:
    """Read JSON Lines; a last line that a crash cut off is left out."""
    *lines, _ = (
        Path(path).read_text(encoding="utf-8").split("\n")
    )  # not `splitlines`, which also cuts at U+2028 within a string
    return [json.loads(line) for line in lines]


def append_jsonl(path: Path | str, value: dict[str, Any]) -> None:
    """Append one line to a JSON Lines file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(value, ensure_ascii=False) + "\n")


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
        path: where the file shall stand; returned at once if it is there with the right content.
        sha256: expected hash, in hexadecimal; without any hash the content is not checked.
        size: expected bytes, shown in errors and used to see a short download early.
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
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    logger.info("fetching %s%s", url, f" (from byte {have})" if have else "")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            resumed = getattr(response, "status", None) == 206
            with partial.open("ab" if resumed else "wb") as stream:
                while block := response.read(1 << 20):
                    stream.write(block)
    except (urllib.error.URLError, OSError) as error:
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


def extract(archive: Path | str, folder: Path | str) -> None:
    """Unpack a zip or tar archive below `folder`; a member that would land outside is refused.

    Raises:
        UserError: a member's path leaves `folder`, or the archive's kind is unknown.
    """
    archive, folder = Path(archive), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            _refuse_outside(archive, folder, bundle.namelist())
            bundle.extractall(folder)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as bundle_tar:
            members = [m for m in bundle_tar.getmembers() if m.isfile() or m.isdir()]
            _refuse_outside(archive, folder, [m.name for m in members])
            bundle_tar.extractall(folder, members=members)
    else:
        raise log.UserError(f"{archive}: expected a zip or tar archive. Next: fetch it again")


def _refuse_outside(archive: Path, folder: Path, names: list[str]) -> None:
    base = folder.resolve()
    for name in names:
        if not (base / name).resolve().is_relative_to(base):
            raise log.UserError(f"{archive}: member {name!r} would be written outside {folder}. Next: get a clean archive")
