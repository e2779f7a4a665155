"""From examples to batches, in an order that follows from (seed, epoch) alone."""

from __future__ import annotations

import concurrent.futures
from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from torch import Tensor

from toolkit.data import shards
from toolkit.data.examples import AnyBatch, Batch, Example, ExampleSource, collate, to_device, with_tensors
from toolkit.data.workers import Workers
from toolkit.log import UserError

__all__ = ["Batch", "Example", "ExampleSource", "batches", "collate", "order", "to_device"]

ORDER = 0  # what the random stream is for; see segments.py

Request = tuple[int, list[int]]  # epoch and indices


def batches(
    source: ExampleSource[AnyBatch],
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    skip: int = 0,
    workers: int = 0,
    shuffle: bool = True,
    rank: int = 0,
    world_size: int = 1,
    drop_last: bool = True,
    group: int = 1,
    pin_memory: bool = False,
) -> Iterator[AnyBatch]:
    """Batches of one epoch.

    Args:
        source: the examples.
        batch_size: examples per batch and process that trains.
        seed: of the order.
        epoch: which one, from 0.
        skip: batches to leave out at the beginning; nothing of them is read.
        workers: processes that load; with 0 a thread of this process does. They stay for the next epoch of the same source.
        shuffle: whether the order is random.
        rank: number of this process among those that train together.
        world_size: how many those are; each gets its own part of every `world_size` batches.
        drop_last: leave out what does not fill a batch in every process, and the batches that do not fill a group.
        group: batches that one step of the training is made of.
        pin_memory: put batches where a GPU can fetch them by itself.

    Yields:
        Batches, the same ones whatever `workers` is.

    Raises:
        UserError: a file cannot be used, or there are fewer examples than one batch needs.
    """
    plan = order(len(source), batch_size, seed, epoch, shuffle, rank, world_size, drop_last, source.shards())
    plan = plan[: len(plan) - len(plan) % group] if drop_last else plan
    if not plan and drop_last:
        what, other = ("one batch", "") if group == 1 else (f"a step of {group} batches", " or --train.accumulate")
        raise UserError(
            f"expected at least {batch_size * world_size * group} examples for {what}, found {len(source)}. "
            f"Next: a smaller --data.batch_size{other}"
        )
    load = _pool(source, batch_size, workers).batch if workers and plan[skip:] else source.batch
    with concurrent.futures.ThreadPoolExecutor(max(workers, 1), "loader") as executor:
        pending: deque[concurrent.futures.Future[AnyBatch]] = deque()
        try:
            for indices in plan[skip:]:
                pending.append(executor.submit(_loaded, load, (epoch, indices.tolist()), pin_memory))
                if len(pending) > _ahead(workers):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def order(
    examples: int,
    batch_size: int,
    seed: int,
    epoch: int,
    shuffle: bool,
    rank: int,
    world_size: int,
    drop_last: bool,
    shard_of: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Indices of each batch of one process; the arguments are those of `batches`, and what `ExampleSource.shards` gives."""
    rng = np.random.default_rng((seed, ORDER, epoch))
    if not shuffle:
        indices = np.arange(examples)
    elif shard_of is None:
        indices = rng.permutation(examples)
    else:
        indices = shards.order(shard_of, rng, batch_size, world_size)
    step = batch_size * world_size
    end = examples - examples % step if drop_last else examples
    rows = [indices[begin + rank * batch_size : min(begin + (rank + 1) * batch_size, end)] for begin in range(0, end, step)]
    return [row for row in rows if len(row)]


def _loaded(load: Callable[[int, list[int]], AnyBatch], request: Request, pin_memory: bool) -> AnyBatch:
    batch = load(*request)
    return with_tensors(batch, Tensor.pin_memory) if pin_memory else batch


def _ahead(workers: int) -> int:
    """Batches that are loaded before they are asked for."""
    return 2 * max(workers, 1)


@lru_cache(maxsize=2)  # training and validation; the processes of a source before those end
def _pool(source: ExampleSource[AnyBatch], batch_size: int, workers: int) -> Workers[AnyBatch]:
    first = source.batch(0, range(min(batch_size, len(source))))
    size = sum(part.numel() for part in first if isinstance(part, Tensor))
    return Workers(source, workers, slots=_ahead(workers) + 3, slot_size=size)
