"""Losses of estimates against references: pairwise distances, and what is made of all of them."""

from toolkit.losses.activity import SeparationAndActivity
from toolkit.losses.attribute_regularization import AttributeRegularization
from toolkit.losses.base import PairwiseLoss, SeparationLoss, WeightedPairs
from toolkit.losses.distillation import Distillation
from toolkit.losses.equivariance import (
    ClassEquivariance,
    CrossEntropy,
    EquivarianceLoss,
    GradientNormWeights,
    ShiftedCrossEntropy,
    TransportEquivariance,
)
from toolkit.losses.feature_losses import CosineDistanceDifference, DistanceCorrelation, FeatureLoss
from toolkit.losses.fixed_order import FixedOrder
from toolkit.losses.latent import (
    AnnealedDivergence,
    BetaDivergence,
    DivergenceLoss,
    PixelCrossEntropy,
    ReconstructionLoss,
    TokenCrossEntropy,
    VariationalLoss,
)
from toolkit.losses.multiple_choice import AnnealedMultipleChoice, MultipleChoice, RelaxedMultipleChoice
from toolkit.losses.nearest_reference import NearestReference
from toolkit.losses.optimal_transport import SpectralTransport
from toolkit.losses.pairwise import (
    EuclideanDistance,
    MeanAbsoluteError,
    MeanSquaredError,
    NegativeSDSDR,
    NegativeSISDR,
    NegativeSNR,
    SquaredDistance,
)
from toolkit.losses.penalties import Penalty, SVDPenalty
from toolkit.losses.permutation import PermutationInvariant
from toolkit.losses.sequence import SequenceLikelihood
from toolkit.losses.spectral import MultiScaleSpectral
from toolkit.losses.synthesis import SynthesisLoss, WeightedSum
from toolkit.losses.tagging import BinaryCrossEntropy, TaggingLoss
from toolkit.losses.temperature import ExponentialTemperature, LinearTemperature, TemperatureSchedule
from toolkit.losses.total_correlation import TotalCorrelation
from toolkit.losses.transposition import TranspositionLoss

__all__ = [
    "AnnealedDivergence",
    "AnnealedMultipleChoice",
    "AttributeRegularization",
    "BetaDivergence",
    "BinaryCrossEntropy",
    "ClassEquivariance",
    "CosineDistanceDifference",
    "CrossEntropy",
    "DistanceCorrelation",
    "Distillation",
    "DivergenceLoss",
    "EquivarianceLoss",
    "EuclideanDistance",
    "ExponentialTemperature",
    "FeatureLoss",
    "FixedOrder",
    "GradientNormWeights",
    "LinearTemperature",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MultiScaleSpectral",
    "MultipleChoice",
    "NearestReference",
    "NegativeSDSDR",
    "NegativeSISDR",
    "NegativeSNR",
    "PairwiseLoss",
    "Penalty",
    "PermutationInvariant",
    "PixelCrossEntropy",
    "ReconstructionLoss",
    "RelaxedMultipleChoice",
    "SVDPenalty",
    "SeparationAndActivity",
    "SeparationLoss",
    "SequenceLikelihood",
    "ShiftedCrossEntropy",
    "SpectralTransport",
    "SquaredDistance",
    "SynthesisLoss",
    "TaggingLoss",
    "TemperatureSchedule",
    "TokenCrossEntropy",
    "TotalCorrelation",
    "TransportEquivariance",
    "TranspositionLoss",
    "VariationalLoss",
    "WeightedPairs",
    "WeightedSum",
]
