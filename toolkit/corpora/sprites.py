"""Sprites drawn anew from dSprites' factors, as AR-VAE was published on (Pati & Lerch 2020, arXiv 2004.05485).

Nothing is downloaded; `toolkit/corpora/_sprites.py` has the rule and says where its pixels differ from dSprites'.  The
manifests ``sprites/{train,valid,test}`` have one table each: `pictures` (N, 64, 8), eight pixels of a row in a byte, and
`attributes` (N, 5), what their factors stand for; the names of these are a label.
"""

from __future__ import annotations

from collections.abc import Mapping
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


CORPUS = Corpus(NAME, ("",), _items, FULL, MINI)
download, make_mini, fetch = CORPUS.download, CORPUS.make_mini, CORPUS.fetch
verify, options_for, prepare = CORPUS.verify, CORPUS.options_for, CORPUS.prepare
