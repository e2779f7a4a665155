"""Least squares filters: block Toeplitz equations, whose coefficients are correlations at growing lags.

The generalised Schur algorithm (Kailath, Sayed 1995, "Displacement structure: theory and applications") finds the triangular
factor row by row, in a time that grows with the square of the size and not with its cube; it is stable in the mixed form of
Bojanczyk, Brent, de Hoog, Sweet 1995.  Several lags are taken as one larger block, so that the work is matrix products.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = 32  # rows of the factor found at a time
EPS = torch.finfo(torch.float64).eps


def least_squares_filters(within: Tensor, across: Tensor) -> Tensor:
    """Filters that bring a sum of filtered signals nearest to each of other signals.

    Args:
        within: (batch, taps, n, n), at lag l the sum over t of ``signal[i, t - l] * signal[j, t]``; its diagonal at lag 0 is
            raised by the rounding unit, as museval does, so that a signal of zeros gets a filter of zeros.
        across: (batch, taps, n, m), the same of signals with others.

    Returns:
        (batch, taps, n, m).  Where the signals depend on each other linearly, one of the many solutions.
    """
    batch, taps, n, _ = within.shape
    within = within.clone()
    within[:, 0] += EPS * torch.eye(n, dtype=within.dtype, device=within.device)
    cross = across.reshape(batch, taps * n, -1)
    try:
        factor = upper_factor(_first_rows(within, math.gcd(taps, max(1, BLOCK // n))))
        filters = torch.linalg.solve_triangular(factor.mT, cross, upper=False)
        filters = torch.linalg.solve_triangular(factor, filters, upper=True)
    except torch.linalg.LinAlgError:  # not definite as far as rounding lets one see
        filters = _solve_any(_first_rows(within, taps), cross)
    return filters.reshape(across.shape)


def upper_factor(rows: Tensor) -> Tensor:
    """The triangular factor U of a positive definite block Toeplitz matrix UᵀU.

    Args:
        rows: (batch, k, size), the first rows of the matrix; it goes on with their blocks of k by k.

    Returns:
        (batch, size, size); what is below its diagonal is not to be read.

    Raises:
        torch.linalg.LinAlgError: the matrix is not positive definite.
    """
    k, size = rows.shape[1:]
    identity = torch.eye(k, dtype=rows.dtype, device=rows.device)
    factor = rows.new_empty(len(rows), size, size)
    # The matrix less itself moved down its diagonal by a block is plusᵀplus - minusᵀminus
    plus = torch.linalg.solve_triangular(torch.linalg.cholesky(rows[:, :, :k]), rows, upper=False)
    minus = plus[:, :, k:]
    factor[:, :k] = plus
    for i in range(k, size, k):
        plus = plus[:, :, :-k]
        turn = torch.linalg.solve_triangular(plus[:, :, :k], minus[:, :, :k], upper=True, left=False)
        gains = torch.linalg.cholesky(identity - torch.cat([turn.mT @ turn, turn @ turn.mT]))
        inverses = torch.linalg.solve_triangular(gains, identity, upper=False)
        (gain, other_gain), (inverse, other_inverse) = gains.split(len(rows)), inverses.split(len(rows))
        plus = torch.baddbmm(inverse @ plus, inverse @ turn.mT, minus, alpha=-1)
        factor[:, i : i + k, i:] = plus
        minus = torch.baddbmm(other_gain.mT @ minus[:, :, k:], other_inverse @ turn @ gain, plus[:, :, k:], alpha=-1)
    return factor


def _first_rows(within: Tensor, delays: int) -> Tensor:
    """The first rows of the equations' matrix, (batch, delays * n, taps * n); one for each signal at each delay."""
    batch, taps, n, _ = within.shape
    lags = torch.cat([within[:, 1:delays].flip(1), within.mT], dim=1)  # from delays - 1 down to 1 - taps
    rows = lags.unfold(1, taps, 1).flip(1)  # (batch, delays, n, n, taps)
    return rows.permute(0, 1, 2, 4, 3).reshape(batch, delays * n, taps * n)


def _solve_any(matrix: Tensor, cross: Tensor) -> Tensor:
    try:
        return torch.linalg.solve(matrix, cross)
    except torch.linalg.LinAlgError:
        return torch.linalg.pinv(matrix, hermitian=True) @ cross
