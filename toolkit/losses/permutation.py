"""Permutation-invariant training."""

from torch import Tensor

from toolkit.losses.base import PairwiseLoss, WeightedPairs
from toolkit.losses.pairwise import NegativeSISDR
from toolkit.metrics.assignment import assign


class PermutationInvariant(WeightedPairs):
    """Utterance-level permutation-invariant training (Kolbæk et al. 2017): the loss of the cheapest one-to-one assignment.

    Beyond three sources the Hungarian algorithm finds it, so that twenty speakers are no trouble.

    Args:
        pairwise: distance of an estimate from a reference; negative SI-SDR if null.
    """

    def __init__(self, pairwise: PairwiseLoss | None = None) -> None:
        super().__init__(pairwise or NegativeSISDR())

    def choose(self, distance: Tensor) -> Tensor:
        """The cheapest permutation.

        Raises:
            ValueError: there are not as many estimates as references.
        """
        _, estimates, references = distance.shape
        if estimates != references:
            raise ValueError(
                f"PermutationInvariant needs as many estimates as references, found {estimates} and {references}; "
                "MultipleChoice takes any number"
            )
        return assign(distance)
