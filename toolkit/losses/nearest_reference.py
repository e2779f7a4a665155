"""Hypotheses that do not compete: each is trained as if it were alone."""

import torch
from torch import Tensor

from toolkit.losses.base import PairwiseLoss, WeightedPairs, without_absent
from toolkit.losses.pairwise import NegativeSISDR


class NearestReference(WeightedPairs):
    """Each hypothesis learns from the one reference that is nearest to it, whatever the other hypotheses do.

    So the members of an independent ensemble are trained side by side (Letzelter et al. 2023, "Resilient multiple choice
    learning", where the released code calls it `single_target_loss`).

    Args:
        pairwise: distance of a hypothesis from a reference; negative SI-SDR if null.
    """

    def __init__(self, pairwise: PairwiseLoss | None = None) -> None:
        super().__init__(pairwise or NegativeSISDR())

    def choose(self, distance: Tensor) -> Tensor:
        """The nearest hypothesis."""
        return distance.argmin(1)

    def forward(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Map hypotheses (B, K, ...), references (B, n, ...) and the mask (B, n) of those there are to losses (B).

        They are means over the hypotheses; of a sample without references, 0.
        """
        distance = self.distance(estimate, without_absent(reference, mask))
        if mask is None:
            return distance.amin(2).mean(1)
        nearest = distance.masked_fill(~mask[:, None], torch.inf).amin(2)
        return nearest.masked_fill(~mask.any(1, keepdim=True), 0).mean(1)
