"""Losses of estimates against references: pairwise distances, and what is made of all of them."""

from toolkit.losses.activity import SeparationAndActivity
from toolkit.losses.base import PairwiseLoss, SeparationLoss, WeightedPairs
from toolkit.losses.distillation import Distillation
from toolkit.losses.feature_losses import CosineDistanceDifference, DistanceCorrelation, FeatureLoss
from toolkit.losses.fixed_order import FixedOrder
from toolkit.losses.multiple_choice import AnnealedMultipleChoice, MultipleChoice, RelaxedMultipleChoice
from toolkit.losses.pairwise import MeanAbsoluteError, MeanSquaredError, NegativeSDSDR, NegativeSISDR, NegativeSNR
from toolkit.losses.penalties import Penalty, SVDPenalty
from toolkit.losses.permutation import PermutationInvariant
from toolkit.losses.tagging import BinaryCrossEntropy, TaggingLoss
from toolkit.losses.temperature import ExponentialTemperature, LinearTemperature, TemperatureSchedule

__all__ = [
    "AnnealedMultipleChoice",
    "BinaryCrossEntropy",
    "CosineDistanceDifference",
    "DistanceCorrelation",
    "Distillation",
    "ExponentialTemperature",
    "FeatureLoss",
    "FixedOrder",
    "LinearTemperature",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MultipleChoice",
    "NegativeSDSDR",
    "NegativeSISDR",
    "NegativeSNR",
    "PairwiseLoss",
    "Penalty",
    "PermutationInvariant",
    "RelaxedMultipleChoice",
    "SVDPenalty",
    "SeparationAndActivity",
    "SeparationLoss",
    "TaggingLoss",
    "TemperatureSchedule",
    "WeightedPairs",
]
