"""Multiple-choice learning: for each reference the hypotheses compete, and the number of both is free.

It costs K n comparisons where permutation-invariant training searches K! orders (Perera et al. 2025, "Multiple choice learning
for efficient speech separation with many speakers").  Three rules say who learns from a reference: the best hypothesis alone,
the best one and the others a little, or all of them as a falling temperature has it.  Where samples have different numbers of
references, a mask (B, n) says which there are; the others choose no hypothesis and weigh nothing, whatever they hold.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.losses.base import PairwiseLoss, WeightedPairs, without_absent
from toolkit.losses.pairwise import NegativeSISDR
from toolkit.losses.temperature import LinearTemperature, TemperatureSchedule

HARD_BELOW = 1e-4  # the temperature under which the choice is hard, as in Perera's code
Average = Literal["sample", "reference"]


class MultipleChoice(WeightedPairs):
    """Winner takes all (Guzmán-Rivera et al. 2012): each reference trains the hypothesis that is nearest to it.

    Args:
        pairwise: distance of a hypothesis from a reference; negative SI-SDR if null.
        scoring: weight of the loss that teaches each hypothesis' score (a logit) whether it was chosen by any reference
            (Letzelter et al. 2023, "Resilient multiple choice learning"); 0 for models without scores, 0.1 in Perera's code.
        negatives: how many of the hypotheses that no reference chose are taught so, drawn at random each time (their rMCL* has
            1; a score then tells no probability but an order); all of them if null.
        average: what counts the same in the mean over a batch: each `sample`, as in Perera's code, or each `reference` and
            each score, as in Letzelter's.  It matters only where a mask or drawn negatives make samples unequal.

    Raises:
        ValueError: `negatives` is below 1.
    """

    def __init__(
        self,
        pairwise: PairwiseLoss | None = None,
        scoring: float = 0.0,
        negatives: int | None = None,
        average: Average = "sample",
    ) -> None:
        super().__init__(pairwise or NegativeSISDR())
        if negatives is not None and negatives < 1:
            raise ValueError(f"{type(self).__name__}: expected at least 1 negative, or null for all, found {negatives}")
        self.scoring, self.negatives, self.average = scoring, negatives, average

    def choose(self, distance: Tensor) -> Tensor:
        """The nearest hypothesis."""
        return distance.argmin(1)

    def forward(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Map hypotheses and references to losses.

        Args:
            estimate: (B, K, ...).
            reference: (B, n, ...).
            scores: (B, K), as logits.
            mask: (B, n), true for the references that there are; all of them if not given.

        Returns:
            (B); of a sample without references, 0 and what its scores cost.

        Raises:
            ValueError: scores are to be taught and there are none, or shapes do not fit.
        """
        distance = self.distance(estimate, without_absent(reference, mask))
        loss = self._mean(self.weighted(distance), mask)
        if self.scoring == 0:
            return loss
        if scores is None:
            raise ValueError("scoring is on, but the model gives no scores: give it a scorer, or set scoring to 0")
        return loss + self.scoring * self.score_loss(distance.detach(), scores, mask)

    def score_loss(self, distance: Tensor, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Cross-entropy (B) of scores (B, K) against who was chosen, given distances (B, K, n) and a mask (B, n)."""
        winners = F.one_hot(self.choose(distance), distance.shape[1])
        chosen = (winners if mask is None else winners * mask[..., None]).amax(1).bool()
        entropy = F.binary_cross_entropy_with_logits(scores, chosen.to(scores), reduction="none")
        return self._mean(entropy, None if self.negatives is None else chosen | _drawn(~chosen, self.negatives))

    def _mean(self, values: Tensor, counted: Tensor | None) -> Tensor:
        """Means (B) of those values (B, m) that are counted; their mean in turn is that of a batch."""
        if counted is None:
            return values.mean(1)
        count = counted.sum(1).to(values)
        if self.average == "reference":
            count = count.mean().expand_as(count)
        total = torch.where(counted, values, 0).sum(1)
        return total / torch.where(count > 0, count, 1)


class RelaxedMultipleChoice(MultipleChoice):
    """Relaxed winner takes all (Rupprecht et al. 2017, "Learning in an uncertain world").

    The nearest hypothesis has 1 - eps of the loss, the others share eps evenly, so that none of them is left behind for ever.

    Args:
        pairwise: distance of a hypothesis from a reference; negative SI-SDR if null.
        eps: what the losers share, from 0 to below 1.
        scoring: weight of the scores' loss, see `MultipleChoice`.
        negatives: how many losers' scores are taught, see `MultipleChoice`.
        average: what counts the same in a batch, see `MultipleChoice`.

    Raises:
        ValueError: `eps` is negative, or 1 or more.
    """

    def __init__(
        self,
        pairwise: PairwiseLoss | None = None,
        eps: float = 0.05,
        scoring: float = 0.0,
        negatives: int | None = None,
        average: Average = "sample",
    ) -> None:
        super().__init__(pairwise, scoring, negatives, average)
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
        negatives: how many losers' scores are taught, see `MultipleChoice`.
        average: what counts the same in a batch, see `MultipleChoice`.
    """

    def __init__(
        self,
        pairwise: PairwiseLoss | None = None,
        temperature: TemperatureSchedule | None = None,
        scoring: float = 0.0,
        negatives: int | None = None,
        average: Average = "sample",
    ) -> None:
        super().__init__(pairwise, scoring, negatives, average)
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


def _drawn(among: Tensor, count: int) -> Tensor:
    """So many of those marked in each row of `among` (B, K), all where there are not as many, drawn without replacement."""
    keys = torch.rand(among.shape, device=among.device).masked_fill(~among, torch.inf)
    return (keys.argsort(1).argsort(1) < count) & among
