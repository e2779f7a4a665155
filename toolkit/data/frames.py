"""Examples of pitch: single frames of the stored spectra of all recordings."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from toolkit.blocks.features import Feature
from toolkit.data import store
from toolkit.data.examples import ExampleSource, allocate
from toolkit.data.manifest import Item, Manifest
from toolkit.data.names import Names
from toolkit.data.shards import Shuffle
from toolkit.log import UserError


class FrameBatch(NamedTuple):
    """Frames of any recordings.

    Attributes:
        spectra: (B, F), or (B, F, 2) where real and imaginary parts are stored.
        background: of what is played with it, as `spectra`; (B, 0) for none.
        hertz: (B,), annotated; 0 where there is no pitch, NaN where nothing is known.
        ids: of the recordings.
    """

    spectra: Tensor
    background: Tensor
    hertz: Tensor
    ids: list[str]


class FrameDataset(ExampleSource[FrameBatch]):
    """All frames of a manifest's recordings; a frame is read when it is asked for, from files mapped into memory.

    Args:
        manifest: of the recordings.
        data: folder that stores are below.
        spectra: what is stored of a recording.
        background: what is stored of its accompaniment; None for none.
        shuffle: `shards` to read the shards of each feature one after another in training, in a random order.

    Attributes:
        ids: of the recordings.
        ends: (recordings,), the number of the first frame behind each.
        hertz: (frames,), annotated, as in the batches.

    Raises:
        UserError: a store is missing, or no recording of the manifest is in all of them.
    """

    def __init__(
        self,
        manifest: Manifest,
        data: Path,
        spectra: Feature,
        background: Feature | None = None,
        shuffle: Shuffle = "examples",
    ) -> None:
        name = manifest.name
        self.stores = [
            store.Store(store.folder_of(data, feature.name, name), in_order=shuffle == "shards")
            for feature in (spectra, background)
            if feature is not None
        ]
        assert spectra.frame_rate is not None
        counts, hertz = array("q"), array("f")
        self.ids = Names(self._kept(manifest, spectra.frame_rate, counts, hertz))
        if not len(self.ids):
            raise UserError(
                f"{self.stores[0].folder}: expected recordings of {manifest.path}, found none. Next: run `features`"
            )
        self.ends, self.hertz = np.cumsum(counts), np.frombuffer(hertz, np.float32)
        self._begins = self.ends - np.frombuffer(counts, np.int64)
        self._places = [found.places(self.ids) for found in self.stores]
        self._shards = np.repeat(self._places[0][:, 0], counts) if shuffle == "shards" else None

    def __len__(self) -> int:
        return int(self.ends[-1])

    def shards(self) -> np.ndarray | None:
        """The shard that each frame stands in, where shards are read one after another."""
        return self._shards

    def batch(self, epoch: int, indices: Sequence[int], memory: np.ndarray | None = None) -> FrameBatch:
        """Frames by their numbers, all recordings' in a row; `memory` takes the spectra."""
        wanted = np.asarray(indices)
        recordings = np.searchsorted(self.ends, wanted, side="right")
        frames = wanted - self._begins[recordings]
        arrays = allocate([(len(wanted), *found.shape) for found in self.stores], memory)
        for spectra, found, places in zip(arrays, self.stores, self._places, strict=True):
            found.gather(places[recordings, 0], places[recordings, 1] + frames, spectra)
        tensors = [torch.from_numpy(array) for array in arrays]
        background = tensors[1] if len(tensors) > 1 else torch.empty(len(wanted), 0)
        return FrameBatch(
            tensors[0], background, torch.from_numpy(self.hertz[wanted]), [self.ids[recording] for recording in recordings]
        )

    def _kept(self, manifest: Manifest, frame_rate: float, counts: array[int], hertz: array[float]) -> Iterator[str]:
        """The ids of recordings that are stored; how many frames they have, and their pitches, are put into the arrays."""
        for item in manifest:
            if all(item.id in found for found in self.stores):
                counts.append(min(found.frames(item.id) for found in self.stores))
                hertz.frombytes(annotated(item, counts[-1], frame_rate).tobytes())
                yield item.id


def annotated(item: Item, frames: int, frame_rate: float) -> np.ndarray:
    """What the nearest annotation says of each frame, (frames,), float32 Hz; NaN where none is near, or without `labels.f0`."""
    label: dict[str, Any] | None = item.labels.get("f0")
    hertz = np.full(frames, np.nan, np.float32)
    if label is not None:
        nearest = np.rint((np.arange(frames) / frame_rate - label["start"]) / label["step"]).astype(int)
        inside = (nearest >= 0) & (nearest < len(label["hz"]))
        hertz[inside] = np.asarray(label["hz"], np.float32)[nearest[inside]]
    return hertz
