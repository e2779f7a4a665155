"""How alike two feature spaces are: the clips of a batch are compared with each other in one and in the other.

Neither needs features of the same size, so nothing has to be learned to bring a student's to a teacher's.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NEAR = 1e-12  # added to squared distances
STILL = 1e-9  # added to products of variances


class FeatureLoss(nn.Module, ABC):
    """Slot: distance of a student's features from a teacher's."""

    @abstractmethod
    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """One number for the features (B, L, C) and (B, L, D) of the same frames."""


class DistanceCorrelation(FeatureLoss):
    """One minus the distance correlation of a batch's clips, mean over the frames (Székely et al. 2007; Ding & Lerch 2023).

    0 where the student's distances between clips are the teacher's up to a factor; offset and scale of either do not matter.
    """

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """One number between 0 and about 1 for features (B, L, C) and (B, L, D)."""
        a, b = _centred_distances(student), _centred_distances(teacher)
        covariance = (a * b).mean((-2, -1))
        variances = a.square().mean((-2, -1)) * b.square().mean((-2, -1))
        return (1 - covariance / (variances + STILL).sqrt()).mean()


class CosineDistanceDifference(FeatureLoss):
    """Mean absolute difference of the cosine similarities of all pairs of clips (Hung & Lerch 2022; Ding & Lerch 2023)."""

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """One number between 0 and 2 for features (B, L, C) and (B, L, D)."""
        return (_cosines(student) - _cosines(teacher)).abs().mean()


def _centred_distances(features: Tensor) -> Tensor:
    """Distances (L, B, B) of the clips in each frame, their means over rows and columns taken off."""
    x = features.transpose(0, 1)
    x = x - x.mean(1, keepdim=True)  # so that products of what lies far off do not drown the distances
    squares = x.square().sum(-1)
    apart = squares[:, :, None] + squares[:, None] - 2 * x @ x.mT
    same = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
    distances = (apart.clamp(min=0).masked_fill(same, 0) + NEAR).sqrt()
    return distances - distances.mean(1, keepdim=True) - distances.mean(2, keepdim=True) + distances.mean((1, 2), keepdim=True)


def _cosines(features: Tensor) -> Tensor:
    """Cosine similarities (L, B, B) of the clips in each frame."""
    x = F.normalize(features.transpose(0, 1), dim=-1)
    return x @ x.mT
