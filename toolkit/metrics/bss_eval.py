"""BSSEval, version 3: SDR, SIR and SAR of mono sources, distortion filters of 512 taps allowed.

Vincent, Gribonval, Févotte 2006, "Performance measurement in blind audio source separation", section III.B.  An estimate e is
projected on the span of delayed copies of its own reference, then on that of all references.  The second span holds the first,
so by Pythagoras the energies of the projections are all that the ratios need: with a on the own reference, b on all of them,

    SDR = a / (|e|² - a)      SIR = a / (b - a)      SAR = b / (|e|² - b)

and no projected signal is ever built.  The system of equations depends on the references alone, so any number of estimates, the
mixture among them, shares one factorisation.
"""

from __future__ import annotations

from typing import NamedTuple

import scipy
import torch
from torch import Tensor

from toolkit.metrics.assignment import assign
from toolkit.metrics.distortion import decibels

TAPS = 512


class BSSEval(NamedTuple):
    """Ratios in dB, and for each reference the index of the estimate that was held against it."""

    sdr: Tensor
    sir: Tensor
    sar: Tensor
    permutation: Tensor


def bss_eval_v3(estimate: Tensor, reference: Tensor, permute: bool = True, taps: int = TAPS) -> BSSEval:
    """Measure estimates against their references.

    Args:
        estimate: (sources, time).
        reference: (sources, time).
        permute: let each reference have the estimate that makes the mean SIR best, as the toolbox does; else keep the order.
        taps: length of the distortion filters, in samples.

    Returns:
        Ratios and permutation, (sources) each.  See `bss_eval_v3_pairs` for silence.
    """
    sdr, sir, sar = bss_eval_v3_pairs(estimate, reference, taps)
    columns = torch.arange(len(reference), device=reference.device)
    order = assign(-sir[None])[0] if permute else columns
    return BSSEval(sdr[order, columns], sir[order, columns], sar[order, columns], order)


def bss_eval_v3_pairs(estimate: Tensor, reference: Tensor, taps: int = TAPS) -> tuple[Tensor, Tensor, Tensor]:
    """Measure every estimate as if it were meant for every reference.

    Args:
        estimate: (hypotheses, time).
        reference: (references, time).
        taps: length of the distortion filters, in samples.

    Returns:
        SDR, SIR and SAR, (hypotheses, references) each, float64, in dB.  The SIR of a single source is infinite; a silent
        estimate has -infinity; a silent reference has NaN and takes no part in the other columns.
    """
    within, across, total = _statistics(estimate, reference, taps)
    own = _own_energy(within, across)
    heard = within[:, :, 0].diagonal() > 0
    everything = own.nansum(1, keepdim=True)  # which is right where no more than one reference is heard
    if heard.sum() > 1:
        equations = gram_matrix(within[heard][:, heard], taps)
        everything = projected_energy(equations, across[heard].flatten(0, 1))[:, None]
    sdr = _ratio(own, total - own, own)
    sir = _ratio(own, everything - own, own)
    sar = _ratio(everything, total - everything, own)
    return sdr, sir, sar


def bss_eval_v3_sdr(estimate: Tensor, reference: Tensor, taps: int = TAPS) -> Tensor:
    """SDR (hypotheses, references) of `bss_eval_v3_pairs` alone, far quicker: it asks for each reference's own span only."""
    within, across, total = _statistics(estimate, reference, taps)
    own = _own_energy(within, across)
    return _ratio(own, total - own, own)


def correlations(first: Tensor, second: Tensor, taps: int) -> Tensor:
    """Correlate every signal with every other, by FFT.

    Args:
        first: (n, time).
        second: (m, time).
        taps: lags wanted on either side.

    Returns:
        (n, m, lags); at lag l the sum over t of ``first[t - l] * second[t]``, negative lags counted from the end.
    """
    size = scipy.fft.next_fast_len(first.shape[-1] + taps - 1, real=True)
    spectra = torch.fft.rfft(first, size).conj()[:, None] * torch.fft.rfft(second, size)[None]
    return torch.fft.irfft(spectra, size)


def gram_matrix(correlation: Tensor, taps: int) -> Tensor:
    """Inner products of the delayed copies of references, block Toeplitz.

    Args:
        correlation: (n, n, lags), the references' `correlations` with themselves.
        taps: copies of each, delayed by 0, 1, … samples.

    Returns:
        (n * taps, n * taps).
    """
    falling = correlation.roll(taps - 1, -1)[:, :, : 2 * taps - 1].flip(-1)  # lags taps - 1 to 1 - taps
    blocks = falling.unfold(-1, taps, 1).flip(2)  # each row begins with its own delay's lag
    return blocks.transpose(1, 2).reshape(len(correlation) * taps, -1)


def projected_energy(gram: Tensor, cross: Tensor) -> Tensor:
    """Energy of the projection of signals on a span.

    Args:
        gram: (..., size, size), inner products within the span.
        cross: (..., size, signals), inner products of the span with the signals.

    Returns:
        (..., signals).
    """
    try:
        filters = torch.linalg.solve(gram, cross)
    except torch.linalg.LinAlgError:  # equal references: any of the solutions gives the same projection
        filters = (torch.linalg.pinv(gram, hermitian=True) @ cross).to(cross)
    # Where `filters` is off by d, cross·filters is off in the first order of d, this in the second
    return (2 * filters * cross - filters * (gram @ filters)).sum(-2)


def _statistics(estimate: Tensor, reference: Tensor, taps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Correlations within the references (n, n, lags) and with the estimates (n, taps, K); the estimates' energies (K, 1)."""
    e, r = estimate.double(), reference.double()
    return correlations(r, r, taps), correlations(r, e, taps)[:, :, :taps].mT, e.square().sum(-1, keepdim=True)


def _own_energy(within: Tensor, across: Tensor) -> Tensor:
    """Energy of each estimate on the span of each reference alone, (K, n); NaN where the reference is silent."""
    columns = []
    for i, cross in enumerate(across):
        if within[i, i, 0] == 0:
            columns.append(torch.full_like(cross[0], torch.nan))
        else:
            columns.append(projected_energy(gram_matrix(within[i : i + 1, i : i + 1], len(cross)), cross))
    return torch.stack(columns, dim=1)


def _ratio(target: Tensor, noise: Tensor, own: Tensor) -> Tensor:
    """(K, n) in dB, given also the energies on the references alone, which tell what is silent."""
    ratio = decibels(target, noise.clamp(min=0)).expand_as(own)
    return ratio.masked_fill(own == 0, -torch.inf).masked_fill(own.isnan(), torch.nan)
