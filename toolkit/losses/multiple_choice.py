"""Multiple-choice learning: for each reference the hypotheses compete, and the number of both is free.

It costs K n comparisons where permutation-invariant training searches K! orders (Perera et al. 2025, "Multiple choice learning
for efficient speech separation with many speakers").  Three rules say who learns from a reference: the best hypothesis alone,
the best one and the others a little, or all of them as a falling temperature has it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.losses.base import PairwiseLoss, WeightedPairs
from toolkit.losses.pairwise import NegativeSISDR
from toolkit.losses.temperature import LinearTemperature, TemperatureSchedule

HARD_BELOW = 1e-4  # the temperature under which the choice is hard, as in Perera's code


class MultipleChoice(WeightedPairs):
    """Winner takes all (Guzmán-Rivera et al. 2012): each reference trains the hypothesis that is nearest to it.

    Args:
        pairwise: distance of a hypothesis from a reference; negative SI-SDR if null.
        scoring: weight of the loss that teaches each hypothesis' score (a logit) whether it was chosen by any reference
            (Letzelter et al. 2023, "Resilient multiple choice learning"); 0 for models without scores, 0.1 in Perera's code.
    """

    def __init__(self, pairwise: PairwiseLoss | None = None, scoring: float = 0.0) -> None:
        super().__init__(pairwise or NegativeSISDR())
        self.scoring = scoring

    def choose(self, distance: Tensor) -> Tensor:
        """The nearest hypothesis."""
        return distance.argmin(1)

    def forward(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None) -> Tensor:
        """Map estimate (B, K, C, T), reference (B, n, C, T) and scores (B, K), as logits, to losses (B).

        Raises:
            ValueError: scores are to be taught and there are none.
        """
        distance = self.distance(estimate, reference)
        loss = self.weighted(distance)
        if self.scoring == 0:
            return loss
        if scores is None:
            raise ValueError("scoring is on, but the model gives no scores: give it a scorer, or set scoring to 0")
        chosen = F.one_hot(self.choose(distance.detach()), distance.shape[1]).amax(1)
        return loss + self.scoring * F.binary_cross_entropy_with_logits(scores, chosen.to(scores), reduction="none").mean(1)


class RelaxedMultipleChoice(MultipleChoice):
    """Relaxed winner takes all (Rupprecht et al. 2017, "Learning in an uncertain world").

    The nearest hypothesis has 1 - eps of the loss, the others share eps evenly, so that none of them is left behind for ever.

    Args:
        pairwise: distance of a hypothesis from a reference; negative SI-SDR if null.
        eps: what the losers share, from 0 to 1.
        scoring: weight of the scores' loss, see `MultipleChoice`.
    """

    def __init__(self, pairwise: PairwiseLoss | None = None, eps: float = 0.05, scoring: float = 0.0) -> None:
        super().__init__(pairwise, scoring)
        if not 0 <= eps < 1:
            raise ValueError(f"RelaxedMultipleChoice: expected eps from 0 to below 1, found {eps}")
        self.eps = eps

    def weights(self, distance: Tensor) -> Tensor:
        """(B, K, n): 1 - eps for the nearest, the rest for the others."""
        others = distance.shape[1] - 1
        winners = super().weights(distance)
        return winners if others == 0 else torch.where(winners > 0, 1 - self.eps, self.eps / others).to(distance)


class AnnealedMultipleChoice(MultipleChoice):
    """Annealed multiple-choice learning (Perera, Letzelter et al. 2024, NeurIPS, arXiv 2407.15580).

    Each reference's loss is shared by the Boltzmann distribution over the distances, which explores while it is warm and turns
    into winner takes all as it cools.  The weights pass no gradient.

    Args:
        pairwise: distance of a hypothesis from a reference; negative SI-SDR if null.
        temperature: schedule; linear if null.
        scoring: weight of the scores' loss, see `MultipleChoice`.
    """

    def __init__(
        self,
        pairwise: PairwiseLoss | None = None,
        temperature: TemperatureSchedule | None = None,
        scoring: float = 0.0,
    ) -> None:
        super().__init__(pairwise, scoring)
        self.schedule = temperature or LinearTemperature()
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Set the temperature of an epoch, the first being 0."""
        self.temperature = self.schedule(epoch)

    def weights(self, distance: Tensor) -> Tensor:
        """(B, K, n): proportional to exp(-distance / temperature)."""
        if self.temperature < HARD_BELOW:
            return super().weights(distance)
        return torch.softmax(-distance / self.temperature, dim=1)
