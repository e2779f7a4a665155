"""Sequences of two states, each drawn by one of two Markov chains: the toy data of LoRA-MCL (Letzelter et al. 2025).

Nothing is downloaded; `toolkit/corpora/_markov_mixtures.py` has the rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

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


CORPUS = Corpus(NAME, VARIANTS, _items, FULL, MINI)
download, make_mini, fetch = CORPUS.download, CORPUS.make_mini, CORPUS.fetch
verify, options_for, prepare = CORPUS.verify, CORPUS.options_for, CORPUS.prepare
