"""Separation and activity learnt together."""

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from toolkit.losses.base import SeparationLoss
from toolkit.losses.fixed_order import FixedOrder


class SeparationAndActivity(SeparationLoss):
    """Distance of magnitudes plus the cross-entropy of the sources' activity, frame by frame (Hung & Lerch 2020).

    Which frames are active is computed from the reference, as `active_frames` says.

    Args:
        distance: of the magnitudes, `mse` or `l1`.
        weight: of the cross-entropy.  The paper's was not found; 2 is that of an earlier model in its authors' code.
        floor_db: level that a frame of the reference must have to be active, in dB of full scale.
    """

    def __init__(self, distance: Literal["l1", "mse"] = "mse", weight: float = 2.0, floor_db: float = -50.0) -> None:
        super().__init__()
        self.separation = FixedOrder(distance)
        self.weight, self.floor_db = weight, floor_db

    def forward(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None) -> Tensor:
        """Map magnitudes (B, S, C, F, L) of estimate and reference and logits (B, S, L) to losses (B).

        Raises:
            ValueError: there are no logits.
        """
        if scores is None:
            raise ValueError("SeparationAndActivity: expected a model that also gives activities, such as that of ActivityUNet")
        activity = active_frames(reference, self.floor_db).to(scores)
        entropy = F.binary_cross_entropy_with_logits(scores, activity, reduction="none")
        return self.separation(estimate, reference) + self.weight * entropy.flatten(1).mean(1)

    def assign(self, estimate: Tensor, reference: Tensor, scores: Tensor | None = None) -> Tensor:
        """Each reference has the estimate in its own place, (B, S)."""
        return self.separation.assign(estimate, reference, scores)


def active_frames(magnitudes: Tensor, floor_db: float = -50.0) -> Tensor:
    """Whether there is sound in each frame: its mean square is over a floor.

    This rule is ours: MUSDB18 has no annotation of activities, those of MedleyDB come from a similar threshold.

    Args:
        magnitudes: (..., C, F, L), of a short-time Fourier transform under a Hann window.
        floor_db: the floor in dB, where 0 is a mean square of 1.

    Returns:
        (..., L), true for active.
    """
    n_fft = 2 * (magnitudes.shape[-2] - 1)
    window_energy = 3 / 8 * n_fft
    power = 2 * magnitudes.square().sum(-2) / (n_fft * window_energy)  # Parseval; each bin stands for two
    return power.mean(-2) > 10 ** (floor_db / 10)
