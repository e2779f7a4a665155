"""Examples cut out of the recordings of a manifest."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from toolkit import audio, log
from toolkit.data.augment import Augmentation
from toolkit.data.examples import Batch, Example, MixtureSource, allocate, collate
from toolkit.data.manifest import Item, Manifest, gone
from toolkit.log import UserError

CROPS, CHANGES = 1, 2  # what a random stream is for; its seed is (seed, purpose, epoch, ...)
SILENCE = 1e-8  # added to the deviation of a recording that is divided by it

logger = log.get(__name__)


class SegmentDataset(MixtureSource):
    """Pieces of mixtures with the same pieces of their sources.

    Reads no more than the bytes of a piece.  That a file is what its manifest says is checked when it is first read.

    Args:
        manifest: items with a role per source, and `mixture`; without `mixture` the sources' sum is the mixture.
        segment: seconds of a piece; None for whole recordings.
        seed: of the places where pieces are cut, and of augmentations.
        sources: roles in the order of the references; None for all that are not the mixture.
        drop_short: leave out recordings that are shorter than a piece (as Asteroid does), else fill them up with zeros.
        crop: `random` takes one piece of a recording per epoch from any place, `centre` always the middle, `tiles` all that lie
            side by side (what is left over at the end is not used).
        sample_rate: expected rate in Hz; None for the manifest's own.
        augment: changes of the references, one after another; the mixture is their sum then.
        normalize: bring each recording to mean 0 and deviation 1 of its mono mixture, by the labels `mixture_mean` and
            `mixture_deviation` of the whole; the references are shifted and scaled alike.

    Attributes:
        sample_rate: Hz.
        channels: of every recording.
        sources: roles of the references.
        segment: samples of a piece; None for whole recordings.
        lengths: samples of each recording.
        dropped: recordings left out since they are too short.

    Raises:
        UserError: a rate, role or number of channels is not the expected one, a label is missing, or all recordings are too
            short.
    """

    def __init__(
        self,
        manifest: Manifest,
        segment: float | None = None,
        seed: int = 0,
        sources: Sequence[str] | None = None,
        drop_short: bool = True,
        *,
        crop: Literal["random", "centre", "tiles"] = "random",
        sample_rate: int | None = None,
        augment: Sequence[Augmentation] = (),
        normalize: bool = False,
    ) -> None:
        first = manifest[0]
        self.manifest, self.seed = manifest, seed
        self.sample_rate = sample_rate or first.sample_rate
        self.channels = first.channels
        self.sources = list(sources or first.sources)
        self.segment = None if segment is None else round(segment * self.sample_rate)
        self.augment = tuple(augment)
        self.dropped = 0
        self._has_mixture = "mixture" in first.audio
        self._roles = self.sources + ["mixture"] * self._has_mixture
        self._read_manifest(drop_short, normalize)
        self._checked = np.zeros(len(self.lengths), bool)
        self._last: tuple[int, Item] = (-1, first)
        self._place_pieces(crop)
        self._draws: tuple[int, np.ndarray] = (-1, np.empty(0))

    def __len__(self) -> int:
        return len(self._items)

    def example(self, epoch: int, index: int) -> Example:
        """The piece, changed by the augmentations if there are any."""
        item, start, frames = self._piece(epoch, index)
        block = np.empty((1 + len(self.sources), self.channels, frames), np.float32)
        self._read(item, start, block[0], block[1:])
        mixture, references = torch.from_numpy(block[0]), torch.from_numpy(block[1:])
        if self.augment:
            rng = np.random.default_rng((self.seed, CHANGES, epoch, index))
            for change in self.augment:
                references = change(references, rng)
            references = references[..., : self.segment]
            mixture = references.sum(dim=0)
        return Example(mixture, references, self.name_of(item))

    def batch(self, epoch: int, indices: Sequence[int], memory: np.ndarray | None = None) -> Batch:
        """Pieces of equal length are read straight into the batch."""
        if self.segment is None or self.augment:
            return collate([self.example(epoch, index) for index in indices], self.segment or 0, memory)
        pieces = [self._piece(epoch, index) for index in indices]
        shape = (len(pieces), len(self.sources), self.channels, self.segment)
        mixture, references = allocate([(shape[0], *shape[2:]), shape], memory)
        ids = []
        for row, (item, start, frames) in enumerate(pieces):
            self._read(item, start, mixture[row, :, :frames], references[row, :, :, :frames])
            mixture[row, :, frames:] = 0
            references[row, :, :, frames:] = 0
            ids.append(self.name_of(item))
        lengths = torch.tensor([frames for _, _, frames in pieces])
        return Batch(torch.from_numpy(mixture), torch.from_numpy(references), lengths, ids)

    def name_of(self, recording: int) -> str:
        """The id of one of the `lengths`."""
        return self._recording(recording).id

    def read_source(self, recording: int, source: int, start: int, out: np.ndarray, gain: float = 1.0) -> None:
        """Fill `out` (channels, time) with `gain` times a piece of one reference.

        Args:
            recording: which of the `lengths`.
            source: which of the `sources`; -1 for the mixture if there is one.
            start: first sample.
            out: float32; the samples go straight there.
            gain: factor.

        Raises:
            UserError: a file cannot be read or does not fit its manifest.
        """
        path = self._files(recording)[source]
        try:
            audio.read_into(path, out, start, gain * float(self._scales[recording]))
        except UserError as error:
            raise error if Path(path).exists() else gone(Path(path)) from error
        if offset := gain * float(self._offsets[recording]):
            out -= np.float32(offset)

    def _read_manifest(self, drop_short: bool, normalize: bool) -> None:
        """Keep of the manifest in arrays which recordings are used, how long they are and what they are multiplied by."""
        numbers, lengths, levels = array("q"), array("q"), array("d")
        for number, item in enumerate(self.manifest):
            self._check_item(item)
            if drop_short and self.segment is not None and item.frames < self.segment:
                self.dropped += 1
                continue
            numbers.append(number)
            lengths.append(item.frames)
            levels.extend(self._level(item) if normalize else (1.0, 0.0))
        seconds = (self.segment or 0) / self.sample_rate
        if not numbers:
            raise UserError(
                f"{self.manifest.path}: expected recordings of at least {seconds:g} s, found {self.dropped} shorter ones. "
                "Next: a smaller --data.segment"
            )
        if self.dropped:
            logger.info("%s: %d of %d shorter than %g s, left out", self.name, self.dropped, len(self.manifest), seconds)
        self._numbers, self.lengths = np.frombuffer(numbers, np.int64), np.frombuffer(lengths, np.int64)
        self._scales, self._offsets = np.frombuffer(levels).reshape(-1, 2).T

    @property
    def name(self) -> str:
        """The manifest's name, for messages."""
        return str(self.manifest.header.get("name", self.manifest.path))

    def _check_item(self, item: Item) -> None:
        if item.sample_rate != self.sample_rate:
            raise UserError(
                f"{self.manifest.path}: {item.id}: expected {self.sample_rate} Hz, found {item.sample_rate} Hz. "
                f"Next: --data.sample_rate {item.sample_rate}, or prepare the corpus at {self.sample_rate} Hz"
            )
        if item.channels != self.channels:
            raise UserError(
                f"{self.manifest.path}: {item.id}: expected {self.channels} channels as in the first item, "
                f"found {item.channels}"
            )
        for role in self._roles:
            if role not in item.audio:
                known = ", ".join(item.audio)
                raise UserError(f"{self.manifest.path}: {item.id}: expected a file for the role {role!r}, found only {known}")

    def _level(self, item: Item) -> tuple[float, float]:
        """What a recording is multiplied by to normalise it, and what is then subtracted."""
        try:
            scale = 1 / (float(item.labels["mixture_deviation"]) + SILENCE)
            return scale, scale * float(item.labels["mixture_mean"])
        except KeyError as error:
            raise UserError(
                f"{self.manifest.path}: {item.id}: expected the label {error} to normalise by, found only "
                f"{', '.join(item.labels) or 'none'}. Next: run the stage `prepare` with --force"
            ) from error

    def _place_pieces(self, crop: str) -> None:
        """Which recording each piece is of, and where it starts; the starts are None if they are drawn each epoch."""
        self._items, self._starts = np.arange(len(self.lengths)), None
        if self.segment is None or crop == "centre":
            self._starts = np.maximum(self.lengths - (self.segment or self.lengths), 0) // 2
        elif crop == "tiles":
            counts = np.maximum(self.lengths // self.segment, 1)
            self._items = np.repeat(self._items, counts)
            self._starts = self.segment * np.concatenate([np.arange(count) for count in counts])

    def _piece(self, epoch: int, index: int) -> tuple[int, int, int]:
        """Item, first sample and number of samples."""
        item = self._items[index]
        available = int(self.lengths[item])
        wanted = available
        if self.segment is not None:
            wanted = min(available, math.ceil(self.segment * math.prod(change.stretch for change in self.augment)))
        if self._starts is not None:
            start = min(int(self._starts[index]), available - wanted)
        else:
            start = int(self._draw(epoch)[index] * (available - wanted + 1))
        return int(item), start, wanted

    def _draw(self, epoch: int) -> np.ndarray:
        """One number in [0, 1) for each index; an epoch's are drawn together since a generator per example would cost more."""
        if self._draws[0] != epoch:
            self._draws = epoch, np.random.default_rng((self.seed, CROPS, epoch)).random(len(self))
        return self._draws[1]

    def _read(self, item: int, start: int, mixture: np.ndarray, references: np.ndarray) -> None:
        """Fill a mixture (channels, time) and its references (sources, channels, time)."""
        for source, reference in enumerate(references):
            self.read_source(item, source, start, reference)
        if self._has_mixture:
            self.read_source(item, -1, start, mixture)
        else:
            np.sum(references, axis=0, out=mixture)

    def _recording(self, recording: int) -> Item:
        """What the manifest says of one of the `lengths`; the last is kept, as the roles of a piece are read in a row."""
        last, item = self._last
        if last != recording:
            item = self.manifest[int(self._numbers[recording])]
            if item.frames != self.lengths[recording]:
                raise UserError(f"{self.manifest.path} has changed since training began. Next: start again")
            self._last = recording, item
        return item

    def _files(self, item: int) -> list[str]:
        """Paths of a recording's roles, which are held against the manifest at first."""
        found = self._recording(item)
        paths = [f"{self.manifest.root}/{found.audio[role]}" for role in self._roles]
        if not self._checked[item]:
            expected = audio.AudioInfo(int(self.lengths[item]), self.sample_rate, self.channels)
            for path in paths:
                check_file(path, expected, self.manifest)
            self._checked[item] = True
        return paths


def check_file(path: str, expected: audio.AudioInfo, manifest: Manifest) -> None:
    """Hold a file's header against its manifest.

    Raises:
        UserError: length, rate or channels differ, or it has gone.
    """
    if not Path(path).exists():
        raise gone(Path(path))
    found = audio.info(path)
    if found != expected:
        raise UserError(
            f"{path}: expected {_described(expected)} as {manifest.path} says, found {_described(found)}. "
            "Next: run the stage `prepare` with --force"
        )


def _described(info: audio.AudioInfo) -> str:
    return f"{info.frames} samples, {info.sample_rate} Hz, {info.channels} channels"
