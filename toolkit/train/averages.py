"""Moving averages of the weights while they are trained: several at once, of which the best is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


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
        self.per_step = {f"average {decay} per step": _Average(model, decay) for decay in per_step}
        self.per_epoch = {f"average {decay} per epoch": _Average(model, decay) for decay in per_epoch}

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


class _Average(AveragedModel):
    """One average: a copy of the model, and how often it was updated.

    `AveragedModel` itself sends that number to the device and reads it back there, and so waits for all that a GPU has to do.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take weights and buffers; of the first, and of counters, nothing but the newest values."""
        count = int(self.n_averaged)
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        averaged = [pair for pair in pairs if count and pair[0].is_floating_point()]
        taken = [pair for pair in pairs if not (count and pair[0].is_floating_point())]
        if averaged:
            share = (1 - self.decay) / (1 - self.decay ** (count + 1))
            torch._foreach_lerp_([mean for mean, _ in averaged], [value for _, value in averaged], share)
        if taken:
            torch._foreach_copy_([mean for mean, _ in taken], [value for _, value in taken])
        self.n_averaged += 1


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
