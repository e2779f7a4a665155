"""Fréchet distance of two sets of embeddings, each taken as a normal distribution (Kilgour et al. 2019 for sound: FAD).

    |μ₁ - μ₂|² + tr Σ₁ + tr Σ₂ - 2 tr (Σ₁ Σ₂)^½

tr (Σ₁ Σ₂)^½ is the sum of the singular values of Σ₁^½ Σ₂^½, the roots being taken by the eigenvalues of symmetric matrices; so
nothing becomes complex or unstable where a set has fewer embeddings than dimensions.  Everything is computed in float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """What is kept of a set of embeddings.

    Attributes:
        samples: N, how many there are.
        mean: (D).
        covariance: (D, D), with N - 1 in the denominator.
    """

    samples: int
    mean: Tensor
    covariance: Tensor


def gaussian(batches: Iterable[Tensor]) -> Gaussian:
    """Mean and covariance of embeddings that come in batches (N, D), of any sizes, e.g. the clips of a corpus one by one.

    Raises:
        ValueError: there are fewer than two, or one is not finite.
    """
    count, mean, scatter = 0, torch.zeros(()), torch.zeros(())
    for batch in batches:
        x = batch.detach().double().cpu()
        if x.ndim != 2:
            raise ValueError(f"embeddings: expected shape (N, D), found {tuple(x.shape)}")
        if not x.isfinite().all():
            raise ValueError("embeddings: expected finite numbers, found others")
        if not len(x):
            continue
        own, total = x.mean(0), count + len(x)
        apart, centred = own - mean, x - own
        scatter = scatter + centred.T @ centred + torch.outer(apart, apart) * (count * len(x) / total)
        count, mean = total, mean + apart * (len(x) / total)
    if count < 2:
        raise ValueError(f"embeddings: expected at least two, found {count}")
    return Gaussian(count, mean, scatter / (count - 1))


def distance(first: Gaussian, second: Gaussian) -> float:
    """Fréchet distance, squared as is the custom, of two normal distributions.

    Raises:
        ValueError: they are of different dimensions.
    """
    if first.mean.shape != second.mean.shape:
        raise ValueError(f"embeddings: expected as many dimensions in both, found {len(first.mean)} and {len(second.mean)}")
    shared = torch.linalg.svdvals(_root(first.covariance) @ _root(second.covariance)).sum()
    means = (first.mean - second.mean).square().sum()
    return (means + first.covariance.trace() + second.covariance.trace() - 2 * shared).clamp(min=0).item()


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Fréchet distance of embeddings (N, D) and (M, D), N and M at least 2."""
    return distance(gaussian([first]), gaussian([second]))


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root (D, D); eigenvalues that are rounding errors count as zero."""
    values, vectors = torch.linalg.eigh(covariance)
    least = values[-1].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps
    roots = torch.where(values > least, values, 0).sqrt()
    return (vectors * roots) @ vectors.T
