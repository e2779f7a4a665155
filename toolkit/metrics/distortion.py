"""Ratios of target to distortion in decibels: SI-SDR, SNR, SD-SDR, nSDR.

Le Roux, Wisdom, Erdogan, Hershey 2019, "SDR - half-baked or well done?".  Each of them is a function of three inner products of
estimate and reference, so the matrix of all pairs takes no memory beyond the signals and itself.  The products are summed in
float64: in float32 an error 60 dB below the signal would drown in rounding, and mixed precision would ruin it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

LIMIT_DB = 100.0
NSDR_EPS = 1e-7


class Products(NamedTuple):
    """Inner products of estimates and references; the three broadcast against each other."""

    cross: Tensor
    estimate: Tensor
    reference: Tensor


Parts = Callable[[Products, float], tuple[Tensor, Tensor]]


def si_sdr(estimate: Tensor, reference: Tensor, zero_mean: bool = True) -> Tensor:
    """Scale-invariant signal-to-distortion ratio.

    Args:
        estimate: (..., time).
        reference: (..., time).
        zero_mean: take the mean off both first.

    Returns:
        (...) in dB, between -100 and 100; NaN where the reference is silent.
    """
    return _ratio(scale_invariant, estimate, reference, zero_mean)


def snr(estimate: Tensor, reference: Tensor, zero_mean: bool = False) -> Tensor:
    """Signal-to-noise ratio, the noise being all that differs from the reference; arguments and result as of `si_sdr`."""
    return _ratio(plain, estimate, reference, zero_mean)


def sd_sdr(estimate: Tensor, reference: Tensor, zero_mean: bool = False) -> Tensor:
    """Scale-dependent signal-to-distortion ratio, which also punishes a wrong level; arguments and result as of `si_sdr`."""
    return _ratio(scale_dependent, estimate, reference, zero_mean)


def nsdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """The SDR of the Music Demixing Challenge 2021 (Mitsufuji et al. 2022), called "new" SDR or nSDR since.

    It is the signal-to-noise ratio over a whole track and all its channels at once, with 1e-7 added to both energies (samples
    lie between -1 and 1), as the challenge's starter kit has it: silent references count too.  Its mean over the songs is also
    called uSDR.  The SDR of BSSEval is a median over frames; the two cannot be compared.

    Args:
        estimate: (..., channels, time).
        reference: (..., channels, time).

    Returns:
        (...) in dB.
    """
    signals = (reference, reference - estimate)
    target, noise = (torch.linalg.vector_norm(x, dim=(-2, -1), dtype=torch.float64).square() for x in signals)
    return (10 * torch.log10((target + NSDR_EPS) / (noise + NSDR_EPS))).to(torch.promote_types(estimate.dtype, torch.float32))


def products(estimate: Tensor, reference: Tensor, zero_mean: bool) -> Products:
    """Inner products along time, element by element: two tensors (..., time) make three of (...)."""
    e, r = _centred(estimate, zero_mean), _centred(reference, zero_mean)
    return Products((e * r).sum(-1), _energy(e), _energy(r))


def pairwise_products(estimate: Tensor, reference: Tensor, zero_mean: bool) -> Products:
    """Inner products of every estimate with every reference.

    Args:
        estimate: (batch, hypotheses, ..., time).
        reference: (batch, references, ..., time).
        zero_mean: take the mean over time off both first.

    Returns:
        (batch, hypotheses, references), (batch, hypotheses, 1) and (batch, 1, references).
    """
    e, r = _centred(estimate, zero_mean).flatten(2), _centred(reference, zero_mean).flatten(2)
    return Products(e @ r.mT, _energy(e)[:, :, None], _energy(r)[:, None, :])


def scale_invariant(p: Products, eps: float = 0.0) -> tuple[Tensor, Tensor]:
    """Energies of the reference scaled to fit the estimate best, and of what is left; they broadcast as the products do."""
    target = p.cross.square() / (p.reference + eps)
    return target, (p.estimate - target).clamp(min=0)


def plain(p: Products, eps: float = 0.0) -> tuple[Tensor, Tensor]:
    """Energies of the reference as it is, and of its difference from the estimate; they broadcast as the products do."""
    return p.reference, (p.estimate + p.reference - 2 * p.cross).clamp(min=0)


def scale_dependent(p: Products, eps: float = 0.0) -> tuple[Tensor, Tensor]:
    """Energies of the scaled reference, and of the difference from the reference as it is, which broadcast likewise."""
    return scale_invariant(p, eps)[0], plain(p)[1]


def decibels(target: Tensor, noise: Tensor, eps: float = 0.0) -> Tensor:
    """The ratio of two energies of any shape in dB; `eps` keeps value and gradient finite where one of them is nothing."""
    return 10 * torch.log10(target / (noise + eps) + eps)


def limited(ratio: Tensor) -> Tensor:
    """Ratios in dB, of any shape, kept within what 16 bits can show, so that one perfect item makes no mean infinite."""
    return ratio.clamp(-LIMIT_DB, LIMIT_DB)


def _ratio(parts: Parts, estimate: Tensor, reference: Tensor, zero_mean: bool) -> Tensor:
    p = products(estimate, reference, zero_mean)
    ratio = decibels(*parts(p, 0.0)).nan_to_num(nan=-LIMIT_DB)  # of a silent estimate 0 / 0
    return limited(ratio).masked_fill(p.reference == 0, torch.nan).to(torch.promote_types(estimate.dtype, torch.float32))


def _centred(signal: Tensor, zero_mean: bool) -> Tensor:
    accurate = signal.float() if signal.device.type == "mps" else signal.double()  # Apple's GPUs have no float64
    return accurate - accurate.mean(-1, keepdim=True) if zero_mean else accurate


def _energy(signal: Tensor) -> Tensor:
    return signal.square().sum(-1)
