"""The mark of a mini corpus."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from toolkit import files

MARK = "mini.json"  # the last file that `make_mini` writes


def make(corpus: Path, name: str, seed: int, folder: str, write: Callable[[Path, int], None]) -> None:
    """Have a mini corpus made by `write` (folder, seed) in a folder of `corpus`; one of another seed goes first.

    What is there with that seed is left as it is.
    """
    if is_mini(corpus, name, seed):
        return
    if is_mini(corpus, name):
        shutil.rmtree(corpus / folder, ignore_errors=True)
        (corpus / MARK).unlink()
    write(corpus / folder, seed)
    mark_mini(corpus, name, seed)


def mark_mini(corpus: Path, name: str, seed: int) -> None:
    """Declare a mini corpus finished."""
    files.write_json(corpus / MARK, {"mini": name, "seed": seed})


def is_mini(corpus: Path, name: str, seed: int | None = None) -> bool:
    """Whether the folder holds a finished mini corpus of that name (and seed)."""
    path = corpus / MARK
    if not path.is_file():
        return False
    mark = files.read_json(path)
    return mark["mini"] == name and seed in (None, mark["seed"])
