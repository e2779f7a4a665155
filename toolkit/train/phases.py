"""Which optimizer and which schedule of the learning rate an epoch has; both are tried before training begins."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import LBFGS, Optimizer, SparseAdam
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from toolkit.config import REFUSALS
from toolkit.log import UserError
from toolkit.tasks.options import Training

Groups = Sequence[dict[str, Any]]  # as `Task.parameter_groups` gives them


def choose(config: Training, groups: Groups, epoch: int) -> tuple[Optimizer, LRScheduler | None]:
    """The optimizer of the phase that an epoch lies in; the schedule too, where no phase has begun.

    Args:
        config: its `optimizer`, `schedule` and `phases`.
        groups: what is optimised.
        epoch: counted from 0.

    Raises:
        UserError: an optimizer refuses its options, or is of a kind that this training cannot use.
    """
    begun = [phase for phase in config.phases if phase.epoch <= epoch]
    if begun:
        return _built(max(begun, key=lambda phase: phase.epoch).optimizer, groups), None
    optimizer = _built(config.optimizer, groups)
    return optimizer, config.schedule(optimizer) if config.schedule else None


def check(config: Training, groups: Groups) -> None:
    """Try all that `choose` may give on parameters of no consequence: what is wrong would else be told hours later.

    Args:
        config: `train.epochs` of it as well.
        groups: whose options are tried.

    Raises:
        UserError: an optimizer or the schedule refuses its options, or the schedule cannot be stepped at each epoch's end.
    """
    for phase in config.phases:
        _built(phase.optimizer, _stand_ins(groups))
    if config.schedule is None:
        return
    optimizer = _built(config.optimizer, _stand_ins(groups))
    steps = min([config.train.epochs, *(phase.epoch for phase in config.phases)])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nothing has been optimised
            schedule = config.schedule(optimizer)
            for _ in range(steps):
                step(schedule, 0.0)
    except REFUSALS as error:
        raise UserError(
            f"schedule: expected one that can be stepped at the end of each of {steps} epochs, "
            f"found {type(error).__name__}: {error}. Next: look at --schedule and its options"
        ) from error


def step(schedule: LRScheduler | None, value: float) -> None:
    """Called at each epoch's end.

    Args:
        schedule: of the learning rate, if there is one.
        value: what a plateau is of; the smaller, the better.
    """
    if isinstance(schedule, ReduceLROnPlateau):
        schedule.step(value)
    elif schedule is not None:
        schedule.step()


def _built(build: Callable[[Iterable], Optimizer], groups: Groups) -> Optimizer:
    try:
        optimizer = build(groups)
    except REFUSALS as error:
        raise UserError(f"optimizer: {error}") from error
    if isinstance(optimizer, LBFGS | SparseAdam):
        raise UserError("optimizer: expected one that steps once a batch by dense gradients, such as Adam or SGD")
    return optimizer


def _stand_ins(groups: Groups) -> Groups:
    """Groups with the same options, each with one parameter of a single number."""
    return [{**group, "params": [nn.Parameter(torch.zeros(1, 1))]} for group in groups]
