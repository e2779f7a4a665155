"""One process or several under `torchrun`: who am I, and what all of us together have found."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from toolkit.log import UserError


def rank() -> int:
    """This process's number, 0 for a single one."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def start(device: str) -> torch.device:
    """Join the group that torchrun has opened, if it has, and say which device is ours.

    Args:
        device: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`.

    Raises:
        UserError: it is none of these, or a GPU is asked for that is not there, or that several processes would share.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise UserError(f"--device: expected auto, cpu, cuda or cuda:N, found {device!r}. Next: --device auto")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {device}: expected an NVIDIA GPU that torch can use, found none. Next: --device cpu")
    use_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    chosen = _own_gpu(device) if use_gpu else torch.device("cpu")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if use_gpu else "gloo")
    if use_gpu:
        torch.cuda.set_device(chosen)
    return chosen


def _own_gpu(device: str) -> torch.device:
    """The GPU of this process: the one that is asked for, or of several processes on a machine each its own."""
    found, here = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if ":" not in device and here > found:
        raise UserError(f"--ngpu {here}: expected no more than the GPUs of this machine, found {found}. Next: --ngpu {found}")
    chosen = torch.device(device if ":" in device else f"cuda:{os.environ.get('LOCAL_RANK', 0)}")
    if (chosen.index or 0) >= found:
        raise UserError(f"--device {device}: expected a number below {found}. Next: --device cuda")
    if ":" in device and here > 1:
        raise UserError(f"--device {device}: expected a GPU for each of {here} processes. Next: --device cuda")
    return chosen


class Together:
    """A model, the gradients of whose copies in all processes are averaged.

    PyTorch's `DistributedDataParallel` does that while they are computed, but cannot do without any of them: a parameter that
    has no part in the loss (a score that nothing learns from) leaves its processes waiting for each other.  So the gradients
    of the first step are averaged when all are there.  If every parameter has one in every process, it takes over from there;
    if not, all steps are done as the first.

    Args:
        model: on its device.
        device: where it is.
        compiled: makes of a module what is called in its place; not before it is known which module that is.

    Attributes:
        forward: what is called.
    """

    def __init__(self, model: nn.Module, device: torch.device, compiled: Callable[[nn.Module], nn.Module]) -> None:
        self._model, self._device, self._compiled = model, device, compiled
        self._wrapped: nn.parallel.DistributedDataParallel | None = None
        self._settled = world_size() == 1
        self.forward = compiled(model) if self._settled else model
        share([*model.parameters(), *model.buffers()])

    def apart(self) -> contextlib.AbstractContextManager[Any]:
        """While it is open, each process adds up its own gradients."""
        return contextlib.nullcontext() if self._wrapped is None else self._wrapped.no_sync()

    def average(self) -> None:
        """Called after the backward pass of a step, in all processes."""
        if world_size() == 1 or self._wrapped is not None:
            return
        complete = average([parameter for parameter in self._model.parameters() if parameter.requires_grad])
        share(self._model.buffers())
        if self._settled:
            return
        if complete:
            devices = [self._device.index] if self._device.type == "cuda" else None
            self._wrapped = nn.parallel.DistributedDataParallel(self._model, device_ids=devices)
        self.forward = self._compiled(self._wrapped or self._model)
        self._settled = True


def average(parameters: Sequence[Tensor]) -> bool:
    """Average the gradients of all processes.

    A parameter that has a gradient in some processes counts as having zeros in the others; one without any stays without.

    Args:
        parameters: the same in all processes.

    Returns:
        Whether each has a gradient in every process.
    """
    flags = torch.tensor([float(parameter.grad is not None) for parameter in parameters], device=parameters[0].device)
    dist.all_reduce(flags)
    counts = flags.tolist()
    used = [parameter for parameter, count in zip(parameters, counts, strict=True) if count]
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in used]
    flat = torch.cat([gradient.flatten() for gradient in gradients]) / world_size()
    dist.all_reduce(flat)
    for parameter, gradient, mean in zip(used, gradients, flat.split([one.numel() for one in used]), strict=True):
        parameter.grad = gradient.copy_(mean.view(gradient.shape))
    return all(count == world_size() for count in counts)


def agree(value: bool, device: torch.device) -> bool:
    """True where any process says so."""
    if world_size() == 1:
        return value
    flag = torch.tensor(float(value), device=device)
    dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag.item())


class Reading:
    """The loss of a batch, and what all processes say of it, on their way from the device.

    The device goes on computing meanwhile: what is asked of it after this one has been made is not waited for.

    Args:
        loss: of this process's batch, a single number.
        late: whether this process holds the time to be over.
    """

    def __init__(self, loss: Tensor, late: bool) -> None:
        loss = loss.detach().double()
        flags = torch.stack([1 - loss.isfinite().double(), loss.new_full((), float(late))])
        if world_size() > 1:
            dist.all_reduce(flags, dist.ReduceOp.MAX)
        numbers = torch.cat([loss.view(1), flags])
        self._numbers, self._event = numbers, torch.cuda.Event() if loss.is_cuda else None
        if self._event is not None:
            self._numbers = torch.empty(3, dtype=torch.float64, pin_memory=True)
            self._numbers.copy_(numbers, non_blocking=True)
            self._event.record()

    def read(self) -> tuple[float, bool, bool]:
        """The loss; whether it is not finite in any process; whether the time is over in any."""
        if self._event is not None:
            self._event.synchronize()
        loss, bad, late = self._numbers.tolist()
        return loss, bool(bad), bool(late)


def draw_apart(seed: int) -> None:
    """Let each process but the first draw random numbers (drop-out, augmentation) of its own."""
    if rank() > 0:
        torch.manual_seed(int(np.random.SeedSequence((seed, rank())).generate_state(1)[0]))


def share(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with the first process's: running statistics, say, differ, as each process has seen other data."""
    if world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor.detach(), 0)


def each(value: Any) -> list[Any]:
    """What every process gives, in their order; where there are several, its tensors are on the CPU afterwards."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, tree_map_only(Tensor, Tensor.cpu, value))
    return values


def means(sums: dict[str, Tensor]) -> dict[str, float]:
    """Means from sums and counts: pairs (2,) by name, added up over all processes and divided."""
    parts = each(sums)
    names = dict.fromkeys(name for part in parts for name in part)  # a process may have seen nothing
    totals = {name: torch.stack([part[name] for part in parts if name in part]).sum(0) for name in names}
    return {name: (total / count).item() for name, (total, count) in totals.items()}


def gather(collected: dict[str, list[Tensor]]) -> dict[str, Tensor]:
    """Tensors (n, …) of all processes put together, (N, …); they are on the CPU."""
    parts = each(collected)
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: torch.cat([tensor for part in parts for tensor in part.get(name, [])]) for name in names}


def wait() -> None:
    """Until all processes are here."""
    if world_size() > 1:
        dist.barrier()
