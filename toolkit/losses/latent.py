"""The loss of a variational autoencoder: how wrong its items are, and how far its codes are from standard normal ones.

TokenCrossEntropy, PixelCrossEntropy    the items
BetaDivergence, AnnealedDivergence      the codes, each with its schedule
VariationalLoss                         their sum, and what else shapes the codes
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.losses.attribute_regularization import AttributeRegularization

if TYPE_CHECKING:
    from toolkit.models.latent import Encoded


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Nats from standard normal codes to normal ones of means and log variances (B, Z): (B), the dimensions added up.

    D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014, appendix B.
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1) / 2


class ReconstructionLoss(nn.Module, ABC):
    """Slot: how far logits are from the items that went in."""

    @abstractmethod
    def forward(self, logits: Tensor, inputs: Tensor) -> Tensor:
        """One number, in nats, for logits (B, T, V) and tokens (B, T), or for both as pictures (B, 1, H, W)."""


class TokenCrossEntropy(ReconstructionLoss):
    """Cross-entropy, its mean over all tokens, as AR-VAE's code and the dMelodies benchmark weigh it against the codes."""

    def forward(self, logits: Tensor, inputs: Tensor) -> Tensor:
        """One number for logits (B, T, V) and tokens (B, T)."""
        return F.cross_entropy(logits.flatten(0, 1), inputs.flatten().long())


class PixelCrossEntropy(ReconstructionLoss):
    """Binary cross-entropy, added up over the pixels of a picture; the mean over the pictures."""

    def forward(self, logits: Tensor, inputs: Tensor) -> Tensor:
        """One number for logits and pictures (B, 1, H, W) from 0 to 1."""
        return F.binary_cross_entropy_with_logits(logits, inputs, reduction="sum") / len(inputs)


class DivergenceLoss(nn.Module, ABC):
    """Slot: what the distance of a batch's codes from standard normal ones costs, D being its mean over the batch in nats.

    What a schedule has come to follows from the number of the step alone, so that training goes on where it stopped.

    Args:
        warmup_epochs: how many it costs nothing in.  The dMelodies benchmark says 10, its code, which counts from 0 and asks
            for more than 10, has 11.
        iterations: steps from there on, in which a value v grows as ``(1 + v) ** (step / iterations) - 1``; 0 to begin at v.
    """

    def __init__(self, warmup_epochs: int = 0, iterations: int = 0) -> None:
        super().__init__()
        self.warmup_epochs, self.iterations = warmup_epochs, iterations
        self.start_step(0, 1)

    def start_step(self, step: int, steps_per_epoch: int) -> None:
        """Told before each step of training, the first of all being 0."""
        self.since = step - self.warmup_epochs * steps_per_epoch

    def grown(self, value: float) -> float:
        """What has become of a value that grows."""
        if self.since < 0:
            return 0.0
        if self.iterations == 0:
            return value
        return float((1 + value) ** (min(self.since, self.iterations - 1) / self.iterations) - 1)

    @abstractmethod
    def forward(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """One number for posteriors (B, Z)."""


class BetaDivergence(DivergenceLoss):
    """``max(0, beta D - slack)`` (Higgins et al. 2017, beta-VAE), the beta growing.

    Args:
        beta: weight at the end.
        slack: nats that cost nothing, taken off after weighting as in the dMelodies benchmark's code, where they are 50.
        warmup_epochs: see `DivergenceLoss`.
        iterations: in which beta grows; 100,000 in the benchmark.
    """

    def __init__(self, beta: float = 1.0, slack: float = 0.0, warmup_epochs: int = 0, iterations: int = 0) -> None:
        super().__init__(warmup_epochs, iterations)
        self.beta, self.slack = beta, slack

    def forward(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """One number for posteriors (B, Z)."""
        return F.relu(self.grown(self.beta) * kl_divergence(mean, log_variance).mean() - self.slack)


class AnnealedDivergence(DivergenceLoss):
    """``beta |D - C|`` (Burgess et al. 2018, "Understanding disentangling in beta-VAE"), the capacity C growing.

    Args:
        capacity: nats at the end.
        beta: weight, from the end of the warm-up on.
        warmup_epochs: see `DivergenceLoss`.
        iterations: in which C grows; 100,000 in the dMelodies benchmark.
    """

    def __init__(self, capacity: float = 25.0, beta: float = 1.0, warmup_epochs: int = 0, iterations: int = 0) -> None:
        super().__init__(warmup_epochs, iterations)
        self.capacity, self.beta = capacity, beta

    def forward(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """One number for posteriors (B, Z)."""
        beta = self.beta if self.since >= 0 else 0.0
        return beta * (kl_divergence(mean, log_variance).mean() - self.grown(self.capacity)).abs()


class VariationalLoss(nn.Module):
    """Reconstruction + divergence + what ties dimensions to attributes.

    Args:
        reconstruction: of the items; `TokenCrossEntropy` if null.
        divergence: of the codes; `BetaDivergence` if null.
        attributes: dimensions tied to attributes; null for none.

    Attributes:
        parts: what the last batch's loss was put together from, by name.
    """

    parts: dict[str, Tensor]

    def __init__(
        self,
        reconstruction: ReconstructionLoss | None = None,
        divergence: DivergenceLoss | None = None,
        attributes: AttributeRegularization | None = None,
    ) -> None:
        super().__init__()
        self.reconstruction = reconstruction or TokenCrossEntropy()
        self.divergence = divergence or BetaDivergence()
        self.attributes = attributes
        self.parts = {}

    def start_step(self, step: int, steps_per_epoch: int) -> None:
        """Told before each step of training, the first of all being 0."""
        self.divergence.start_step(step, steps_per_epoch)

    def forward(self, encoded: Encoded, inputs: Tensor, attributes: Tensor | None = None) -> Tensor:
        """One number for what a model made of items, and their attributes (B, A).

        Raises:
            ValueError: dimensions are to be tied to attributes, and there are none.
        """
        parts = {
            "reconstruction": self.reconstruction(encoded.logits, inputs),
            "divergence": self.divergence(*encoded.posterior),
        }
        if self.attributes is not None:
            if attributes is None:
                raise ValueError("dimensions are to be tied to attributes, but the batch has none: give it some, or set none")
            parts["attributes"] = self.attributes(encoded.latents, attributes)
        self.parts = {name: part.detach() for name, part in parts.items()}
        return sum(parts.values(), encoded.latents.new_zeros(()))
