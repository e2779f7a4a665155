"""A long recording in overlapping chunks, so that memory does not grow with its length."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import scipy
import torch
from torch import Tensor
from torch.nn import functional as F

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Chunking:
    """How a recording is cut, and how its pieces are put together again.

    Attributes:
        chunk: samples at once; None for all.
        overlap: share of a chunk that the next one overlaps, up to 0.5; the two are cross-faded linearly over it.
        align: for a model trained without a fixed order of sources, which may swap them from chunk to chunk: put each chunk
            into the order in which its sources correlate most with what is already there, over the samples they share.
        shifts: estimates averaged, each made with up to `longest_shift` samples more before the chunk (Défossez et al. 2019,
            "Music source separation in the waveform domain", section 4.4): what was heard before it, or zeros where the
            recording has not begun; 0 for the chunk as it is.
        longest_shift: samples.
        jobs: chunks that are separated at a time, each by a thread of its own.
        seed: of the shifts.

    Raises:
        ValueError: a chunk is shorter than two samples, or the overlap is not one of 0 to 0.5.
    """

    chunk: int | None = None
    overlap: float = 0.25
    align: bool = True
    shifts: int = 0
    longest_shift: int = 0
    jobs: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.chunk is not None and self.chunk < 2:
            raise ValueError(f"chunk: expected at least 2 samples, found {self.chunk}")
        if not 0 <= self.overlap <= 0.5:
            raise ValueError(f"overlap: expected 0 to 0.5, found {self.overlap}")

    @property
    def shared(self) -> int:
        """Samples that a chunk has in common with the next one."""
        return 0 if self.chunk is None else max(1, round(self.chunk * self.overlap))

    @property
    def hop(self) -> int:
        """Samples from the beginning of a chunk to that of the next."""
        return 0 if self.chunk is None else self.chunk - self.shared


def stream(separate: Callable[[Tensor], Tensor], blocks: Iterable[Tensor], chunking: Chunking) -> Iterator[Tensor]:
    """Separate a recording that comes in blocks; no more than some chunks of it are held at a time.

    Args:
        separate: maps (B, C, t) to (B, S, C, t).
        blocks: (B, C, t) one after the other, at least one sample in all; their lengths do not matter.
        chunking: how it is cut and put together.

    Yields:
        Estimates (B, S, C, t) one after the other, together as long as the blocks.
    """
    rise = torch.linspace(0, 1, chunking.shared + 2)[1:-1]
    tail: Tensor | None = None
    windows = _windows(blocks, chunking)
    for piece, is_last in in_parallel(partial(_estimate, separate, chunking.align), windows, chunking.jobs):
        if tail is not None:
            if chunking.align:
                piece = _align(piece, tail)
            rise = rise.to(piece)
            faded = tail * (1 - rise) + piece[..., : len(rise)] * rise
            piece = torch.cat([faded, piece[..., len(rise) :]], dim=-1)
        if is_last:
            yield piece
        else:
            yield piece[..., : chunking.hop]
            tail = piece[..., chunking.hop :]


def in_parallel(work: Callable[[Given], Made], given: Iterable[Given], jobs: int) -> Iterator[Made]:
    """`map` in threads: results in order, no more than `jobs` of them begun before the first is taken."""
    if jobs <= 1:
        yield from map(work, given)
        return
    with ThreadPoolExecutor(jobs) as pool:
        begun: deque[Future[Made]] = deque()
        for one in given:
            if len(begun) == jobs:
                yield begun.popleft().result()
            begun.append(pool.submit(work, one))
        while begun:
            yield begun.popleft().result()


class _Window(NamedTuple):
    """What a chunk is made from: `samples` (B, C, t), `lead` of which lie before it, and the `delays` it is heard with.

    Of the estimate, the first `known` samples are dropped: the last chunk is as long as any other, so that the model never
    hears a scrap, and begins with what the one before has given already.
    """

    samples: Tensor
    lead: int
    known: int
    delays: list[int]
    is_last: bool


def _windows(blocks: Iterable[Tensor], chunking: Chunking) -> Iterator[_Window]:
    draw = random.Random(chunking.seed)
    held, first, start = torch.empty(0), 0, 0  # `held` begins at sample `first` of the recording, the chunk at `start`

    def window(low: int, high: int, is_last: bool) -> _Window:
        delays = [draw.randint(0, chunking.longest_shift) for _ in range(chunking.shifts)]
        begin = max(first, low - chunking.longest_shift)
        return _Window(held[..., begin - first : high - first], low - begin, start - low, delays or [0], is_last)

    for block in blocks:
        held = torch.cat([held, block], dim=-1) if held.numel() else block
        if chunking.chunk is None:
            continue
        while first + held.shape[-1] > start + chunking.chunk:
            yield window(start, start + chunking.chunk, False)
            start += chunking.hop
            keep_from = max(first, start - chunking.chunk - chunking.longest_shift)
            held, first = held[..., keep_from - first :], keep_from
    end = first + held.shape[-1]
    yield window(start if chunking.chunk is None else max(0, min(start, end - chunking.chunk)), end, True)


def _estimate(separate: Callable[[Tensor], Tensor], align: bool, window: _Window) -> tuple[Tensor, bool]:
    pieces = []
    for delay in window.delays:
        heard = F.pad(window.samples[..., max(0, window.lead - delay) :], (max(0, delay - window.lead), 0))
        pieces.append(separate(heard)[..., delay + window.known :])
    first, *others = pieces
    aligned = [_align(piece, first) if align else piece for piece in others]
    return torch.stack([first, *aligned]).mean(0) if aligned else first, window.is_last


def _align(piece: Tensor, before: Tensor) -> Tensor:
    """Order the sources of `piece` (B, S, C, t) like those of `before` (B, S, C, n), n <= t."""
    head = piece[..., : before.shape[-1]]
    similarity = before.flatten(2) @ head.flatten(2).transpose(1, 2)
    matrices = similarity.double().cpu().numpy()
    order = np.stack([scipy.optimize.linear_sum_assignment(matrix, maximize=True)[1] for matrix in matrices])
    index = torch.from_numpy(order).to(piece.device)
    return torch.take_along_dim(piece, index[:, :, None, None], dim=1)
