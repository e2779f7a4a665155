"""The slot of the losses of synthesis, and their weighted sum."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class SynthesisLoss(nn.Module, ABC):
    """Slot: distance of what a synthesizer made from what it should have made.

    Attributes:
        parts: what the last batch's loss was put together from, by name; empty if there is but one.
    """

    parts: dict[str, Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.parts = {}

    @abstractmethod
    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """One number for the waveforms (B, T)."""


class WeightedSum(SynthesisLoss):
    """Losses, each times its weight.

    Args:
        losses: any number of them.
        weights: one for each.

    Raises:
        ValueError: there is none, or there are more of one than of the other.
    """

    def __init__(self, losses: list[SynthesisLoss], weights: list[float]) -> None:
        super().__init__()
        if not losses or len(losses) != len(weights):
            raise ValueError(f"weights: expected one for each of the losses, found {len(weights)} for {len(losses)}")
        self.losses, self.weights = nn.ModuleList(losses), tuple(weights)

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """The weighted sum for waveforms (B, T): (); `parts` holds the weighted losses by their classes' names."""
        total, self.parts = estimate.new_zeros(()), {}
        for loss, weight in zip(self.losses, self.weights, strict=True):
            part, name = weight * loss(estimate, reference), type(loss).__name__
            self.parts[name] = self.parts.get(name, 0) + part.detach()
            total = total + part
        return total
