"""The mark of a mini corpus."""

from __future__ import annotations

from pathlib import Path

from toolkit import files

MARK = "mini.json"  # the last file that `make_mini` writes


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
