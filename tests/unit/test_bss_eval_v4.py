"""BSSEval version 4: what each of its ratios answers for, frames, silence, and the equations behind them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from toolkit.metrics import bss_eval_v4
from toolkit.metrics.block_toeplitz import least_squares_filters, upper_factor
from toolkit.metrics.bss_eval_v4 import bss_eval_v4_pairs

TAPS, WINDOW = 16, 500
RATIOS = ["sdr", "isr", "sir", "sar"]


def stems(sources: int = 2, channels: int = 2, samples: int = 2000) -> torch.Tensor:
    return torch.randn(sources, channels, samples, dtype=torch.float64)


def noise_like(x: torch.Tensor, level_db: float) -> torch.Tensor:
    return 10 ** (level_db / 20) * torch.randn_like(x)


def test_interference_artifacts_and_filters_are_told_apart() -> None:
    reference = stems(samples=4000)
    leaking = bss_eval_v4(reference + 0.1 * reference.flip(0), reference, WINDOW, taps=TAPS)
    noisy = bss_eval_v4(reference + noise_like(reference, -20), reference, WINDOW, taps=TAPS)
    later = bss_eval_v4(F.pad(reference, (3, 0))[..., :-3], reference, 4000, taps=TAPS)
    for found in (leaking, noisy):
        assert (found.sdr - 20).abs().max() < 1
    assert (leaking.sir - 20).abs().max() < 1
    assert (leaking.sar > 100).all()
    assert (noisy.sar - 20).abs().max() < 1
    assert (noisy.sir > 28).all()
    assert (later.sdr + 3).abs().max() < 1  # as images, a delay is as wrong as another sound
    assert (later.isr + 3).abs().max() < 1
    assert (later.sar > 25).all()
    assert (bss_eval_v4(F.pad(reference, (3, 0))[..., :-3], reference, 4000, sources=True, taps=TAPS).sdr > 25).all()


def test_frames() -> None:
    reference = stems(samples=1999)
    estimate = reference + noise_like(reference, -10)
    found = bss_eval_v4(estimate, reference, WINDOW, taps=TAPS)
    assert all(getattr(found, ratio).shape == (2, 3) for ratio in RATIOS)  # what is left at the end is not measured
    assert bss_eval_v4(estimate, reference, WINDOW, hop=250, taps=TAPS).sdr.shape == (2, 6)
    whole = bss_eval_v4(estimate, reference, 1999, taps=TAPS)
    longer = bss_eval_v4(estimate, reference, 5000, taps=TAPS)
    assert whole.sdr.shape == (2, 1)
    assert all(getattr(whole, ratio).equal(getattr(longer, ratio)) for ratio in RATIOS)


def test_a_silent_frame_is_undefined_for_all_sources() -> None:
    reference = stems()
    estimate = reference + noise_like(reference, -10)
    quiet = reference.clone()
    quiet[1, :, 400:1100] = 0
    opposed = estimate.clone()
    opposed[0, 1, 1500:] = -opposed[0, 0, 1500:]  # the channels' sum is what counts
    for measured in (bss_eval_v4(estimate, quiet, WINDOW, taps=TAPS), bss_eval_v4(quiet, estimate, WINDOW, taps=TAPS)):
        assert all(getattr(measured, ratio).isnan().any(0).tolist() == [False, True, False, False] for ratio in RATIOS)
    assert bss_eval_v4(opposed, reference, WINDOW, taps=TAPS).sdr.isnan().tolist() == [[False, False, False, True]] * 2
    silent = torch.cat([reference[:1], torch.zeros_like(reference[:1])])
    assert bss_eval_v4(estimate, silent, WINDOW, taps=TAPS).sdr.isnan().all()


def test_a_perfect_estimate() -> None:
    reference = stems()
    assert (bss_eval_v4(reference, reference, WINDOW, taps=TAPS).sdr == math.inf).all()


@pytest.mark.parametrize("framewise", [False, True])
def test_the_permutation_is_found_or_kept(framewise: bool) -> None:
    reference = stems(sources=3)
    reference[0, :, :WINDOW] = 0
    estimate = (reference + noise_like(reference, -10))[[1, 2, 0]]
    kept = bss_eval_v4(estimate, reference, WINDOW, framewise=framewise, taps=TAPS)
    found = bss_eval_v4(estimate, reference, WINDOW, permute=True, framewise=framewise, taps=TAPS)
    assert kept.permutation.reshape(3, -1)[:, -1].tolist() == [0, 1, 2]
    assert found.permutation.reshape(3, -1)[:, -1].tolist() == [2, 0, 1]
    assert kept.sdr[:, 1:].max() < 0 < 5 < found.sdr[:, 1:].min()


def test_one_solution_serves_many_estimates() -> None:
    reference = stems()
    estimate, mixture = reference + noise_like(reference, -10), reference.sum(0)
    pairs = [(0, 0), (1, 1), (2, 0), (2, 1)]
    found = bss_eval_v4_pairs(torch.cat([estimate, mixture[None]]), reference, pairs, WINDOW, taps=TAPS)
    alone = bss_eval_v4(estimate, reference, WINDOW, taps=TAPS)
    of_mixture = bss_eval_v4(mixture.expand(2, -1, -1), reference, WINDOW, taps=TAPS)
    for ratio in ("sdr", "isr", "sir"):
        torch.testing.assert_close(getattr(found, ratio)[:2], getattr(alone, ratio))
        torch.testing.assert_close(getattr(found, ratio)[2:], getattr(of_mixture, ratio))


def test_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match=r"references' shape \(2, 2, 2000\), found \(2, 2, 1999\)"):
        bss_eval_v4(stems()[..., 1:], stems(), WINDOW)


@given(st.integers(1, 3), st.integers(1, 40), st.integers(0, 100))
def test_filters_fit_as_well_as_any(signals: int, taps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(signals, 100, dtype=torch.float64, generator=generator)
    y = torch.randn(2, 100 + taps, dtype=torch.float64, generator=generator)
    delayed = torch.stack([F.pad(x, (delay, taps - delay)) for delay in range(taps)])  # (taps, n, time)
    within = torch.stack([x @ F.pad(x, (0, lag))[:, lag:].mT for lag in range(taps)])
    filters = least_squares_filters(within[None], torch.einsum("lnt,mt->lnm", delayed, y)[None])[0]
    expected = torch.linalg.lstsq(delayed.flatten(0, 1).T, y.T, driver="gelsd").solution
    fitted, best = (delayed.flatten(0, 1).T @ solution for solution in (filters.flatten(0, 1), expected))
    assert (fitted - best).norm() < 1e-6 * y.norm()


@pytest.mark.parametrize("alike", ["copies", "panned", "equal sources", "one channel silent"])
def test_dependent_references_do_not_break_the_equations(alike: str) -> None:
    reference = stems()
    noise = noise_like(reference, -20)
    free = bss_eval_v4(reference + noise, reference, WINDOW, taps=TAPS)
    if alike == "equal sources":
        reference[1] = reference[0]
    else:
        reference[:, 1] = {"copies": 1.0, "panned": 0.5, "one channel silent": 0.0}[alike] * reference[:, 0]
    found = bss_eval_v4(reference + noise, reference, WINDOW, taps=TAPS)
    assert (found.isr - free.isr).abs().max() < 6
    assert (found.sar - free.sar).abs().max() < 6


def test_the_factor() -> None:
    x = torch.randn(40, 4, dtype=torch.float64)
    matrix = torch.eye(4, dtype=torch.float64) + 0.1 * (x.T @ x)
    rows = torch.cat([matrix, 0.1 * matrix, torch.zeros(4, 4)], dim=1)
    factor = upper_factor(rows[None])[0].triu()
    whole = torch.stack(
        [rows, torch.cat([0.1 * matrix, matrix, 0.1 * matrix], 1), rows.unflatten(1, (3, 4)).flip(1).flatten(1)]
    )
    torch.testing.assert_close(factor.T @ factor, whole.flatten(0, 1))
    with pytest.raises(torch.linalg.LinAlgError):
        upper_factor(torch.ones(1, 2, 4, dtype=torch.float64))
