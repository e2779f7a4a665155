"""Processes that load batches; what they read stands in memory they share with us, so that no batch is sent through a pipe."""

from __future__ import annotations

import concurrent.futures
import math
import multiprocessing
import queue
import weakref
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Generic, NamedTuple

import torch
from torch import Tensor

from toolkit.data import parallel
from toolkit.data.examples import AnyBatch, ExampleSource, with_tensors
from toolkit.log import UserError


class Workers(Generic[AnyBatch]):
    """Processes that call ``source.batch``; they stay until the object goes.

    Args:
        source: goes to each process once.
        workers: how many.
        slots: batches that fit into the shared memory at once.
        slot_size: samples of a batch, all its tensors together; a larger batch is sent through a pipe.
    """

    def __init__(self, source: ExampleSource[AnyBatch], workers: int, slots: int, slot_size: int) -> None:
        self._memory = torch.empty(slots, slot_size).share_memory_()
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(slots):
            self._free.put(slot)
        self._pool = concurrent.futures.ProcessPoolExecutor(
            workers, _context(), initializer=_begin, initargs=(source, self._memory)
        )
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)

    def batch(self, epoch: int, indices: list[int]) -> AnyBatch:
        """The source's batch, made by the next process that is free.  Any thread may ask.

        Raises:
            UserError: as the source, or the process has died.
        """
        try:
            slot = self._free.get_nowait()
        except queue.Empty:  # somebody keeps many batches
            slot = None
        try:
            answer = self._pool.submit(_load, epoch, indices, slot).result()
        except BrokenProcessPool as error:
            raise UserError("a process that loads data died, perhaps for want of memory. Next: fewer --data.workers") from error
        except BaseException:
            self._release(slot)
            raise
        if slot is None or not any(isinstance(part, _Stored) for part in answer):
            self._release(slot)
            return answer
        return self._view(slot, answer)

    def _view(self, slot: int, answer: AnyBatch) -> AnyBatch:
        """Tensors over the slot, which is free again when nothing uses them any more."""
        memory = self._memory[slot].numpy()
        weakref.finalize(memory, self._free.put, slot).atexit = False
        shared = torch.from_numpy(memory)
        return type(answer)(
            *(
                shared[part.start :][: math.prod(part.shape)].reshape(part.shape) if isinstance(part, _Stored) else part
                for part in answer
            )
        )

    def _release(self, slot: int | None) -> None:
        if slot is not None:
            self._free.put(slot)


class _Stored(NamedTuple):
    """A tensor that stands in shared memory."""

    start: int
    shape: tuple[int, ...]


_here: tuple[ExampleSource[Any], Tensor] | None = None  # in a worker process: what it serves and where to


def _begin(source: ExampleSource[Any], memory: Tensor) -> None:
    global _here
    parallel.begin_worker()
    _here = source, memory


def _load(epoch: int, indices: list[int], slot: int | None) -> Any:
    """The batch; of its tensors that stand in the slot only where they do."""
    assert _here is not None
    source, memory = _here
    if slot is None:
        return source.batch(epoch, indices)
    target = memory[slot]
    batch = source.batch(epoch, indices, target.numpy())
    begin, end = target.data_ptr(), target.data_ptr() + target.nbytes

    def stored(tensor: Tensor) -> Any:
        inside = begin <= tensor.data_ptr() < end and tensor.numel()
        return _Stored((tensor.data_ptr() - begin) // target.itemsize, tuple(tensor.shape)) if inside else tensor

    return with_tensors(batch, stored)


def _context() -> multiprocessing.context.BaseContext:
    """Never a plain fork, which would copy the locks of torch's threads; a fork server imports once for all workers."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "toolkit.data.mixing"])
    return context
