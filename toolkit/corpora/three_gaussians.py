"""Points of three normal distributions: the data of annealed multiple choice learning (Perera, Letzelter et al. 2024).

Nothing is downloaded; `toolkit/corpora/_three_gaussians.py` has the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from toolkit.corpora import _rules, _three_gaussians
from toolkit.corpora._quadrants import Draws
from toolkit.corpora._rules import LICENCE, Corpus, Sizes
from toolkit.corpora._three_gaussians import FAST, FAST_MOVING, NOTEBOOK_EACH, PAPER, Size
from toolkit.data.manifest import Item

__all__ = ["LICENCE", "NAME", "download", "draw", "fetch", "make_mini", "options_for", "prepare", "verify"]

NAME = "three_gaussians"
FIXED, MOVING, NOTEBOOK = "fixed", "moving", "notebook"


def _sizes(size: Size) -> dict[str, int]:
    return {"train": size.train, "valid": size.valid}


FULL = {
    FIXED: _sizes(PAPER),
    MOVING: _sizes(PAPER),
    f"fast/{FIXED}": _sizes(FAST),
    f"fast/{MOVING}": _sizes(FAST_MOVING),
    NOTEBOOK: {"train": 3 * NOTEBOOK_EACH, "valid": 3 * NOTEBOOK_EACH},
    "inputs": 10,
    "samples": 3_000,
}
MINI = {name: {"train": 3_000, "valid": 600} for name in FULL if name not in ("inputs", "samples")} | {
    "inputs": 3,
    "samples": 900,
}


def draw(item: Item, seeds: Sequence[int] = ()) -> Draws:
    """The samples of an item, as many as it has frames.

    Args:
        item: of one of the manifests; its labels are the `variant`, `seed` and, where all samples have the same, `t`.
        seeds: added to the item's own, such as a seed and an epoch of training.
    """
    own, variant = (*item.labels["seed"], *seeds), item.labels["variant"]
    if variant == NOTEBOOK:
        return _three_gaussians.notebook(own, item.frames // 3)
    if "t" in item.labels:
        return _three_gaussians.draw_given(item.labels["t"], item.frames, own, variant == MOVING)
    return _three_gaussians.draw(item.frames, own, variant == MOVING)


def _items(variant: str, sizes: Sizes, seed: int, folder: Path) -> Mapping[str, list[Item]]:
    """The items of each split; given t = 0 the moving Gaussians are a single point, so that the inputs begin above it."""
    labels = {"variant": variant.rpartition("/")[2]}
    found = {
        split: [_rules.drawn(split, split, sizes[variant][split], (seed, place), labels)]
        for place, split in enumerate(("train", "valid"))
    }
    inputs = np.zeros(1) if variant == NOTEBOOK else np.linspace(0, 1, sizes["inputs"] + 1)[1:]
    found["test"] = [
        _rules.drawn(f"{number:03d}", "test", sizes["samples"], (seed, 2, number), {**labels, "t": float(t)})
        for number, t in enumerate(inputs)
    ]
    return found


CORPUS = Corpus(NAME, tuple(name for name in FULL if isinstance(FULL[name], dict)), _items, FULL, MINI)
download, make_mini, fetch = CORPUS.download, CORPUS.make_mini, CORPUS.fetch
verify, options_for, prepare = CORPUS.verify, CORPUS.options_for, CORPUS.prepare
