"""A rate that waits before it gives way to a plateau."""

import torch
from torch.optim import SGD

from toolkit.blocks import DelayedPlateau


def test_the_rate_stays_until_the_start_and_is_halved_after_the_patience() -> None:
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = DelayedPlateau(optimizer, factor=0.5, patience=2, start=4)
    rates = []
    for _ in range(10):
        schedule.step(1.0)  # never better
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]
