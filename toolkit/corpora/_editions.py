"""What a folder holds of a corpus, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from toolkit.log import UserError

NAMED = 8  # of what is in a folder, for an error


def edition(counts: Mapping[str, int], published: Mapping[str, int], what: str) -> str:
    """`full`, or `partial (train 3 of 86, test 2 of 50 tracks)`.

    Args:
        counts: usable items of each part of the corpus.
        published: how many it has.
        what: they are, in the plural.
    """
    if counts == published:
        return "full"
    return "partial (" + ", ".join(f"{part} {counts[part]} of {whole}" for part, whole in published.items()) + f" {what})"


def another(corpus: Path, expected: str, see: str) -> UserError:
    """What is told of a folder that holds something else: what was expected, what is there, and what to do."""
    there = ", ".join(sorted(path.name for path in corpus.iterdir())[:NAMED])
    return UserError(f"{corpus}: expected {expected}, found {there}. {see}")
