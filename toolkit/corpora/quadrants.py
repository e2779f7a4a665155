"""One or two points in a square, given a number: the data of resilient multiple choice learning (Letzelter et al. 2023).

Nothing is downloaded; `toolkit/corpora/_quadrants.py` has the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def download(corpus: Path, seed: int = 0) -> None:
    """Declare the corpus of the published sizes.

    Args:
        corpus: the folder to write.
        seed: another seed gives other samples.
    """
    _CORPUS.write(corpus, FULL, seed)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Declare a corpus with fewer samples.

    Args:
        corpus: the folder to write.
        seed: another seed gives other samples.
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
    """Options of `prepare` that make the manifests called `names`, e.g. ``quadrants/train``: none, it makes all.

    Raises:
        UserError: a name is not of that form.
    """
    return _CORPUS.options_for(names)


def prepare(corpus: Path, data: Path, *, nj: int | None = None, strict: bool = False) -> None:
    """Write the manifests ``quadrants/{train,valid,test}``; an item of `test` is all samples given one t.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
        nj: not used: nothing is computed.
        strict: not used: there is nothing that could be skipped.

    Raises:
        UserError: the corpus is not there.
    """
    _CORPUS.prepare(corpus, data)


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


_CORPUS = Corpus(NAME, ("",), _items, FULL, MINI)
