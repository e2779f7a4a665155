"""FactorVAE's discriminator: which codes have dimensions that depend on each other (Kim & Mnih 2018, ICML)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from toolkit.blocks.slots import check_shape
from toolkit.models.latent import xavier

SLOPE = 0.2


class LatentDiscriminator(nn.Module):
    """A perceptron of two outputs: a code comes from the model; its dimensions come from different codes.

    Args:
        latent: Z.
        hidden: units of each layer; 64 in the dMelodies benchmark, 1,000 in the paper.
        layers: with leaky ReLU, before the last one; 3 in the benchmark, 6 in the paper.
    """

    def __init__(self, latent: int, hidden: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.latent = latent
        self.network = nn.Sequential()
        for before, after in pairwise([latent, *[hidden] * layers]):
            self.network.extend([nn.Linear(before, after), nn.LeakyReLU(SLOPE)])
        self.network.append(nn.Linear(hidden, 2))
        xavier(self)

    def forward(self, latents: Tensor) -> Tensor:
        """Map codes (B, Z) to logits (B, 2)."""
        check_shape(latents, "codes", batch=None, dimensions=self.latent)
        logits: Tensor = self.network(latents)
        return logits
