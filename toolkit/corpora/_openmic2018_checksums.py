"""Published MD5 lists of the clips of OpenMIC-2018 and of their features, and the comparison with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from toolkit import files, log
from toolkit.corpora import _openmic2018
from toolkit.data import parallel
from toolkit.log import UserError

KINDS = {"audio": ".ogg", "vggish": ".json"}

logger = log.get(__name__)


class File(NamedTuple):
    """A file and its published hash."""

    path: Path
    md5: str


def find_lists(folder: Path) -> list[Path]:
    """The lists of a corpus: `checksums`, a file or a folder, and `checksums.txt` beside the files."""
    candidates = [folder / "checksums", *(folder / kind / "checksums.txt" for kind in KINDS)]
    return [path for path in candidates if path.exists()]


def read_lists(paths: list[Path]) -> dict[tuple[str, str], str]:
    """Published hashes by kind (`audio`, `vggish`) and key of the clip.

    A line has a hash and the name of a file or the key of a clip; where there is no file name, the list's own name says of
    which kind it is.

    Raises:
        UserError: there is no hash in them.
    """
    published = {}
    for path in (each for given in paths for each in (sorted(given.iterdir()) if given.is_dir() else [given])):
        of_list = next((kind for kind in KINDS if kind in f"{path.parent.name}/{path.name}"), "")
        for line in path.read_text(encoding="utf-8").splitlines():
            hashed = re.search(r"\b[0-9a-fA-F]{32}\b", line)
            named = re.search(r"(\d{6}_\d+)(\.\w+)?", line)
            if hashed and named:
                kind = next((kind for kind, suffix in KINDS.items() if suffix == named[2]), of_list)
                published[kind, named[1]] = hashed[0].lower()
    if not published:
        told = ", ".join(map(str, paths)) or "no list"
        raise UserError(
            f"--checksums: expected lists of MD5 hashes, found {told}. Next: give --checksum-lists FOLDER with "
            "openmic-2018-audio.csv and openmic-2018-vggish.csv of github.com/cosmir/openmic-2018"
        )
    return published


def compare(
    folder: Path, published: Mapping[tuple[str, str], str], journal: Path, workers: parallel.Workers, strict: bool
) -> frozenset[str]:
    """Compare the files of the corpus with the lists, those that did not change since the last time excepted.

    Args:
        folder: of the corpus.
        published: what `read_lists` gives.
        journal: file that makes it restartable.
        workers: processes.
        strict: a difference is an error.

    Returns:
        Keys of the clips of which a file differs; each is named in the log.

    Raises:
        UserError: a file differs and `strict`.
    """
    there = {kind: _openmic2018.find_files(folder, kind, suffix) for kind, suffix in KINDS.items()}
    listed = [(kind, key) for kind, paths in there.items() for key in paths if (kind, key) in published]
    unlisted = sum(map(len, there.values())) - len(listed)

    def job(key: str) -> parallel.Job:
        pairs = [(folder / there[kind][key], published.get((kind, key))) for kind in KINDS if key in there[kind]]
        given = [File(path, md5) for path, md5 in pairs if md5 is not None]
        signature = parallel.files_signature([file.path for file in given], folder, *(file.md5 for file in given))
        return parallel.Job(key, given, signature)

    jobs = parallel.Jobs(sorted({key for _, key in listed}), job)
    outcome = parallel.run(_compare, jobs, "checksums", workers=workers, journal=journal, strict=strict)
    same, differ = len(outcome.results), len(outcome.skipped)
    logger.info("checksums: %d clips as published, %d not, %d files not listed", same, differ, unlisted)
    return frozenset(skipped.id for skipped in outcome.skipped)


def _compare(given: list[File]) -> bool:
    for file in given:
        if (found := files.md5(file.path)) != file.md5:
            raise UserError(f"expected md5 {file.md5}, found {found}: {file.path}")
    return True
