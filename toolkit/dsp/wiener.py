"""Multichannel Wiener filtering of a mixture, given magnitudes of its sources.

The local Gaussian model (Duong, Vincent, Gribonval 2010): in a bin of a frame, source j is a complex Gaussian vector over the
channels with covariance v_j(f, l) R_j(f); v is its power, R how it lies between the channels.  Sources are then estimated by

    y_j = v_j R_j (Σ_k v_k R_k)⁻¹ x

and v, R estimated anew from them (the weighted scheme of Nugraha, Liutkus, Vincent 2016), for as many iterations as wanted.
As the inverse is the same for all sources, it is applied to the mixture once; two channels need but a 2 x 2 determinant.
"""

import torch
from torch import Tensor

from toolkit.dsp import stft

EPS = 1e-10
BINS_AT_ONCE = 128  # of some hundred frames: what a core's cache holds


def wiener(
    magnitudes: Tensor,
    mixture: Tensor,
    iterations: int = 1,
    softmask: bool = False,
    residual: bool = False,
    window: int | None = None,
    scale_factor: float = 10.0,
    eps: float = EPS,
) -> Tensor:
    """Spectrograms of the sources of a mixture.

    What the sources add up to: the mixture exactly with `residual` and no iterations.  An iteration takes the share √eps of a
    white noise out, which is heard nowhere but keeps the sum from being exact where the mixture is some 70 dB below its peak.

    Args:
        magnitudes: of the sources, (B, S, C, F, L).
        mixture: complex spectrogram (B, C, F, L) of one or two channels.
        iterations: of expectation and maximisation; with none the first estimates are returned.
        softmask: first estimates are the mixture times each source's share in the sum of magnitudes; else they are the
            magnitudes with the mixture's phase (none where the mixture is zero).
        residual: one more source, the mixture less all others, takes part and comes last: (B, S + 1, C, F, L).
        window: frames that are filtered on their own, so that sources may move; null for all at once.
        scale_factor: the mixture is scaled to this peak, if it is louder.
        eps: power of the noise that is taken out, in the scaled mixture.

    Returns:
        Complex spectrograms (B, S, C, F, L).

    Raises:
        ValueError: there are more than two channels.
    """
    if mixture.shape[1] > 2:
        raise ValueError(f"mixture: expected one or two channels, found {mixture.shape[1]}")
    batch, sources, channels, bins, frames = magnitudes.shape
    bins_at_once = BINS_AT_ONCE if mixture.device.type == "cpu" else None
    size = batch, sources + int(residual), channels, frames, bins
    filtered = mixture.new_empty(size).transpose(-1, -2)  # as a transform wants it
    for piece in _pieces(frames, window):
        heard, wanted = mixture[..., piece], magnitudes[..., piece]
        scale = (heard.abs().amax((1, 2, 3), keepdim=True) / scale_factor).clamp(min=1)
        for block in _pieces(bins, bins_at_once):
            part, magnitude = heard[:, :, block], wanted[:, :, :, block]
            if iterations:
                estimates = _first_estimates(magnitude / scale[:, None], part / scale, softmask, residual, eps)
                estimates = expectation_maximization(estimates, part / scale, iterations, eps) * scale[:, None]
            else:
                estimates = _first_estimates(magnitude, part, softmask, residual, eps)
            filtered[:, :, :, block, piece] = estimates
    return filtered


def _pieces(whole: int, size: int | None) -> list[slice]:
    return [slice(None)] if size is None else [slice(start, start + size) for start in range(0, whole, size)]


def expectation_maximization(sources: Tensor, mixture: Tensor, iterations: int, eps: float = EPS) -> Tensor:
    """Refine estimates of the sources.

    Args:
        sources: complex spectrograms (B, S, C, F, L).
        mixture: (B, C, F, L) of one or two channels.
        iterations: each estimates the model and filters with it.
        eps: power of the noise that is taken out.

    Returns:
        Complex spectrograms (B, S, C, F, L).
    """
    for _ in range(iterations):
        power = stft.power(sources).mean(2)
        covariance = torch.einsum("bscfl,bsdfl->bscdf", sources, sources.conj())
        covariance = covariance / (eps + power.sum(-1))[:, :, None, None]
        sources = multichannel_filter(power, covariance, mixture, eps**0.5)
    return sources


def multichannel_filter(power: Tensor, covariance: Tensor, mixture: Tensor, noise: float) -> Tensor:
    """Filter a mixture by the model of its sources.

    Args:
        power: v, (B, S, F, L).
        covariance: R over the channels, complex, (B, S, C, C, F).
        mixture: (B, C, F, L) of one or two channels.
        noise: power of white noise that is in the mixture besides.

    Returns:
        Complex spectrograms (B, S, C, F, L).
    """
    total = torch.einsum("bsfl,bscdf->bcdfl", power.to(covariance.dtype), covariance)
    whitened = _solve(total, mixture, noise)
    return power[:, :, None] * torch.einsum("bscdf,bdfl->bscfl", covariance, whitened)


def _first_estimates(magnitudes: Tensor, mixture: Tensor, softmask: bool, residual: bool, eps: float) -> Tensor:
    if softmask:
        sources = mixture[:, None] * (magnitudes / (eps + magnitudes.sum(1, keepdim=True)))
    else:
        sources = mixture.sgn()[:, None] * magnitudes
    if residual:
        sources = torch.cat([sources, mixture[:, None] - sources.sum(1, keepdim=True)], dim=1)
    return sources


def _solve(matrix: Tensor, vector: Tensor, noise: float) -> Tensor:
    """Solve (M + noise · I) z = x for a Hermitian M (B, C, C, F, L) and x (B, C, F, L)."""
    first = matrix[:, 0, 0].real + noise
    if vector.shape[1] == 1:
        return vector / first[:, None]
    second, across = matrix[:, 1, 1].real + noise, matrix[:, 0, 1]
    determinant = first * second - across.real.square() - across.imag.square()
    left, right = vector[:, 0] / determinant, vector[:, 1] / determinant
    return torch.stack([second * left - across * right, first * right - across.conj() * left], dim=1)
