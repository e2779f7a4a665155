"""Corpora of a mere rule: numbers drawn when they are asked for, so that a folder holds no data but `rule.json`, their sizes.

```
{"rule": "quadrants", "version": 1, "seed": 0, "sizes": {"train": 100000, "valid": 25000, "inputs": 50, "samples": 1000}}
```

Two such folders with equal files hold equal data.  `prepare` writes a manifest for each variant and split; an item without
roles tells in its labels by which rule and seed its `frames` rows are drawn (see `toolkit.data.rows.Drawn`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import config, files, log
from toolkit.corpora._names import matches
from toolkit.data import manifest, tables
from toolkit.data.manifest import Item
from toolkit.log import UserError

RULE = "rule.json"
SPLITS = ("train", "valid", "test")
LICENCE = "none: generated"  # what a model card says

Sizes = Mapping[str, Any]  # numbers, or further such mappings

logger = log.get(__name__)


def drawn(name: str, split: str, rows: int, seed: Sequence[int], labels: Mapping[str, Any] | None = None) -> Item:
    """An item without roles, drawn when it is asked for.

    Args:
        name: its id.
        split: of its manifest.
        rows: how many.
        seed: of them alone: that of the corpus, and numbers that no other item has; the label `seed`.
        labels: what else the rule needs.
    """
    return tables.item(name, split, rows, {}, {"seed": list(seed), **(labels or {})})


@dataclass(frozen=True)
class Corpus:
    """A corpus that is a rule.

    Attributes:
        name: of its module, and what the names of its manifests begin with.
        variants: what stands between name and split, e.g. ``moving`` or ``transition1/uniform``; empty: ``<name>/<split>``.
        items: given a variant, the sizes, the seed and the folder of the variant's manifests, the items of each split;
            paths of tables that it writes there are relative to that folder.
        full: sizes as published.
        mini: small ones.
        version: of the rule; a corpus that was written by another version is refused.
        see: what the user may do next.
    """

    name: str
    variants: tuple[str, ...]
    items: Callable[[str, Sizes, int, Path], Mapping[str, list[Item]]]
    full: Sizes
    mini: Sizes
    version: int = 1
    see: str = "Next: generate it with --corpus download"

    def download(self, corpus: Path, seed: int = 0) -> None:
        """Declare the corpus of the published sizes.

        Args:
            corpus: the folder to write.
            seed: another seed gives other data.
        """
        self._write(corpus, self.full, seed)

    def make_mini(self, corpus: Path, seed: int = 0) -> None:
        """Declare a smaller corpus.

        Args:
            corpus: the folder to write.
            seed: another seed gives other data.
        """
        self._write(corpus, self.mini, seed)

    def _write(self, corpus: Path, sizes: Sizes, seed: int) -> None:
        """Make the folder of a corpus of these sizes; one that is there and the same is left as it is."""
        rule = {"rule": self.name, "version": self.version, "seed": seed, "sizes": dict(sizes)}
        path = corpus / RULE
        if not path.is_file() or files.read_json(path) != rule:
            files.write_json(path, rule)

    def verify(self, corpus: Path) -> str:
        """What the folder holds: `full`, `mini` or `partial (other sizes)`.

        Raises:
            UserError: it is not there, or is another corpus.
        """
        sizes, _ = self._read(corpus)
        return "full" if sizes == self.full else "mini" if sizes == self.mini else "partial (other sizes)"

    def fetch(self, corpus: Path, data: Path) -> None:
        """Say what the folder holds; nothing else belongs to it.

        Args:
            corpus: its folder.
            data: folder of all that is prepared.

        Raises:
            UserError: as of `verify`.
        """
        logger.info("%s: %s", corpus, self.verify(corpus))

    def options_for(self, names: Sequence[str]) -> dict[str, Any]:
        """Options of `prepare` for the manifests called `names`: none, it makes all.

        Raises:
            UserError: a name of this corpus is not one of its manifests.
        """
        stems = [f"{self.name}/{variant}".rstrip("/") for variant in self.variants]
        expected = f"{', '.join(stems)}, each followed by /train, /valid or /test"
        matches(names, self.name, rf"(?:{'|'.join(stems)})/(?:{'|'.join(SPLITS)})", expected)
        return {}

    def prepare(self, corpus: Path, data: Path, *, nj: int | None = None, strict: bool = False) -> None:
        """Write the manifests of all variants.

        Args:
            corpus: its folder.
            data: folder of all that is prepared.
            nj: not used: it takes half a minute at most.
            strict: not used: there is nothing that could be skipped.

        Raises:
            UserError: the corpus is not there, or is another.
        """
        (sizes, seed), edition = self._read(corpus), self.verify(corpus)
        for variant in self.variants:
            folder = data / self.name / variant
            stem = f"{self.name}/{variant}".rstrip("/")
            found = self.items(variant, sizes, seed, folder)
            for split, items in found.items():
                rows = [(one.id, one.frames, one.labels) for one in items]
                head = {
                    "root": ".",
                    "name": f"{stem}/{split}",
                    "corpus": self.name,
                    "edition": edition,
                    "split": split,
                    "fingerprint": config.fingerprint([self.version, seed, rows]),
                }
                manifest.write(folder / f"{split}.jsonl", head | {"skipped": 0}, items)
            told = ", ".join(f"{sum(one.frames for one in items):,} rows in {split}" for split, items in found.items())
            logger.info("%s: %s", stem, told)

    def _read(self, corpus: Path) -> tuple[Sizes, int]:
        """Sizes and seed."""
        path = files.require_folder(corpus, self.name, self.see) / RULE
        if not path.is_file():
            raise UserError(f"{corpus}: expected {RULE}, found none. {self.see}")
        rule = files.read_json(path)
        expected = (self.name, self.version)
        if not isinstance(rule, dict) or (rule.get("rule"), rule.get("version")) != expected:
            raise UserError(f"{path}: expected the rule {self.name!r}, version {self.version}, found {rule!r:.80}. {self.see}")
        if not _is_sized(rule.get("sizes"), self.full) or not isinstance(rule.get("seed"), int) or rule["seed"] < 0:
            raise UserError(f"{path}: expected a seed, and sizes of {', '.join(self.full)}, found {rule!r:.80}. {self.see}")
        return rule["sizes"], rule["seed"]


def _is_sized(found: Any, like: Any) -> bool:
    """Whether sizes have the keys that the published ones have, and are whole numbers above 0."""
    if isinstance(like, Mapping):
        return isinstance(found, dict) and all(_is_sized(found.get(name), inner) for name, inner in like.items())
    return isinstance(found, int) and found > 0
