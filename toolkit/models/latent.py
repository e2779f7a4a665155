"""Variational autoencoders: what a model promises whose codes are to be trained, measured, and played with.

Letters of the shapes: B batch, Z dimensions of a code, T tokens of a melody, V tokens in the vocabulary.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from toolkit.models.base import Model


class Posterior(NamedTuple):
    """Normal distributions of codes whose dimensions are independent, one for each item of a batch.

    Attributes:
        mean: (B, Z).
        log_variance: (B, Z).
    """

    mean: Tensor
    log_variance: Tensor


class Encoded(NamedTuple):
    """What a model made of a batch on its way through a code.

    Attributes:
        logits: of what came in, see `LatentModel.decode`.
        latents: (B, Z), the code that was drawn.
        posterior: what it was drawn from.
    """

    logits: Tensor
    latents: Tensor
    posterior: Posterior


class LatentModel(Model):
    """Items to codes of `latent` dimensions, and codes to items; before anything is seen, codes are standard normal.

    An item is a melody, tokens (B, T) of integers, whose logits are (B, T, V); or a picture of one colour (B, 1, H, W) from 0
    to 1, whose logits have its shape.  Losses and metrics of codes ask for nothing else.

    Attributes:
        latent: Z.
    """

    latent: int

    @abstractmethod
    def encode(self, inputs: Tensor) -> Posterior:
        """What is known of the codes of items."""

    @abstractmethod
    def decode(self, latents: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Logits of the items that codes (B, Z) stand for.

        Args:
            latents: (B, Z).
            inputs: the items that should come out, for a model that is helped by them while it is trained; others, and all
                models in `eval` mode, leave them alone.
        """

    @abstractmethod
    def items(self, logits: Tensor) -> Tensor:
        """The most probable items."""

    def forward(self, inputs: Tensor) -> Encoded:
        """Encode items, draw a code of each (in `eval` mode too), and decode it."""
        posterior = self.encode(inputs)
        latents = self.sample(posterior)
        return Encoded(self.decode(latents, inputs), latents, posterior)

    def sample(self, posterior: Posterior) -> Tensor:
        """Draw codes (B, Z), through which gradients pass."""
        return posterior.mean + (posterior.log_variance / 2).exp() * torch.randn_like(posterior.mean)

    @torch.no_grad()
    def reconstruct(self, latents: Tensor) -> Tensor:
        """The most probable items of codes (B, Z)."""
        return self.items(self.decode(latents))

    @torch.no_grad()
    def traverse(self, latents: Tensor, dimension: int, values: Tensor) -> Tensor:
        """Items of one code (Z) whose one dimension takes values (N): (N, …)."""
        along = latents.expand(len(values), -1).clone()
        along[:, dimension] = values
        return self.reconstruct(along)


class PosteriorHead(nn.Module):
    """Features to a normal distribution: a layer each for the mean and for the logarithm of the standard deviation.

    Args:
        features: of the input.
        hidden: units of a layer with SELU before each of the two; null for none.
        latent: Z.
    """

    def __init__(self, features: int, hidden: int | None, latent: int) -> None:
        super().__init__()
        self.mean, self.log_deviation = (_branch(features, hidden, latent) for _ in range(2))

    def forward(self, features: Tensor) -> Posterior:
        """Map (B, features)."""
        return Posterior(self.mean(features), 2 * self.log_deviation(features))


def _branch(features: int, hidden: int | None, latent: int) -> nn.Module:
    if hidden is None:
        return nn.Linear(features, latent)
    return nn.Sequential(nn.Linear(features, hidden), nn.SELU(), nn.Linear(hidden, latent))


def xavier(module: nn.Module) -> None:
    """Draw all weights anew as Glorot & Bengio 2010 have it, recurrent ones and embeddings too; biases stay."""
    for name, parameter in module.named_parameters():
        if "weight" in name:
            nn.init.xavier_normal_(parameter)
