"""Mini corpora: how one is begun, finished and told by its mark."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from toolkit import files
from toolkit.log import UserError

MARK = "mini.json"  # the last file that `make_mini` writes
BEGUN = ".mini.json"  # stands there as long as a mini corpus is being written


def make(corpus: Path, name: str, seed: int, write: Callable[[Path, int], None], folders: Collection[str] = ()) -> None:
    """Have a mini corpus made; what is there with that seed is left as it is, one of another seed goes first.

    Args:
        corpus: its folder.
        name: of the corpus.
        seed: of the mini corpus.
        write: writes it, given the folder and the seed.
        folders: what it writes below `corpus`, and another seed would write by other names.

    Raises:
        UserError: one of these folders is there and is of no mini corpus.
    """
    if is_mini(corpus, name, seed):
        return
    if is_mini(corpus, name):
        reopen(corpus)
    there = [folder for folder in folders if (corpus / folder).exists()]
    if there and not (corpus / BEGUN).is_file():
        raise UserError(
            f"{corpus}: expected a folder for a mini corpus, found {', '.join(sorted(there)[:8])} of another one, which stays. "
            "Next: give another --data"
        )
    for folder in there:
        shutil.rmtree(corpus / folder)
    files.write_json(corpus / BEGUN, {"mini": name, "seed": seed})
    write(corpus, seed)
    mark_mini(corpus, name, seed)


def reopen(corpus: Path) -> None:
    """Take a mini corpus for unfinished, so that it is made anew."""
    os.replace(corpus / MARK, corpus / BEGUN)


def mark_mini(corpus: Path, name: str, seed: int) -> None:
    """Declare a mini corpus finished."""
    files.write_json(corpus / MARK, {"mini": name, "seed": seed})
    (corpus / BEGUN).unlink(missing_ok=True)


def is_mini(corpus: Path, name: str, seed: int | None = None) -> bool:
    """Whether the folder holds a finished mini corpus of that name (and seed)."""
    path = corpus / MARK
    if not path.is_file():
        return False
    mark = files.read_json(path)
    return mark["mini"] == name and seed in (None, mark["seed"])
