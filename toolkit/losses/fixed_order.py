"""Sources that have names: the first estimate is meant for the first reference."""

from typing import Literal

import torch
from torch import Tensor

from toolkit.losses.base import SeparationLoss


class FixedOrder(SeparationLoss):
    """Mean distance of each estimate from the reference in the same place, in whatever domain the model estimates.

    Args:
        distance: `l1`, the absolute difference (Demucs), or `mse`, the squared one (Open-Unmix, Wave-U-Net).
    """

    def __init__(self, distance: Literal["l1", "mse"] = "l1") -> None:
        super().__init__()
        self.distance = distance

    def forward(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None) -> Tensor:
        """Map estimate (B, S, ...) and reference (B, S, ...) to losses (B).

        Raises:
            ValueError: their shapes differ.
        """
        if estimate.shape != reference.shape:
            raise ValueError(
                f"estimate: expected the reference's shape {tuple(reference.shape)}, found {tuple(estimate.shape)}"
            )
        difference = estimate - reference
        size = difference.abs() if self.distance == "l1" else difference.square()
        return size.flatten(1).mean(1)

    def assign(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None) -> Tensor:
        """Each reference has the estimate in its own place, (B, S)."""
        batch, sources = reference.shape[:2]
        return torch.arange(sources, device=reference.device).expand(batch, -1)
