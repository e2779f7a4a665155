"""Distances of every estimate from every reference, in memory for the distances alone."""

from abc import abstractmethod

import torch
from torch import Tensor

from toolkit.losses.base import PairwiseLoss
from toolkit.metrics import distortion
from toolkit.metrics.distortion import Products


class NegativeRatio(PairwiseLoss):
    """A ratio of target to distortion in dB, its sign turned so that less is better.  See `toolkit.metrics.distortion`."""

    def __init__(self, zero_mean: bool, eps: float = 1e-8, clip_db: float | None = None) -> None:
        super().__init__()
        self.zero_mean, self.eps, self.clip_db = zero_mean, eps, clip_db

    @abstractmethod
    def parts(self, products: Products, eps: float) -> tuple[Tensor, Tensor]:
        """Energies of target and distortion, which broadcast to (B, K, n)."""

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Map estimate (B, K, C, T) and reference (B, n, C, T) to distances (B, K, n) in dB.

        A silent reference is equally far (80 dB with the usual `eps`) from every estimate and teaches nothing.
        """
        products = distortion.pairwise_products(estimate, reference, self.zero_mean)
        distance = -distortion.decibels(*self.parts(products, self.eps), self.eps)
        if self.clip_db is not None:
            distance = distance.clamp(min=-self.clip_db)
        return distance.to(torch.promote_types(estimate.dtype, torch.float32))


class NegativeSISDR(NegativeRatio):
    """Negative scale-invariant signal-to-distortion ratio (Le Roux et al. 2019; Luo & Mesgarani 2019, "SI-SNR").

    Args:
        zero_mean: take the mean over time off estimate and reference.
        eps: energy added where a division or a logarithm might meet nothing.
        clip_db: pairs better than this many dB teach no more, so that easy mixtures do not rule (SpeechBrain: 30).
    """

    def __init__(self, zero_mean: bool = True, eps: float = 1e-8, clip_db: float | None = None) -> None:
        super().__init__(zero_mean, eps, clip_db)

    def parts(self, products: Products, eps: float) -> tuple[Tensor, Tensor]:
        """The reference scaled to fit, and the rest."""
        return distortion.scale_invariant(products, eps)


class NegativeSNR(NegativeRatio):
    """Negative signal-to-noise ratio: the level counts too.

    Args:
        zero_mean: take the mean over time off estimate and reference.
        eps: energy added where a division or a logarithm might meet nothing.
        clip_db: pairs better than this many dB teach no more.
    """

    def __init__(self, zero_mean: bool = False, eps: float = 1e-8, clip_db: float | None = None) -> None:
        super().__init__(zero_mean, eps, clip_db)

    def parts(self, products: Products, eps: float) -> tuple[Tensor, Tensor]:
        """The reference, and the estimate's difference from it."""
        return distortion.plain(products, eps)


class NegativeSDSDR(NegativeRatio):
    """Negative scale-dependent signal-to-distortion ratio (Le Roux et al. 2019, "SD-SDR").

    Args:
        zero_mean: take the mean over time off estimate and reference.
        eps: energy added where a division or a logarithm might meet nothing.
        clip_db: pairs better than this many dB teach no more.
    """

    def __init__(self, zero_mean: bool = False, eps: float = 1e-8, clip_db: float | None = None) -> None:
        super().__init__(zero_mean, eps, clip_db)

    def parts(self, products: Products, eps: float) -> tuple[Tensor, Tensor]:
        """The reference scaled to fit, and the estimate's difference from the reference as it is."""
        return distortion.scale_dependent(products, eps)


class MeanSquaredError(PairwiseLoss):
    """Mean squared difference."""

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Map estimate (B, K, ...) and reference (B, n, ...) to distances (B, K, n)."""
        _, energy = distortion.plain(distortion.pairwise_products(estimate, reference, zero_mean=False))
        return (energy / estimate[0, 0].numel()).to(torch.promote_types(estimate.dtype, torch.float32))


class MeanAbsoluteError(PairwiseLoss):
    """Mean absolute difference."""

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Map estimate (B, K, ...) and reference (B, n, ...) to distances (B, K, n)."""
        return torch.cdist(estimate.flatten(2), reference.flatten(2), p=1) / estimate[0, 0].numel()


class SquaredDistance(PairwiseLoss):
    """Squared Euclidean distance: the sum, not the mean, of squared differences; for points of few dimensions."""

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Map estimate (B, K, ...) and reference (B, n, ...) to distances (B, K, n)."""
        return (estimate.flatten(2)[:, :, None] - reference.flatten(2)[:, None]).square().sum(-1)


class EuclideanDistance(PairwiseLoss):
    """Euclidean distance, rounded off where it comes near to 0; for points of few dimensions.

    Args:
        eps: added to its square, so that the root has a gradient everywhere; 0.001 in the code of Letzelter et al. 2023.

    Raises:
        ValueError: `eps` is not above 0.
    """

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"EuclideanDistance: expected eps above 0, found {eps}")
        self.squared, self.eps = SquaredDistance(), eps

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Map estimate (B, K, ...) and reference (B, n, ...) to distances (B, K, n)."""
        return (self.squared(estimate, reference) + self.eps).sqrt()
