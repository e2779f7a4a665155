"""Where a language model's sequences come from: texts of a manifest as subwords, or sequences drawn by a rule."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.blocks.subwords import Subwords, encode, text_of
from toolkit.data import sequences
from toolkit.data.examples import ExampleSource
from toolkit.data.manifest import Item, Manifest
from toolkit.data.rows import Drawn, Rows
from toolkit.data.sequences import Texts, TokenBatch
from toolkit.data.subwords import SubwordCodec
from toolkit.log import UserError

TRAINING, FIXED = 1, 0  # what sequences are drawn for


class TokenSource:
    """The sequences of manifests.

    Args:
        subwords: how texts become tokens; None where the manifests' items are drawn as tokens.
        train: name of the training manifest, which the subwords were learned from.
        context: the longest sequence, in tokens; longer texts are read in pieces.
    """

    def __init__(self, subwords: Subwords | None, train: str, context: int) -> None:
        self._subwords, self._train, self._context = subwords, train, context
        self._codec: SubwordCodec | None = None

    @property
    def codec(self) -> SubwordCodec:
        """What texts were encoded by.

        Raises:
            UserError: no text was.
        """
        if self._codec is None:
            raise UserError("expected a vocabulary of subwords, found none. Next: name one as data.subwords")
        return self._codec

    def training(self, data: Path, name: str, seed: int, count: int | None) -> ExampleSource[TokenBatch]:
        """Examples to train on.

        Args:
            data: folder of the manifests.
            name: of the manifest.
            seed: of what is drawn.
            count: sequences drawn in an epoch; as many as the manifest's item has rows if None.
        """
        manifest = Manifest.open(data / f"{name}.jsonl")
        if self._subwords is not None:
            return self._texts(manifest)
        rule = _rule(manifest)
        return Drawn(sequences.whole, lambda seeds: [rule.draw(manifest[0], (TRAINING, *seeds), count).tokens], seed)

    def fixed(self, data: Path, name: str) -> ExampleSource[TokenBatch]:
        """Examples that are the same each epoch."""
        manifest = Manifest.open(data / f"{name}.jsonl")
        return (
            self._texts(manifest) if self._subwords is not None else Rows(sequences.whole, self._drawn(manifest, manifest[0]))
        )

    def of_item(self, manifest: Manifest, item: Item) -> TokenBatch:
        """All sequences of an item: those that its rows are, or the pieces of its text."""
        if self._subwords is None:
            tokens = self._drawn(manifest, item)
            return sequences.whole(torch.from_numpy(tokens), [item.id] * len(tokens))
        found = self._pieces(manifest, item)
        return sequences.batch_of(found, [item.id] * len(found))

    def _texts(self, manifest: Manifest) -> Texts:
        found = [(piece, item.id) for item in manifest for piece in self._pieces(manifest, item)]
        return Texts([piece for piece, _ in found], [identity for _, identity in found])

    def _pieces(self, manifest: Manifest, item: Item) -> list[NDArray[np.int64]]:
        if self._codec is None:
            assert self._subwords is not None
            self._codec = self._subwords.learned(manifest.data, self._train)
        return sequences.pieces(encode(self._codec, text_of(manifest, item)), self._context)

    def _drawn(self, manifest: Manifest, item: Item) -> NDArray[np.int64]:
        tokens: NDArray[np.int64] = _rule(manifest).draw(item, (FIXED,)).tokens
        return tokens


def _rule(manifest: Manifest) -> Any:
    """The module of a corpus whose sequences are drawn.

    Raises:
        UserError: its are not.
    """
    corpus = str(manifest.header.get("corpus"))
    if "seed" not in manifest[0].labels:
        raise UserError(
            f"{manifest.path}: expected sequences that are drawn by a rule, found those of {corpus}. "
            "Next: name data.subwords, if they are texts"
        )
    return import_module(f"toolkit.corpora.{corpus}")
