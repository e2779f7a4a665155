"""One or two points in a square, given a number: the data of resilient multiple choice learning (Letzelter et al. 2023).

Nothing is downloaded; `toolkit/corpora/_quadrants.py` has the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from toolkit.corpora import _quadrants, _rules
from toolkit.corpora._quadrants import Draws
from toolkit.corpora._rules import LICENCE, Corpus, Sizes
from toolkit.data.manifest import Item

__all__ = ["LICENCE", "NAME", "download", "draw", "fetch", "make_mini", "options_for", "prepare", "verify"]

NAME = "quadrants"
FULL = {
    "train": _quadrants.TRAIN,
    "valid": _quadrants.VALID,
    "inputs": _quadrants.INPUTS,
    "samples": _quadrants.SAMPLES,
}
MINI = {"train": 12_800, "valid": 1_024, "inputs": 9, "samples": 200}


def draw(item: Item, seeds: Sequence[int] = ()) -> Draws:
    """The samples of an item, as many as it has frames.

    Args:
        item: of one of the manifests; its labels are `seed` and, where all samples have the same, `t`.
        seeds: added to the item's own, such as a seed and an epoch of training.
    """
    own = (*item.labels["seed"], *seeds)
    return (
        _quadrants.draw_given(item.labels["t"], item.frames, own) if "t" in item.labels else _quadrants.draw(item.frames, own)
    )


def _items(variant: str, sizes: Sizes, seed: int, folder: Path) -> Mapping[str, list[Item]]:
    found = {split: [_rules.drawn(split, split, sizes[split], (seed, place))] for place, split in enumerate(("train", "valid"))}
    found["test"] = [
        _rules.drawn(f"{number:03d}", "test", sizes["samples"], (seed, 2, number), {"t": float(t)})
        for number, t in enumerate(_quadrants.inputs(sizes["inputs"]))
    ]
    return found


CORPUS = Corpus(NAME, ("",), _items, FULL, MINI)
download, make_mini, fetch = CORPUS.download, CORPUS.make_mini, CORPUS.fetch
verify, options_for, prepare = CORPUS.verify, CORPUS.options_for, CORPUS.prepare
