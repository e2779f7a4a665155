"""FactorVAE: codes whose dimensions a discriminator cannot tell from independent ones (Kim & Mnih 2018, ICML).

What a trainer needs for it: two optimizers, and twice as many items in a batch.  A step is

    one, other = batch's first half, batch's second half
    loss = variational(model(one), one) + total_correlation(codes of one)
    step of the model's optimizer
    step of the discriminator's, over `total_correlation.discriminator_loss(codes of one, codes of other)`

in which the other half is encoded by the model as it is after its step.  The dMelodies benchmark's code has Adam with 1e-4 for
both, for pictures with betas of .8 and .9 for the discriminator; its batches of 512 are the two halves together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F


class TotalCorrelation(nn.Module):
    """How much more the dimensions of codes say together than each for itself, as a discriminator estimates it.

    Args:
        discriminator: codes (B, Z) to logits (B, 2): of coming from the model, and of being put together from several codes.
        gamma: weight; 1, 10 or 50 in the dMelodies benchmark.
    """

    def __init__(self, discriminator: nn.Module, gamma: float = 10.0) -> None:
        super().__init__()
        self.discriminator, self.gamma = discriminator, gamma

    def forward(self, latents: Tensor) -> Tensor:
        """One number for the model to lower, given its codes (B, Z); no gradient comes to the discriminator's weights."""
        weights = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        own, mixed = functional_call(self.discriminator, weights, (latents,)).unbind(-1)
        return self.gamma * (own - mixed).mean()

    def discriminator_loss(self, latents: Tensor, others: Tensor) -> Tensor:
        """One number for the discriminator to lower, given codes (B, Z) of different items; no gradient comes to the model."""
        halves = (latents.detach(), permute_dimensions(others.detach()))
        losses = (
            F.cross_entropy(self.discriminator(codes), torch.full((len(codes),), label, device=codes.device))
            for label, codes in enumerate(halves)
        )
        return sum(losses, latents.new_zeros(())) / 2


def permute_dimensions(latents: Tensor) -> Tensor:
    """Put codes (B, Z) together anew: each dimension is shuffled over the batch by itself."""
    order = torch.rand_like(latents).argsort(0)
    return latents.gather(0, order)
