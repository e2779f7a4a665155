"""Sequences of two states, each drawn by one of two Markov chains: the toy data of LoRA-MCL (Letzelter et al. 2025).

Nothing is downloaded; `toolkit/corpora/_markov_mixtures.py` has the rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.corpora import _markov_mixtures, _rules
from toolkit.corpora._markov_mixtures import BEGINNINGS, MIXTURES, Sequences
from toolkit.corpora._rules import LICENCE, Corpus, Sizes
from toolkit.data.manifest import Item

__all__ = ["LICENCE", "NAME", "download", "draw", "fetch", "make_mini", "options_for", "prepare", "verify"]

NAME = "markov_mixtures"
LENGTHS = {"transition1": (32,), "transition2": (64, 32)}  # of the figures' lines first, then of the released runs
VARIANTS = tuple(
    f"{mixture}/{length}/{beginning}" for mixture in MIXTURES for length in LENGTHS[mixture] for beginning in BEGINNINGS
)
FULL = {"train": 64_000, "valid": 1_000, "test": 20_000}
MINI = {"train": 6_400, "valid": 200, "test": 400}


def download(corpus: Path, seed: int = 0) -> None:
    """Declare the corpus of the published sizes.

    Args:
        corpus: the folder to write.
        seed: another seed gives other sequences.
    """
    _CORPUS.write(corpus, FULL, seed)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Declare a corpus with fewer sequences.

    Args:
        corpus: the folder to write.
        seed: another seed gives other sequences.
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
    """Options of `prepare` that make the manifests called `names`: none, it makes all.

    Args:
        names: mixture, length, beginning and split, e.g. ``markov_mixtures/transition1/32/uniform/train``.

    Raises:
        UserError: a name is not of that form.
    """
    return _CORPUS.options_for(names)


def prepare(corpus: Path, data: Path, *, nj: int | None = None, strict: bool = False) -> None:
    """Write the manifests of both mixtures, their lengths and beginnings; a split is one item.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
        nj: not used: nothing is computed.
        strict: not used: there is nothing that could be skipped.

    Raises:
        UserError: the corpus is not there.
    """
    _CORPUS.prepare(corpus, data)


def draw(item: Item, seeds: Sequence[int] = (), count: int | None = None) -> Sequences:
    """The sequences of an item.

    Args:
        item: of one of the manifests; its labels are `seed`, `transitions` (C, V, V), `initial` (C, V) and `length`.
        seeds: added to the item's own, such as a seed and an epoch of training.
        count: how many; as many as the item has frames if None.
    """
    labels = item.labels
    return _markov_mixtures.draw_from(
        labels["transitions"], labels["initial"], count or item.frames, labels["length"], (*labels["seed"], *seeds)
    )


def _items(variant: str, sizes: Sizes, seed: int, folder: Path) -> Mapping[str, list[Item]]:
    match = re.fullmatch(r"(\w+)/(\d+)/(\w+)", variant)
    assert match is not None
    mixture, length, beginning = match[1], int(match[2]), match[3]
    transitions = MIXTURES[mixture]
    told = {
        "mixture": mixture,
        "beginning": beginning,
        "length": length,
        "transitions": transitions.tolist(),
        "initial": _markov_mixtures.first_token_law(transitions, beginning).tolist(),
    }
    number = VARIANTS.index(variant)
    return {
        split: [_rules.drawn(split, split, sizes[split], (seed, place, number), told)]
        for place, split in enumerate(_rules.SPLITS)
    }


_CORPUS = Corpus(NAME, VARIANTS, _items, FULL, MINI)
