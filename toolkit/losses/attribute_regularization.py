"""Attribute regularisation: a dimension of a code that rises as an attribute rises (AR-VAE)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class AttributeRegularization(nn.Module):
    """Over all pairs of a batch, the mean of ``|tanh(delta (z_i - z_j)) - sign(a_i - a_j)|``, added up over the attributes.

    Pati & Lerch 2020, "Attribute-based regularization of latent spaces for variational auto-encoders" (arXiv 2004.05485).
    It asks of the attributes only which is the greater, and takes any model's codes.

    Args:
        gamma: weight; 1 for melodies, 10 for pictures.
        delta: how steep; 10 for melodies, 1 for pictures.
        dimensions: which dimension belongs to each attribute; the first ones if null.
    """

    def __init__(self, gamma: float = 1.0, delta: float = 10.0, dimensions: Sequence[int] | None = None) -> None:
        super().__init__()
        self.gamma, self.delta = gamma, delta
        self.dimensions = None if dimensions is None else list(dimensions)

    def forward(self, latents: Tensor, attributes: Tensor) -> Tensor:
        """One number for codes (B, Z) and attributes (B, A).

        Raises:
            ValueError: batches differ, or there are not as many dimensions as attributes.
        """
        items, count = attributes.shape
        dimensions = self.dimensions if self.dimensions is not None else list(range(min(count, latents.shape[-1])))
        if len(latents) != items or len(dimensions) != count:
            raise ValueError(
                f"attributes: expected shape ({len(latents)}, {len(dimensions)}), as there are codes and dimensions, "
                f"found {tuple(attributes.shape)}"
            )
        apart = torch.tanh(self.delta * _differences(latents[:, dimensions]))
        order = _differences(attributes).sign()
        return self.gamma * (apart - order).abs().mean((0, 1)).sum()


def _differences(values: Tensor) -> Tensor:
    """Differences of all pairs: (B, D) to (B, B, D)."""
    return values[:, None] - values[None]
