"""Sprites drawn anew from dSprites' factors, as AR-VAE was published on (Pati & Lerch 2020, arXiv 2004.05485).

Nothing is downloaded; `toolkit/corpora/_sprites.py` has the rule and says where its pixels differ from dSprites'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit import progress
from toolkit.corpora import _sprites
from toolkit.corpora._rules import LICENCE, Corpus, Sizes
from toolkit.corpora._sprites import COUNT, FACTORS, SIZE
from toolkit.data import tables
from toolkit.data.manifest import Item

__all__ = ["LICENCE", "NAME", "download", "fetch", "make_mini", "options_for", "prepare", "verify"]

NAME = "sprites"
FULL = {name: int(end * COUNT) - int(begin * COUNT) for name, (begin, end) in _sprites.SPLITS.items()}
MINI = {"train": 1024, "valid": 128, "test": 256}  # the first ones of each
AT_ONCE = 4096  # pictures


def download(corpus: Path, seed: int = 0) -> None:
    """Declare the corpus of all pictures.

    Args:
        corpus: the folder to write.
        seed: of the order in which they are dealt out; AR-VAE's models have 0.
    """
    _CORPUS.write(corpus, FULL, seed)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Declare a corpus of fewer pictures.

    Args:
        corpus: the folder to write.
        seed: another seed gives other pictures.
    """
    _CORPUS.write(corpus, MINI, seed)


def fetch(corpus: Path, data: Path) -> None:
    """Verify the corpus; nothing else belongs to it.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
    """
    _CORPUS.fetch(corpus)


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (…)`.

    Args:
        corpus: its folder.

    Raises:
        UserError: it is not there.
    """
    return _CORPUS.verify(corpus)


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``sprites/train``: none, it makes all.

    Raises:
        UserError: a name is not of that form.
    """
    return _CORPUS.options_for(names)


def prepare(corpus: Path, data: Path, *, nj: int | None = None, strict: bool = False) -> None:
    """Draw all pictures and write the manifests ``sprites/{train,valid,test}``, one table each.

    Roles are `pictures` (N, 64, 8), eight pixels of a row in a byte, and `attributes` (N, 5), what their factors stand for; the
    names of these are a label.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
        nj: not used: it takes half a minute.
        strict: not used: there is nothing that could be skipped.

    Raises:
        UserError: the corpus is not there.
    """
    _CORPUS.prepare(corpus, data)


def _items(variant: str, sizes: Sizes, seed: int, folder: Path) -> Mapping[str, list[Item]]:
    found = {}
    for split, numbers in _sprites.split(seed).items():
        chosen = numbers[: sizes[split]]
        pictures = np.empty((len(chosen), SIZE, SIZE // 8), np.uint8)
        for first in progress.track(range(0, len(chosen), AT_ONCE), f"pictures of {split}", -(-len(chosen) // AT_ONCE)):
            pictures[first : first + AT_ONCE] = np.packbits(_sprites.render(chosen[first : first + AT_ONCE]), axis=-1)
        columns: dict[str, NDArray[Any]] = {"pictures": pictures, "attributes": _sprites.values(_sprites.factors(chosen))}
        for role, values in columns.items():
            tables.write(folder / f"{split}.{role}.npy", values)
        roles = {role: f"{split}.{role}.npy" for role in columns}
        found[split] = [tables.item(split, split, len(chosen), roles, {"attributes": list(FACTORS), "seed": [seed]})]
    return found


_CORPUS = Corpus(NAME, ("",), _items, FULL, MINI)
