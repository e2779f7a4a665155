"""Which hypothesis goes with which reference: the cheapest one-to-one assignment."""

from __future__ import annotations

from itertools import permutations

import scipy
import torch
from torch import Tensor

MOST_TRIED = 3  # sources up to which trying all permutations on the tensor's own device is quicker
WORST = 1e9  # stands for a cost that is not finite, so that a broken estimate is chosen last


def assign(cost: Tensor) -> Tensor:
    """Find the one-to-one assignment of least total cost, for each example.

    Up to three sources all permutations are tried at once; beyond that the Hungarian algorithm (Kuhn 1955) takes cubic time
    where permutations would take factorial time.

    Args:
        cost: (batch, hypotheses, references), at least as many hypotheses as references.

    Returns:
        (batch, references), the index of the hypothesis that each reference gets.

    Raises:
        ValueError: there are fewer hypotheses than references.
    """
    _, hypotheses, references = cost.shape
    if hypotheses < references:
        raise ValueError(
            f"an assignment needs at least {references} hypotheses for {references} references, found {hypotheses}"
        )
    cost = cost.detach().nan_to_num(nan=WORST, posinf=WORST, neginf=-WORST)
    if hypotheses == references <= MOST_TRIED:
        return _try_all(cost)
    chosen = [scipy.optimize.linear_sum_assignment(matrix.T)[1].tolist() for matrix in cost.cpu().numpy()]
    return torch.tensor(chosen, dtype=torch.long, device=cost.device).reshape(-1, references)


def _try_all(cost: Tensor) -> Tensor:
    references = cost.shape[2]
    orders = torch.tensor(list(permutations(range(references))), device=cost.device)
    totals = cost[:, orders, torch.arange(references, device=cost.device)].sum(-1)
    return orders[totals.argmin(1)]
