"""Moving averages of the weights while they are trained: several at once, of which the best is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Update = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


class Averages:
    """Exponential moving averages of one model's weights, each with its own decay.

    After n updates a weight that was there k updates ago counts in proportion to decay^k, however small n is: an average does
    not remember what the weights were before training.

    Args:
        model: whose weights and buffers are averaged.
        per_step: decays of averages that are updated at each step.
        per_epoch: decays of averages that are updated at each epoch's end.
    """

    def __init__(self, model: nn.Module, per_step: Sequence[float], per_epoch: Sequence[float]) -> None:
        self.per_step = {f"average {decay} per step": _average(model, decay) for decay in per_step}
        self.per_epoch = {f"average {decay} per epoch": _average(model, decay) for decay in per_epoch}

    def after_step(self, model: nn.Module) -> None:
        """Take the weights that an optimizer's step has left."""
        for average in self.per_step.values():
            average.update_parameters(model)

    def after_epoch(self, model: nn.Module) -> None:
        """Take the weights that an epoch has left."""
        for average in self.per_epoch.values():
            average.update_parameters(model)

    def candidates(self, model: nn.Module) -> dict[str, nn.Module]:
        """What may be kept, by name: the weights themselves and all their averages."""
        averages = {name: average.module for name, average in (self.per_step | self.per_epoch).items()}
        return {"weights": model, **averages}

    def state_dict(self) -> dict[str, Any]:
        """All there is to know."""
        return {name: average.state_dict() for name, average in (self.per_step | self.per_epoch).items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        for name, average in (self.per_step | self.per_epoch).items():
            average.load_state_dict(state[name])


def _average(model: nn.Module, decay: float) -> AveragedModel:
    return AveragedModel(model, multi_avg_fn=_update(decay), use_buffers=True)


def _update(decay: float) -> Update:
    """An update of averages (of one kind of tensors) that have seen `count` updates before."""

    @torch.no_grad()
    def update(averages: Sequence[Tensor], weights: Sequence[Tensor], count: Any) -> None:
        share = (1 - decay) / (1 - decay ** (int(count) + 1))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(list(averages), list(weights), share)
        else:  # counters
            torch._foreach_copy_(list(averages), list(weights))

    return update
