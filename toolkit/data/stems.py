"""Training examples from long recordings of single stems: where they are cut, and stems of different tracks put together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from toolkit.data.augment import Augmentation, Rescaling
from toolkit.data.examples import Batch, Example, Mixing, allocate
from toolkit.data.segments import SegmentDataset
from toolkit.log import UserError

PIECES, EXCHANGE = 4, 5  # what a random stream is for; see segments.py
GROUP = 4  # examples that exchange their stems


class StemMixing(Mixing):
    """Pieces of stems, their sum as the mixture.

    | paper | options |
    |---|---|
    | Open-Unmix (F.-R. Stöter et al., JOSS 2019) | `remix: tracks` |
    | Demucs (A. Défossez et al., arXiv 1911.13254) | `place: windows, remix: batch, repeat: 2` |
    | Wave-U-Net (D. Stoller et al., ISMIR 2018) | `remix: none` |

    Rescaling augmentations at the beginning of `augment` happen in reading and cost nothing.

    Args:
        data: folder of the manifests (of no use here: `static` has its own).
        static: the recordings, with the stems as sources; they are normalised if it says so.
        seed: of all that is drawn.
        place: `random` cuts `examples_per_track` pieces from each track, each at a place of its own (Open-Unmix, Wave-U-Net);
            `windows` one from each window, `stride` apart (Demucs).
        remix: `tracks` draws track and place anew for every stem (Open-Unmix); `batch` exchanges the stems of every four
            neighbours in a batch, each stem at its own place (Demucs); `none` leaves the stems of a track together.
        examples_per_track: pieces of a track and epoch where the place is random (Open-Unmix: 64).
        stride: seconds from one window to the next (Demucs: 1).
        shift: seconds that a window is longer than a piece, which lies anywhere in it (Demucs: 1).
        repeat: times that an epoch goes through all (Demucs, versions 1 and 2: 2).
        augment: changes of the stems, one after another.

    Raises:
        UserError: the recordings are not cut to one length.
    """

    def __init__(
        self,
        data: Path,
        static: SegmentDataset,
        seed: int,
        place: Literal["random", "windows"] = "random",
        remix: Literal["none", "tracks", "batch"] = "none",
        examples_per_track: int = 64,
        stride: float = 1.0,
        shift: float = 1.0,
        repeat: int = 1,
        augment: Sequence[Augmentation] = (),
    ) -> None:
        if static.segment is None:
            raise UserError(f"{static.name}: expected a length to cut stems to, found none. Next: --data.segment SECONDS")
        self.static, self.seed, self.remix, self.repeat = static, seed, remix, repeat
        self.sources, self.segment = static.sources, static.segment
        self.rescale: list[Rescaling] = []
        self.change: list[Augmentation] = []
        for change in augment:
            if isinstance(change, Rescaling) and not self.change:
                self.rescale.append(change)
            else:
                self.change.append(change)
        self.wanted = math.ceil(self.segment * math.prod(change.stretch for change in self.change))
        if place == "random":
            self._place_anywhere(examples_per_track)
        else:
            self._place_windows(round(stride * static.sample_rate), round(shift * static.sample_rate))

    def __len__(self) -> int:
        return len(self._tracks) * self.repeat

    def example(self, epoch: int, index: int) -> Example:
        """The example as it is in a batch of one: without others to exchange stems with."""
        mixture, references, _, ids = self.batch(epoch, [index])
        return Example(mixture[0], references[0], ids[0])

    def batch(self, epoch: int, indices: Sequence[int], memory: np.ndarray | None = None) -> Batch:
        """Each stem is read straight into the batch, to the row it ends up in."""
        shape = (len(indices), len(self.sources), self.static.channels, self.segment)
        mixture, references = allocate([(shape[0], *shape[2:]), shape], memory)
        rows = self._rows(epoch, indices)
        stems = np.arange(len(self.sources))
        lengths, tracks = np.empty(shape[:2], np.int64), np.empty(shape[:2], np.int64)
        for index, row in zip(indices, rows, strict=True):
            lengths[row, stems], tracks[row, stems] = self._make(epoch, index, [references[r, s] for s, r in enumerate(row)])
        np.sum(references, axis=1, out=mixture)
        ids = ["+".join(map(self.static.name_of, dict.fromkeys(row))) for row in tracks.tolist()]
        return Batch(torch.from_numpy(mixture), torch.from_numpy(references), torch.from_numpy(lengths.max(1)), ids)

    def _place_anywhere(self, examples_per_track: int) -> None:
        """For each index its track, the first possible start, and how many samples later it may be."""
        room = np.maximum(self.static.lengths - self.wanted, 0)
        self._tracks = np.repeat(np.arange(len(room)), examples_per_track)
        self._starts, self._rooms = np.zeros_like(self._tracks), room[self._tracks]

    def _place_windows(self, stride: int, shift: int) -> None:
        """As `_place_anywhere`; the last window of a track ends with it."""
        last = np.maximum(self.static.lengths - self.wanted - shift, 0)
        counts = -(-last // stride) + 1
        self._tracks = np.repeat(np.arange(len(last)), counts)
        steps = np.concatenate([np.arange(count) for count in counts])
        self._starts = np.minimum(steps * stride, last[self._tracks])
        self._rooms = np.clip(self.static.lengths[self._tracks] - self.wanted - self._starts, 0, shift)

    def _rows(self, epoch: int, indices: Sequence[int]) -> np.ndarray:
        """The row of the batch that each stem goes to, (examples, stems)."""
        rows = np.repeat(np.arange(len(indices))[:, None], len(self.sources), axis=1)
        if self.remix == "batch":
            rng = np.random.default_rng((self.seed, EXCHANGE, epoch, *indices))
            for begin in range(0, len(rows), GROUP):
                rows[begin : begin + GROUP] = rng.permuted(rows[begin : begin + GROUP], axis=0)
        return rows

    def _make(self, epoch: int, index: int, targets: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Fill a target (channels, time) for each stem; what comes back are their lengths and tracks."""
        rng = np.random.default_rng((self.seed, PIECES, epoch, index))
        tracks, starts = self._cut(index, rng)
        lengths = np.minimum(self.static.lengths[tracks] - starts, self.wanted)
        if not self.change:
            self._read(tracks, starts, lengths, targets, rng)
            return lengths, tracks
        block = np.empty((len(targets), self.static.channels, self.wanted), np.float32)
        self._read(tracks, starts, lengths, block, rng)
        changed = torch.from_numpy(block)
        for change in self.change:
            changed = change(changed, rng)
        for target, stem in zip(targets, changed[..., : self.segment].numpy(), strict=True):
            target[:, : stem.shape[1]] = stem
            target[:, stem.shape[1] :] = 0
        return np.minimum(lengths, self.segment), tracks

    def _read(
        self,
        tracks: np.ndarray,
        starts: np.ndarray,
        lengths: np.ndarray,
        pieces: Sequence[np.ndarray] | np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        """Fill a piece (channels, time) for each stem, rescaled; what is longer than the track is zero."""
        gains, reverse = np.ones(len(pieces)), np.zeros(len(pieces), bool)
        for rescale in self.rescale:
            factors, swap = rescale.draw(len(pieces), rng)
            gains, reverse = gains * factors, reverse ^ swap
        for stem, (piece, length) in enumerate(zip(pieces, lengths, strict=True)):
            out = piece[::-1, :length] if reverse[stem] else piece[:, :length]
            self.static.read_source(tracks[stem], stem, int(starts[stem]), out, gains[stem])
            piece[:, length:] = 0

    def _cut(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Track and first sample of each stem."""
        stems = len(self.sources)
        indices = rng.integers(len(self._tracks), size=stems) if self.remix == "tracks" else np.repeat(index, stems)
        chances = rng.random(1 if self.remix == "none" else stems)
        indices = indices % len(self._tracks)
        return self._tracks[indices], self._starts[indices] + (chances * (self._rooms[indices] + 1)).astype(int)
