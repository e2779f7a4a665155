"""The archive of MagnaTagATune: one zip file, published in three parts, read without joining them on the disk."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shutil
import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from toolkit import files, progress
from toolkit.corpora import _archives
from toolkit.log import UserError

PARTS = ("mp3.zip.001", "mp3.zip.002", "mp3.zip.003")
WHOLE = "mp3.zip"  # as some join them


class Parts(io.RawIOBase):
    """The bytes of several files one after the other, as if they were one file."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._ends = list(itertools.accumulate(path.stat().st_size for path in paths))
        self._files = [path.open("rb") for path in paths]
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ends[-1]}[whence]
        return self._at

    def tell(self) -> int:
        """The byte that is read next."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the file at hand reaches."""
        if self._at >= self._ends[-1]:
            return 0
        number = bisect_right(self._ends, self._at)
        begin = self._ends[number - 1] if number else 0
        self._files[number].seek(self._at - begin)
        found = self._files[number].readinto(memoryview(buffer)[: self._ends[number] - self._at])
        self._at += found
        return found

    def close(self) -> None:
        """Close all files."""
        for stream in self._files:
            stream.close()
        super().close()


def find(corpus: Path) -> list[Path]:
    """The three parts, or the one file that they were joined to; empty if there is neither.

    Raises:
        UserError: some parts are there and others not.
    """
    if (corpus / WHOLE).is_file():
        return [corpus / WHOLE]
    missing = [name for name in PARTS if not (corpus / name).is_file()]
    if 0 < len(missing) < len(PARTS):
        raise UserError(f"{corpus}: expected {', '.join(PARTS)}, missing {', '.join(missing)}. Next: fetch the missing parts")
    return [] if missing else [corpus / name for name in PARTS]


def sizes(archive: Sequence[Path]) -> dict[str, int]:
    """Bytes of every mp3 file in the archive, by a path such as ``f/name.mp3``."""
    with _opened(archive) as (_, members):
        return {path: member.file_size for path, member in members.items()}


def extract(archive: Sequence[Path], folder: Path) -> None:
    """Unpack the mp3 files to ``<folder>/f/name.mp3``; those that are there already are kept.

    Nothing is written anywhere else, whatever the archive's paths say.

    Raises:
        UserError: the archive cannot be read, holds far more than it could, or a file is not what its checksum (CRC-32) tells.
    """
    with _opened(archive) as (bundle, members):
        packed, size = sum(path.stat().st_size for path in archive), sum(member.file_size for member in members.values())
        _archives.refuse_bomb(archive[0], packed, size)
        for path, member in progress.track(members.items(), "files of the archive"):
            target = folder / path
            if target.is_file() and target.stat().st_size == member.file_size:
                continue
            with bundle.open(member) as source, files.atomic(target) as partial, partial.open("wb") as stream:
                shutil.copyfileobj(source, stream)


@contextlib.contextmanager
def _opened(archive: Sequence[Path]) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """The archive, and its mp3 files by their last folder and name."""
    try:
        with Parts(archive) as parts, io.BufferedReader(parts) as stream, zipfile.ZipFile(stream) as bundle:
            found = [(re.search(r"(?:^|/)([0-9a-f]/[^/\\]+\.mp3)$", member.filename), member) for member in bundle.infolist()]
            yield bundle, {match[1]: member for match, member in found if match}
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        names = ", ".join(path.name for path in archive)
        raise UserError(
            f"{archive[0].parent}: expected the parts of a zip archive, found {names}: {error}. Next: fetch them again"
        ) from error
