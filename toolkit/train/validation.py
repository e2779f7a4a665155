"""What a model makes of a whole split, over all processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from toolkit.tasks.base import Task
from toolkit.train import arithmetic, distributed


@torch.no_grad()
def validate(task: Task, model: nn.Module, batches: Iterable[Any], precision: str, device: torch.device) -> dict[str, float]:
    """The task's values by name.

    Args:
        task: says what is measured.
        model: the task's, or one of the same shapes; in evaluation mode afterwards.
        batches: of this process, on `device`.
        precision: of the calculation, as `train.precision` says.
        device: where the model is.
    """
    model.eval()
    task.start_validation(model)
    sums: dict[str, Tensor] = {}
    collected: dict[str, list[Tensor]] = {}
    for batch in batches:
        with arithmetic.autocast(precision, device):
            values = task.validate(model, batch)
        for name, value in values.items():
            if value.ndim > 1:
                collected.setdefault(name, []).append(value.cpu())
                continue
            defined = value[~value.isnan()] if name != "loss" else value  # a silent reference has no ratio
            seen = torch.stack([defined.double().sum(), torch.ones_like(defined).double().sum()])
            sums[name] = sums.get(name, torch.zeros_like(seen)) + seen
    return distributed.means(sums) | task.measure(distributed.gather(collected))
