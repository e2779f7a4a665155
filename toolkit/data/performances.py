"""Examples of synthesis: what is played, as sound and as the curves of pitch and loudness that it was played with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from toolkit.blocks.features import Feature
from toolkit.data import store
from toolkit.data.examples import ExampleSource, allocate
from toolkit.data.manifest import Manifest
from toolkit.data.names import Names
from toolkit.data.shards import Shuffle
from toolkit.log import UserError

CROPS = 2  # what the random stream is for; its seed is (seed, purpose, epoch, index)


class Performance(NamedTuple):
    """Several performances of one length; what the configuration does not ask for has no frames, (B, 0).

    Attributes:
        waveform: (B, T).
        f0: (B, L), Hz, 0 where there is no pitch.
        loudness: (B, L), dB.
        lengths: (B,), samples of each that are no filling.
        ids: of the recordings.
    """

    waveform: Tensor
    f0: Tensor
    loudness: Tensor
    lengths: Tensor
    ids: list[str]


class PerformanceDataset(ExampleSource[Performance]):
    """The recordings of a manifest as their stored features have them.

    Args:
        manifest: of the recordings.
        data: folder that stores are below.
        waveform: the sound.
        f0: Hz in every frame; None for none.
        loudness: dB in every frame; None for none.
        hop_length: samples of a frame.
        segment: samples of an example, a multiple of the hop, cut at a random place each epoch; None for whole recordings.
        seed: of the places where examples are cut.
        shuffle: `shards` to read the shards of each feature one after another in training, in a random order.

    Attributes:
        ids: of the recordings.

    Raises:
        UserError: a store is missing, or no recording of the manifest is in all of them.
    """

    def __init__(
        self,
        manifest: Manifest,
        data: Path,
        waveform: Feature,
        f0: Feature | None,
        loudness: Feature | None,
        hop_length: int,
        segment: int | None = None,
        seed: int = 0,
        shuffle: Shuffle = "examples",
    ) -> None:
        name = manifest.name
        self.hop_length, self.segment, self.seed = hop_length, segment, seed
        self.features = (waveform, f0, loudness)
        self.stores = [
            None if feature is None else store.Store(store.folder_of(data, feature.name, name), in_order=shuffle == "shards")
            for feature in self.features
        ]
        present = [found for found in self.stores if found is not None]
        self.ids = Names(item.id for item in manifest if all(item.id in found for found in present))
        if not len(self.ids):
            raise UserError(f"{present[0].folder}: expected recordings of {manifest.path}, found none. Next: run `features`")
        self._shards = present[0].places(self.ids)[:, 0] if shuffle == "shards" else None

    def __len__(self) -> int:
        return len(self.ids)

    def shards(self) -> np.ndarray | None:
        """The shard that each recording's sound stands in, where shards are read one after another."""
        return self._shards

    def batch(self, epoch: int, indices: Sequence[int], memory: np.ndarray | None = None) -> Performance:
        """Recordings or pieces of them, zeros behind the shorter ones; `memory` takes the sound."""
        ids = [self.ids[index] for index in indices]
        starts = [self._start(epoch, index) for index in indices]
        available = [self._samples(identity) for identity in ids]
        lengths = [min(whole, self.segment or whole) for whole in available]
        frames = -(-max(self.segment or 0, *lengths) // self.hop_length)
        (waveforms,) = allocate([(len(ids), frames * self.hop_length)], memory)
        self._fill(0, waveforms, ids, [start * self.hop_length for start in starts])
        curves = [np.zeros((len(ids), 0 if found is None else frames), np.float32) for found in self.stores[1:]]
        for number, curve in enumerate(curves, 1):
            self._fill(number, curve, ids, starts)
        made = [torch.from_numpy(array) for array in (waveforms, *curves)]
        return Performance(made[0], made[1], made[2], torch.tensor(lengths), ids)

    def _fill(self, number: int, out: np.ndarray, ids: list[str], starts: list[int]) -> None:
        found, feature = self.stores[number], self.features[number]
        if found is None or feature is None:
            return
        out[:] = 0
        for row, identity, start in zip(out, ids, starts, strict=True):
            piece = found.read(identity, start, len(row))
            np.multiply(piece.reshape(len(piece)), np.float32(feature.scale), out=row[: len(piece)], casting="unsafe")
            if number and len(piece):  # a frame that the curve lacks at the end is as the last one
                row[len(piece) :] = row[len(piece) - 1]

    def _samples(self, identity: str) -> int:
        assert self.stores[0] is not None
        return self.stores[0].frames(identity)

    def _start(self, epoch: int, index: int) -> int:
        """The first frame of an example."""
        if self.segment is None:
            return 0
        latest = (self._samples(self.ids[index]) - self.segment) // self.hop_length
        return 0 if latest <= 0 else int(np.random.default_rng((self.seed, CROPS, epoch, index)).integers(latest + 1))
