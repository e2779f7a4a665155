"""The slots of the losses: a distance of pairs, and what is made of the distances of all pairs.

Letters of the shapes: B batch, K estimates (hypotheses), n references, C channels, T samples.  Nothing here knows of audio:
any pairwise loss over (B, K, ...) and (B, n, ...) will do.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional as F


class PairwiseLoss(nn.Module, ABC):
    """Distance of every estimate from every reference."""

    @abstractmethod
    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Map estimate (B, K, C, T) and reference (B, n, C, T) to distances (B, K, n)."""


class SeparationLoss(nn.Module, ABC):
    """Loss of a set of estimates against a set of references."""

    @abstractmethod
    def forward(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None) -> Tensor:
        """Map estimate (B, K, C, T), reference (B, n, C, T) and scores of the estimates (B, K), as logits, to losses (B)."""

    @abstractmethod
    def assign(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None) -> Tensor:
        """The index of the estimate that serves each reference, (B, n)."""

    def start_epoch(self, epoch: int) -> None:
        """Told before each epoch, the first being 0; for losses that follow a schedule."""


class WeightedPairs(SeparationLoss):
    """The mean over the references of the weighted distances of all estimates from each.

    A subclass says which estimate it chooses for each reference and, where the others learn too, how much each of them
    weighs.
    """

    def __init__(self, pairwise: PairwiseLoss) -> None:
        super().__init__()
        self.pairwise = pairwise

    @abstractmethod
    def choose(self, distance: Tensor) -> Tensor:
        """The index of the estimate that serves each reference, (B, n), given distances (B, K, n) without gradient."""

    def weights(self, distance: Tensor) -> Tensor:
        """How much of each reference's loss falls to each estimate, (B, K, n): all of it to the chosen one."""
        chosen = F.one_hot(self.choose(distance), distance.shape[1])
        return chosen.mT.to(distance)

    def distance(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Distances (B, K, n).

        Raises:
            ValueError: estimate and reference differ in more than the number of sources.
        """
        if estimate.shape[:1] + estimate.shape[2:] != reference.shape[:1] + reference.shape[2:]:
            raise ValueError(
                "estimate and reference may differ only in their second dimension, "
                f"found {tuple(estimate.shape)} and {tuple(reference.shape)}"
            )
        return self.pairwise(estimate, reference)

    def weighted(self, distance: Tensor) -> Tensor:
        """Losses of the references (B, n) given distances (B, K, n); the weights pass no gradient."""
        return (self.weights(distance.detach()) * distance).sum(1)

    def forward(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None) -> Tensor:
        """Map estimate (B, K, C, T) and reference (B, n, C, T) to losses (B)."""
        return self.weighted(self.distance(estimate, reference)).mean(1)

    def assign(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None) -> Tensor:
        """The index of the estimate chosen for each reference, (B, n)."""
        return self.choose(self.distance(estimate, reference).detach())


def without_absent(reference: Tensor, mask: Tensor | None) -> Tensor:
    """References (B, n, ...) with 0 wherever the mask (B, n) says that there is none, whatever stood there.

    Raises:
        ValueError: the mask has another shape.
    """
    if mask is None:
        return reference
    if mask.shape != reference.shape[:2]:
        raise ValueError(f"mask: expected one value a reference, {tuple(reference.shape[:2])}, found {tuple(mask.shape)}")
    return reference.masked_fill(~mask.reshape(*mask.shape, *[1] * (reference.ndim - 2)), 0)
