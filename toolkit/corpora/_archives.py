"""Archives: unpacked file by file, each whole or not there; what would land outside, or never end, is refused."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from toolkit import files, log
from toolkit.log import UserError

MOST_TIMES = 100  # an archive may hold this many times its own size; recordings shrink to a half, tables to a twentieth
MOST_BYTES = 1 << 30  # or this much, whatever its size
LONGEST_LINK = 4096  # bytes of a path
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, zlib.error),
    *(EOFError, NotImplementedError, RuntimeError),  # cut short; packed in an unknown way; encrypted
)

logger = log.get(__name__)


class Member(NamedTuple):
    """What an archive says of one of its members.

    Attributes:
        name: path, with slashes.
        size: bytes that it will have.
        kind: `file`, `folder`, `link` or `other` (a device, a pipe).
        target: where a link points.
        open: its content, of a file.
    """

    name: str
    size: int
    kind: str
    target: str
    open: Callable[[], IO[bytes]]


def extract(archive: Path | str, folder: Path | str) -> None:
    """Unpack a zip or tar archive below `folder`; nothing is written unless all of it is harmless.

    Links are never made: those that stay within the archive are left out and named.

    Raises:
        UserError: a member or a link leaves `folder`, there is far more in it than in any corpus or than fits on the disk, the
            archive is damaged, or its kind is unknown.
    """
    archive, folder = Path(archive), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _opened(archive) as members:
            wanted = list(_checked(archive, folder, members))
            _require_room(archive, folder, wanted)
            for member in wanted:
                _unpack(archive, folder, member)
    except DAMAGED as error:
        raise UserError(f"{archive}: the archive is damaged: {error}. Next: remove it and fetch it again") from error


def refuse_bomb(archive: Path, packed: int, size: int) -> None:
    """Refuse an archive of `packed` bytes that holds `size` or more.

    Raises:
        UserError: no corpus is packed so densely.
    """
    if size > max(MOST_BYTES, MOST_TIMES * packed):
        raise UserError(
            f"{archive}: refused: its {packed:,} bytes would become {size:,} or more, over {MOST_TIMES} times as many. "
            "Next: get a clean archive"
        )


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[Iterable[Member]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            yield [_of_zip(bundle, info) for info in bundle.infolist()]
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as bundle_tar:
            yield _of_tars(bundle_tar)
    else:
        raise UserError(f"{archive}: expected a zip or tar archive. Next: fetch it again")


def _of_zip(bundle: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    is_link = stat.S_ISLNK(info.external_attr >> 16)
    kind = "folder" if info.is_dir() else "link" if is_link else "file"
    target = bundle.read(info).decode(errors="replace") if is_link and info.file_size <= LONGEST_LINK else ""
    return Member(info.filename, info.file_size, kind, target, lambda: bundle.open(info))


def _of_tars(bundle: tarfile.TarFile) -> Iterator[Member]:
    """One by one, since a list alone may take days to unpack; then what follows, for at its end stands the checksum."""
    for info in bundle:
        yield _of_tar(bundle, info)
    assert bundle.fileobj is not None
    for _ in range(MOST_BYTES >> 20):
        if not bundle.fileobj.read(1 << 20):
            break


def _of_tar(bundle: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    kind = "folder" if info.isdir() else "file" if info.isfile() else "link" if info.issym() or info.islnk() else "other"
    target = info.linkname
    if info.islnk():  # which names a member, not a place beside it
        target = "/".join([*[".."] * info.name.count("/"), target])

    def content() -> IO[bytes]:
        found = bundle.extractfile(info)
        assert found is not None  # of a file
        return found

    return Member(info.name, info.size, kind, target, content)


def _checked(archive: Path, folder: Path, members: Iterable[Member]) -> Iterator[Member]:
    """The members to be written, each checked: the archive is no bomb, and all of it lands in the folder."""
    base, packed, size = folder.resolve(), archive.stat().st_size, 0
    for member in members:
        size += member.size
        refuse_bomb(archive, packed, size)
        place = base / member.name
        lands = (place.parent / member.target if member.kind == "link" else place).resolve()
        if not (place.resolve().is_relative_to(base) and lands.is_relative_to(base)):
            what = f"the link {member.name!r} points" if member.kind == "link" else f"member {member.name!r} would be written"
            raise UserError(f"{archive}: {what} outside {folder}. Next: get a clean archive")
        if member.kind in ("file", "folder"):
            yield member
        else:
            logger.warning("%s: left out: %s, which is no file", archive, member.name)


def _require_room(archive: Path, folder: Path, members: list[Member]) -> None:
    there = {member.name: folder / member.name for member in members if member.kind == "file"}
    have = sum(path.stat().st_size for path in there.values() if path.is_file())  # of an earlier try
    needed = sum(member.size for member in members) - have
    if needed > (free := shutil.disk_usage(folder).free):
        raise UserError(
            f"{archive}: expected {needed / 1e9:.1f} GB of room in {folder}, found {free / 1e9:.1f} GB. "
            "Next: make room and run the same command again"
        )


def _unpack(archive: Path, folder: Path, member: Member) -> None:
    target = folder / member.name
    if member.kind == "folder":
        target.mkdir(parents=True, exist_ok=True)
        return
    with member.open() as source, files.atomic(target) as partial, partial.open("wb") as stream:
        written = 0
        while block := source.read(1 << 20):
            written += len(block)
            if written > member.size:
                raise UserError(f"{archive}: refused: {member.name!r} is larger than it says. Next: get a clean archive")
            stream.write(block)
        if written < member.size:
            raise EOFError(f"{member.name!r} has {written} of {member.size} bytes")
