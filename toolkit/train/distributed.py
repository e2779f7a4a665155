"""One process or several under `torchrun`: who am I, and sums over all of us."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn

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
        UserError: a GPU is asked for and there is none.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {device}: expected an NVIDIA GPU that torch can use, found none. Next: --device cpu")
    use_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    local = int(os.environ.get("LOCAL_RANK", 0))
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if use_gpu else "gloo")
    if not use_gpu:
        return torch.device("cpu")
    chosen = torch.device(device if ":" in device else f"cuda:{local}")
    torch.cuda.set_device(chosen)
    return chosen


def wrap(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with its gradients averaged over all processes."""
    if world_size() == 1:
        return model
    return nn.parallel.DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)


def mean(total: Tensor, count: Tensor) -> Tensor:
    """`total / count`, both summed over all processes first."""
    if world_size() > 1:
        both = torch.stack([total, count])
        dist.all_reduce(both)
        total, count = both
    return total / count


def agree(value: bool, device: torch.device) -> bool:
    """True where any process says so."""
    if world_size() == 1:
        return value
    flag = torch.tensor(float(value), device=device)
    dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag.item())


def gather(collected: dict[str, list[Tensor]]) -> dict[str, Tensor]:
    """Tensors (n, …) of all processes put together, (N, …); they are on the CPU."""
    parts: list[dict[str, list[Tensor]]] = [collected]
    if world_size() > 1:
        parts = [{} for _ in range(world_size())]
        dist.all_gather_object(parts, collected)
    return {name: torch.cat([tensor for part in parts for tensor in part.get(name, [])]) for name in collected}


def wait() -> None:
    """Until all processes are here."""
    if world_size() > 1:
        dist.barrier()
