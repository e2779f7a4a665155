"""From examples to batches, in an order that follows from (seed, epoch) alone."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
from collections import deque
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from torch.utils.data import DataLoader, Dataset

from toolkit.data.examples import Batch, Example, ExampleSource, collate, to_device
from toolkit.log import UserError

__all__ = ["Batch", "Example", "ExampleSource", "batches", "collate", "order", "to_device"]

AHEAD = 2  # batches that are loaded before they are asked for, by each process that loads
ORDER = 0  # what the random stream is for; see segments.py

Request = tuple[int, list[int]]  # epoch and indices


def batches(
    source: ExampleSource,
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
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """Batches of one epoch.

    Args:
        source: the examples.
        batch_size: examples per batch and process that trains.
        seed: of the order.
        epoch: which one, from 0.
        skip: batches to leave out at the beginning; nothing of them is read.
        workers: processes that load; with 0 a thread of this process does. They stay for the next epoch of the same source, of
            which only one can be under way.
        shuffle: whether the order is random.
        rank: number of this process among those that train together.
        world_size: how many those are; each gets its own part of every `world_size` batches.
        drop_last: leave out what does not fill a batch in every process.
        pin_memory: put batches where a GPU can fetch them by itself.

    Yields:
        Batches, the same ones whatever `workers` is.

    Raises:
        UserError: a file cannot be used, or there are fewer examples than one batch needs.
    """
    plan = order(len(source), batch_size, seed, epoch, shuffle, rank, world_size, drop_last)
    if not plan and drop_last:
        raise UserError(
            f"expected at least {batch_size * world_size} examples for one batch, found {len(source)}. "
            "Next: a smaller --data.batch_size"
        )
    requests = [(epoch, indices) for indices in plan[skip:]]
    if workers == 0:
        yield from _from_thread(source, requests, pin_memory)
    else:
        yield from _from_processes(source, requests, workers, pin_memory)


def order(
    examples: int, batch_size: int, seed: int, epoch: int, shuffle: bool, rank: int, world_size: int, drop_last: bool
) -> list[list[int]]:
    """Indices of each batch of one process; the arguments are those of `batches`."""
    indices = np.random.default_rng((seed, ORDER, epoch)).permutation(examples) if shuffle else np.arange(examples)
    step = batch_size * world_size
    end = examples - examples % step if drop_last else examples
    rows = [indices[begin + rank * batch_size : min(begin + (rank + 1) * batch_size, end)] for begin in range(0, end, step)]
    return [row.tolist() for row in rows if len(row)]


def _from_thread(source: ExampleSource, requests: list[Request], pin_memory: bool) -> Iterator[Batch]:
    def load(request: Request) -> Batch:
        batch = source.batch(*request)
        return _pinned(batch) if pin_memory else batch

    with concurrent.futures.ThreadPoolExecutor(1, "loader") as executor:
        pending: deque[concurrent.futures.Future[Batch]] = deque()
        try:
            for request in requests:
                pending.append(executor.submit(load, request))
                if len(pending) > AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _pinned(batch: Batch) -> Batch:
    mixture, references, lengths = (part.pin_memory() for part in batch[:3])
    return Batch(mixture, references, lengths, batch.ids)


def _from_processes(source: ExampleSource, requests: list[Request], workers: int, pin_memory: bool) -> Iterator[Batch]:
    plan, loader = _pool(source, workers, pin_memory)
    plan.requests = requests
    plan.turn += 1
    turn = plan.turn
    for batch in loader:
        if plan.turn != turn:
            raise RuntimeError("another epoch of the same source has been begun; this one cannot go on")
        if isinstance(batch, UserError):
            raise batch
        yield batch


class _Plan:
    """The requests of the current epoch: a sampler that can be given other ones while the processes stay."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.turn = 0

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)

    def __len__(self) -> int:
        return len(self.requests)


class _Served(Dataset[Batch | UserError]):
    """A source as a worker process sees it; an error is handed over as a value, since torch would wrap it in a traceback."""

    def __init__(self, source: ExampleSource) -> None:
        self.source = source

    def __getitem__(self, request: Request) -> Batch | UserError:
        try:
            return self.source.batch(*request)
        except UserError as error:
            return error


@lru_cache(maxsize=2)  # training and validation; an older source's processes end when it leaves
def _pool(source: ExampleSource, workers: int, pin_memory: bool) -> tuple[_Plan, DataLoader[Batch | UserError]]:
    plan = _Plan()
    loader = DataLoader(
        _Served(source),
        sampler=plan,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=AHEAD,
        persistent_workers=True,
        pin_memory=pin_memory,
        multiprocessing_context=_context(),
    )
    return plan, loader


def _context() -> multiprocessing.context.BaseContext:
    """Never a plain fork, which would copy the locks of torch's threads; a fork server imports torch once for all workers."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context
