"""How well a few points stand for many: risk, points that stand for nothing, the best that can be had, and when they part.

Hypotheses are (B, K, D) given B inputs, samples (B, N, D) drawn given each input; a mask (B, N) says which samples there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Floats = NDArray[np.float64]


class KMeans(NamedTuple):
    """K centres and what they cost.

    Attributes:
        centres: (K, D).
        risk: mean squared distance of the samples from the nearest centre.
    """

    centres: Floats
    risk: float


def distortion(hypotheses: Tensor, samples: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared Euclidean distance of the samples from the nearest hypothesis, the quantization risk: (B).

    Args:
        hypotheses: (B, K, D).
        samples: (B, N, D).
        mask: (B, N), true for the samples that there are; all of them if not given.  Where there are none, the result is NaN.
    """
    least, _ = _nearest(hypotheses, samples)
    if mask is None:
        return least.mean(1)
    return torch.where(mask, least, 0).sum(1) / mask.sum(1)


def wins(hypotheses: Tensor, samples: Tensor, mask: Tensor | None = None) -> Tensor:
    """How many samples each hypothesis is the nearest to, (B, K): float32; shapes as for `distortion`."""
    _, nearest = _nearest(hypotheses, samples)
    counted = torch.ones_like(nearest, dtype=torch.float32) if mask is None else mask.float()
    return torch.zeros(hypotheses.shape[:2], device=hypotheses.device).scatter_add_(1, nearest, counted)


def dead_share(won: Tensor) -> float:
    """Share of the hypotheses that are the nearest to no sample whatever the input, given their `wins` (B, K)."""
    return (won.sum(0) == 0).float().mean().item()


def k_means(samples: ArrayLike, count: int, restarts: int = 10, seed: int = 0) -> KMeans:
    """The best of several local optima of Lloyd's algorithm (1982), each from centres spread as by k-means++ (Arthur 2007).

    That is what the risk of `count` hypotheses is held against; no hypotheses can do better than the global optimum, which is
    not known.

    Args:
        samples: (N, D).
        count: K.
        restarts: how many times it is begun anew.
        seed: of the centres it begins with.

    Raises:
        ValueError: there are fewer samples than centres.
    """
    x = np.asarray(samples, dtype=np.float64)
    if x.ndim != 2 or not 1 <= count <= len(x):
        raise ValueError(f"expected samples (N, D), at least as many as the {count} centres, found {x.shape}")
    rng = np.random.default_rng(seed)
    return min((_lloyd(x, _spread(x, count, rng)) for _ in range(restarts)), key=lambda found: found.risk)


def covariance(samples: ArrayLike) -> Floats:
    """The covariance (D, D) of samples (N, D), with N in the denominator."""
    x = np.asarray(samples, dtype=np.float64)
    return np.atleast_2d(np.cov(x.T, bias=True))


def critical_temperature(covariance: ArrayLike) -> float:
    """The temperature below which hypotheses in the mean of a distribution part, given its covariance (D, D).

    Annealed by exp(-squared distance / T) as a whole, a cloud of hypotheses splits along its first principal axis at twice the
    variance along it (Rose 1998, "Deterministic annealing", with squared distances; Perera et al. 2024).  Given the samples of
    one cluster, the same says when that one splits.
    """
    return 2 * float(np.linalg.eigvalsh(np.asarray(covariance, dtype=np.float64))[-1])


def _nearest(hypotheses: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance of each sample from the nearest hypothesis, and its index: (B, N) each."""
    if not (hypotheses.ndim == samples.ndim == 3 and hypotheses.shape[::2] == samples.shape[::2]):
        found = f"{tuple(hypotheses.shape)} and {tuple(samples.shape)}"
        raise ValueError(f"expected hypotheses (B, K, D) and samples (B, N, D), found {found}")
    least = torch.full(samples.shape[:2], torch.inf, dtype=samples.dtype, device=samples.device)
    nearest = torch.zeros(samples.shape[:2], dtype=torch.long, device=samples.device)
    for number, hypothesis in enumerate(hypotheses.unbind(1)):  # one at a time: K times the samples need not fit in memory
        apart = (samples - hypothesis[:, None]).square().sum(-1)
        nearer = apart < least
        least, nearest = torch.where(nearer, apart, least), torch.where(nearer, number, nearest)
    return least, nearest


def _spread(x: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Centres drawn from the samples, each as likely as it is far, squared, from those before (Arthur & Vassilvitskii 2007)."""
    centres = [x[rng.integers(len(x))]]
    least = np.full(len(x), np.inf)
    while len(centres) < count:
        least = np.minimum(least, ((x - centres[-1]) ** 2).sum(-1))
        total = least.sum()
        centres.append(x[rng.choice(len(x), p=least / total if total > 0 else None)])
    return np.stack(centres)


def _lloyd(x: Floats, centres: Floats) -> KMeans:
    """Move each centre to the mean of the samples nearest to it until none changes its centre."""
    before = None
    while True:
        nearest, apart = scipy.cluster.vq.vq(x, centres, check_finite=False)
        if before is not None and np.array_equal(nearest, before):
            return KMeans(centres, float((apart**2).mean()))
        size = np.bincount(nearest, minlength=len(centres))
        sums = np.stack([np.bincount(nearest, column, minlength=len(centres)) for column in x.T], axis=1)
        centres = np.where(size[:, None] > 0, sums / np.maximum(size, 1)[:, None], centres)
        before = nearest
