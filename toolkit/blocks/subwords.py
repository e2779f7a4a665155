"""Text as subword tokens: a slot of a configuration's `data` section, learned in the stage `features`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.blocks.features import LearnedFeature
from toolkit.data.manifest import Item, Manifest
from toolkit.data.store import folder_of
from toolkit.data.subwords import SubwordCodec
from toolkit.log import UserError

LABEL = "text"  # of an item


class Subwords(LearnedFeature):
    """Subwords by sentencepiece, learned from the training texts alone; a line of the manifest holds its text as a label.

    Args:
        vocabulary: tokens, 261 of them for single bytes, line breaks and what stands for no text.
        kind: byte-pair encoding, or sentencepiece's unigram model.
    """

    file: ClassVar[str] = "subwords.model"
    sample_rate, frame_rate = 0, None

    def __init__(self, vocabulary: int = 512, kind: Literal["bpe", "unigram"] = "bpe") -> None:
        self.vocabulary, self.kind = vocabulary, kind

    @property
    def name(self) -> str:
        """``subwords/bpe-512``."""
        return f"subwords/{self.kind}-{self.vocabulary}"

    def learn(self, manifest: Manifest, path: Path) -> None:
        """Learn the vocabulary of all texts of a manifest.

        Raises:
            UserError: there is no text, too little of it, or sentencepiece is not installed.
        """
        SubwordCodec.train((text_of(manifest, item) for item in manifest), self.vocabulary, self.kind).save(path)

    def learned(self, data: Path, manifest: str) -> SubwordCodec:
        """What was learned from the manifest of that name below the folder `data`.

        Raises:
            UserError: nothing was.
        """
        path = folder_of(data, self.name, manifest) / self.file
        if not path.is_file():
            raise UserError(f"no vocabulary of subwords at {path}. Next: run the stage `features`")
        return SubwordCodec.load(path)


def text_of(manifest: Manifest, item: Item) -> str:
    """The text of an item.

    Raises:
        UserError: it has none.
    """
    if not isinstance(text := item.labels.get(LABEL), str):
        raise UserError(f"{manifest.path}: expected a label {LABEL!r} in each item, found none in {item.id}")
    return text


def encode(codec: SubwordCodec, text: str) -> NDArray[np.int64]:
    """The tokens (L,) of a whole text, between those that stand for its ends."""
    return np.array(codec.encode(text, begin=True, end=True), np.int64)
