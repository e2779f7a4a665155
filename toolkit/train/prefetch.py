"""Batches on the device: while one is computed with, the next is copied there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from toolkit.data.examples import AnyBatch, to_device, with_tensors


def ahead(batches: Iterable[AnyBatch], device: torch.device) -> Iterator[AnyBatch]:
    """The batches, in order, on `device`.

    To a GPU, batches in pinned memory are copied by a stream of their own, one ahead: when a batch is handed out, the copy of
    the next one has begun.
    """
    if device.type != "cuda":
        for batch in batches:
            yield to_device(batch, device)
        return
    stream = torch.cuda.Stream(device)
    coming: tuple[AnyBatch, torch.cuda.Event] | None = None
    for batch in batches:
        ready, coming = coming, _copied(batch, stream)
        if ready is not None:
            yield _received(*ready)
    if coming is not None:
        yield _received(*coming)


def _copied(batch: AnyBatch, stream: torch.cuda.Stream) -> tuple[AnyBatch, torch.cuda.Event]:
    """The batch as it will be once the event has come."""
    with torch.cuda.stream(stream):
        copied = to_device(batch, stream.device)
        event = torch.cuda.Event()
        event.record(stream)
    return copied, event


def _received(batch: AnyBatch, event: torch.cuda.Event) -> AnyBatch:
    """The batch for the stream that computes, which waits for the copy; its memory is not given away before that is done."""
    computing = torch.cuda.current_stream()
    computing.wait_event(event)

    def used(tensor: Tensor) -> Tensor:
        tensor.record_stream(computing)
        return tensor

    return with_tensors(batch, used)
