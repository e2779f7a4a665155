"""Examples of tagging: stored features of clips with their labels."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from toolkit import log
from toolkit.blocks.features import Feature
from toolkit.data import store
from toolkit.data.examples import ExampleSource, allocate
from toolkit.data.manifest import Manifest
from toolkit.data.names import Names
from toolkit.data.shards import Shuffle
from toolkit.log import UserError

CROPS = 1  # what the random stream is for; its seed is (seed, purpose, epoch)
HALF = 0.5  # a rating that says neither yes nor no

Ambiguous = Literal["positive", "dropped"]

logger = log.get(__name__)


class ClipBatch(NamedTuple):
    """Several clips, the shorter ones filled up with zeros.

    Attributes:
        inputs: what the model reads, (B, T) or (B, L, D).
        embeddings: of the teacher, (B, L, D); (B, 0, 0) without teacher.
        labels: (B, K), 0 or 1 (between them where clips are mixed).
        mask: (B, K), 1 where there is a label.
        lengths: (B,), frames of each clip that are no filling.
        ids: of the clips.
    """

    inputs: Tensor
    embeddings: Tensor
    labels: Tensor
    mask: Tensor
    lengths: Tensor
    ids: list[str]


class ClipDataset(ExampleSource[ClipBatch]):
    """The clips of a manifest as their stored features have them.

    Args:
        manifest: items with the label `tags`, a number from 0 to 1 or null for each tag of the header.
        data: folder that stores are below.
        feature: what the model reads.
        teacher: whose embeddings go with it; None for none.
        segment: frames of an example, cut at a random place each epoch; None for whole clips.
        ambiguous: what a label of exactly 0.5 counts as.
        seed: of the places where examples are cut.
        shuffle: `shards` to read the shards of the feature one after another in training, in a random order.

    Attributes:
        tags: names.
        ids: of the clips.
        labels: (N, K), bool; false where there is no label.
        mask: (N, K), bool, where there is one.

    Raises:
        UserError: a store is missing, no clip of the manifest is in it, or the manifest has no tags.
    """

    def __init__(
        self,
        manifest: Manifest,
        data: Path,
        feature: Feature,
        teacher: Feature | None = None,
        segment: int | None = None,
        ambiguous: Ambiguous = "dropped",
        seed: int = 0,
        shuffle: Shuffle = "examples",
    ) -> None:
        name = manifest.name
        self.segment, self.seed = segment, seed
        self.feature, self.teacher = feature, teacher
        self.tags = tags_of(manifest)
        self.inputs = store.Store(store.folder_of(data, feature.name, name), in_order=shuffle == "shards")
        self.embeddings = None if teacher is None else store.Store(store.folder_of(data, teacher.name, name))
        ratings = array("f")
        self.ids = Names(self._kept(manifest, ratings))
        if not len(self.ids):
            raise UserError(
                f"{self.inputs.folder}: expected clips of {manifest.path}, found none. Next: run the stage `features`"
            )
        if missing := len(manifest) - len(self.ids):
            logger.warning("%s: %d of %d clips have no stored features, left out", name, missing, len(manifest))
        self.labels, self.mask = _decided(torch.frombuffer(ratings, dtype=torch.float32).view(-1, len(self.tags)), ambiguous)
        self._shards = self.inputs.places(self.ids)[:, 0] if shuffle == "shards" else None

    def __len__(self) -> int:
        return len(self.ids)

    def shards(self) -> np.ndarray | None:
        """The shard that each clip's feature stands in, where shards are read one after another."""
        return self._shards

    def batch(self, epoch: int, indices: Sequence[int], memory: np.ndarray | None = None) -> ClipBatch:
        """Clips with their labels; `memory` takes inputs and embeddings."""
        ids = [self.ids[index] for index in indices]
        pieces = [self._piece(epoch, index) for index in indices]
        teacher = [] if self.embeddings is None else [self.embeddings.read(identity) for identity in ids]
        shapes = [_batch_shape(pieces, self.segment or 0), _batch_shape(teacher, 0) if teacher else (len(ids), 0, 0)]
        inputs, embeddings = allocate(shapes, memory)
        _fill(inputs, pieces, self.feature.scale)
        if self.teacher is not None:
            _fill(embeddings, teacher, self.teacher.scale)
        rows = list(indices)
        lengths = torch.tensor([len(piece) for piece in pieces])
        labels, mask = self.labels[rows].float(), self.mask[rows].float()
        return ClipBatch(torch.from_numpy(inputs), torch.from_numpy(embeddings), labels, mask, lengths, ids)

    def _kept(self, manifest: Manifest, ratings: array[float]) -> Iterator[str]:
        """The ids of clips that are stored; their ratings are put one after another into `ratings`, NaN for none."""
        stores = [found for found in (self.inputs, self.embeddings) if found is not None]
        for item in manifest:
            if all(item.id in found for found in stores):
                ratings.extend(float("nan") if value is None else value for value in item.labels["tags"])
                yield item.id

    def _piece(self, epoch: int, index: int) -> np.ndarray:
        """Frames of a clip, at most a segment of them."""
        available = self.inputs.frames(self.ids[index])
        if self.segment is None or available <= self.segment:
            return self.inputs.read(self.ids[index])
        start = np.random.default_rng((self.seed, CROPS, epoch, index)).integers(available - self.segment + 1)
        return self.inputs.read(self.ids[index], int(start), self.segment)


def tags_of(manifest: Manifest) -> list[str]:
    """The names of the tags.

    Raises:
        UserError: the manifest has none.
    """
    tags = manifest.header.get("tags")
    if not tags:
        raise UserError(
            f"{manifest.path}: expected the names of the tags in its first line, found none. Next: prepare with --force"
        )
    return list(tags)


def binary(labels: Sequence[Sequence[float | None]], ambiguous: Ambiguous) -> tuple[Tensor, Tensor]:
    """Ratings to decisions.

    Args:
        labels: of each clip, a rating from 0 to 1 or None for each tag.
        ambiguous: what a rating of exactly 0.5 counts as.

    Returns:
        Labels and mask, both (N, K), float32.
    """
    ratings = torch.tensor([[float("nan") if value is None else value for value in row] for row in labels])
    decided, mask = _decided(ratings, ambiguous)
    return decided.float(), mask.float()


def _decided(ratings: Tensor, ambiguous: Ambiguous) -> tuple[Tensor, Tensor]:
    """Labels and mask, bool, of ratings, NaN for none."""
    mask = ~ratings.isnan()
    if ambiguous == "dropped":
        mask &= ratings != HALF
    return (ratings >= HALF) & mask, mask


def _batch_shape(pieces: Sequence[np.ndarray], frames: int) -> tuple[int, ...]:
    return (len(pieces), max(frames, *(len(piece) for piece in pieces)), *pieces[0].shape[1:])


def _fill(out: np.ndarray, pieces: Sequence[np.ndarray], scale: float) -> None:
    """Write pieces into a batch, scaled, zeros behind them."""
    for row, piece in zip(out, pieces, strict=True):
        np.multiply(piece, np.float32(scale), out=row[: len(piece)], casting="unsafe")
        row[len(piece) :] = 0
