"""Examples of pitch: single frames of the stored spectra of all recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from toolkit.blocks.features import Feature
from toolkit.data import store
from toolkit.data.examples import ExampleSource, allocate
from toolkit.data.manifest import Item, Manifest
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

    Raises:
        UserError: a store is missing, or no recording of the manifest is in all of them.
    """

    def __init__(self, manifest: Manifest, data: Path, spectra: Feature, background: Feature | None = None) -> None:
        name = str(manifest.header["name"])
        self.stores = [
            store.Store(store.folder_of(data, feature.name, name)) for feature in (spectra, background) if feature is not None
        ]
        items = [item for item in manifest if all(item.id in found for found in self.stores)]
        if not items:
            raise UserError(
                f"{self.stores[0].folder}: expected recordings of {manifest.path}, found none. Next: run `features`"
            )
        self.ids = [item.id for item in items]
        counts = [min(found.frames(identity) for found in self.stores) for identity in self.ids]
        self.ends = np.cumsum(counts)
        assert spectra.frame_rate is not None
        self.hertz = np.concatenate(
            [annotated(item, count, spectra.frame_rate) for item, count in zip(items, counts, strict=True)]
        )

    def __len__(self) -> int:
        return int(self.ends[-1])

    def batch(self, epoch: int, indices: Sequence[int], memory: np.ndarray | None = None) -> FrameBatch:
        """Frames by their numbers, all recordings' in a row; `memory` takes the spectra."""
        wanted = np.asarray(indices)
        recordings = np.searchsorted(self.ends, wanted, side="right")
        frames = wanted - np.concatenate([[0], self.ends])[recordings]
        arrays = allocate([(len(wanted), *found.shape) for found in self.stores], memory)
        for array, found in zip(arrays, self.stores, strict=True):
            for row, recording, frame in zip(array, recordings, frames, strict=True):
                row[:] = found.read(self.ids[recording], int(frame), 1)[0]
        tensors = [torch.from_numpy(array) for array in arrays]
        background = tensors[1] if len(tensors) > 1 else torch.empty(len(wanted), 0)
        return FrameBatch(
            tensors[0], background, torch.from_numpy(self.hertz[wanted]), [self.ids[recording] for recording in recordings]
        )


def annotated(item: Item, frames: int, frame_rate: float) -> np.ndarray:
    """What the nearest annotation says of each frame, float32 Hz; NaN where none is near, or the item has no `labels.f0`."""
    label: dict[str, Any] | None = item.labels.get("f0")
    hertz = np.full(frames, np.nan, np.float32)
    if label is not None:
        nearest = np.rint((np.arange(frames) / frame_rate - label["start"]) / label["step"]).astype(int)
        inside = (nearest >= 0) & (nearest < len(label["hz"]))
        hertz[inside] = np.asarray(label["hz"], np.float32)[nearest[inside]]
    return hertz
