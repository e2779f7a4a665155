"""Mixup: each example of a batch mixed with another of it (Zhang et al. 2018, "mixup: beyond empirical risk minimization")."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Mixup(NamedTuple):
    """Who is mixed with whom, and how much of each.

    Attributes:
        partners: (B,), index of the other example.
        shares: (B,), of the example itself, from a half to one; the partner has the rest.
    """

    partners: Tensor
    shares: Tensor

    @classmethod
    def draw(cls, batch: int, alpha: float) -> Mixup:
        """Partners at random, shares from Beta(alpha, alpha), the larger one kept; from torch's global generator on the CPU."""
        with torch.device("cpu"):
            shares = torch.distributions.Beta(torch.tensor(alpha), torch.tensor(alpha)).sample((batch,))
            return cls(torch.randperm(batch), torch.maximum(shares, 1 - shares))

    def __call__(self, values: Tensor) -> Tensor:
        """Mix spectrograms, labels or embeddings (B, …)."""
        shares = self.shares.to(values).view(-1, *[1] * (values.ndim - 1))
        return shares * values + (1 - shares) * values[self.partners.to(values.device)]

    def either(self, mask: Tensor) -> Tensor:
        """What is known (B, …) of an example or of its partner."""
        return torch.maximum(mask, mask[self.partners.to(mask.device)])

    @contextmanager
    def after(self, module: nn.Module) -> Iterator[None]:
        """Mix what a module gives while the context is open, so that spectrograms are mixed and not the waveforms they show."""

        def mix(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            return self(output)

        handle = module.register_forward_hook(mix)
        try:
            yield
        finally:
            handle.remove()
