"""BSSEval version 3: what a filter, another source and an artifact count as."""

import torch
from torch.nn import functional as F

from toolkit.metrics import bss_eval_v3
from toolkit.metrics.bss_eval import bss_eval_v3_pairs, bss_eval_v3_sdr, correlations, gram_matrix

TAPS = 16


def sources() -> torch.Tensor:
    return torch.randn(2, 2000, dtype=torch.float64)


def test_a_filtered_source_is_perfect() -> None:
    reference = sources()
    delayed = F.pad(reference, (5, 0))[:, :-5]
    estimate = F.pad(0.5 * delayed[:, :-16], (0, 16))  # ends before the signal does
    reference = F.pad(reference[:, :-21], (0, 21))
    sdr, _, _, _ = bss_eval_v3(estimate, reference, taps=TAPS)
    assert (sdr > 100).all()
    too_late = bss_eval_v3(estimate, reference, taps=4)
    assert (too_late.sdr < 0).all()


def test_interference_and_artifacts_are_told_apart() -> None:
    reference = sources()
    leaking = bss_eval_v3(reference + 0.1 * reference.flip(0), reference, taps=TAPS)
    noisy = bss_eval_v3(reference + 0.1 * torch.randn_like(reference), reference, taps=TAPS)
    assert (leaking.sir - 20).abs().max() < 1
    assert (leaking.sar > 100).all()
    assert (noisy.sar - 20).abs().max() < 1
    assert (noisy.sir > 30).all()


def test_the_permutation_is_found_or_kept() -> None:
    reference = sources()
    swapped = (reference + 0.1 * torch.randn_like(reference)).flip(0)
    assert bss_eval_v3(swapped, reference, taps=TAPS).permutation.tolist() == [1, 0]
    kept = bss_eval_v3(swapped, reference, permute=False, taps=TAPS)
    assert kept.permutation.tolist() == [0, 1]
    assert (kept.sdr < -10).all()


def test_any_number_of_estimates_is_measured_at_once() -> None:
    reference, estimate = sources(), torch.randn(5, 2000)
    for matrix in bss_eval_v3_pairs(estimate, reference, TAPS):
        assert matrix.shape == (5, 2)
        assert matrix.isfinite().all()


def test_silence() -> None:
    reference = sources()
    estimate = reference + 0.1 * torch.randn_like(reference)
    silent = torch.zeros(1, 2000, dtype=torch.float64)
    for with_silence, without in zip(
        bss_eval_v3_pairs(estimate, torch.cat([reference, silent]), TAPS),
        bss_eval_v3_pairs(estimate, reference, TAPS),
        strict=True,
    ):
        torch.testing.assert_close(with_silence[:, :2], without)
        assert with_silence[:, 2].isnan().all()
    assert bss_eval_v3_pairs(silent, reference, TAPS)[0].eq(-torch.inf).all()
    assert bss_eval_v3_pairs(estimate, silent, TAPS)[0].isnan().all()


def test_equal_references_do_not_break_the_equations() -> None:
    reference = sources()[:1].expand(2, -1)
    estimate = reference + 0.1 * torch.randn(2, 2000)
    assert (bss_eval_v3(estimate, reference, taps=TAPS).sdr - 20).abs().max() < 1


def test_the_gram_matrix_holds_the_inner_products_of_delayed_copies() -> None:
    reference = torch.randn(2, 50, dtype=torch.float64)
    taps = 3
    delayed = torch.stack([F.pad(x, (delay, taps - 1 - delay)) for x in reference for delay in range(taps)])
    gram = gram_matrix(correlations(reference, reference, taps), taps)
    torch.testing.assert_close(gram, delayed @ delayed.T)
    assert gram_matrix(correlations(reference, reference, 1), 1).shape == (2, 2)


def test_sdr_alone_needs_no_other_reference() -> None:
    reference, estimate = sources(), torch.randn(3, 2000)
    alone = bss_eval_v3_sdr(estimate, reference, TAPS)
    torch.testing.assert_close(alone, bss_eval_v3_pairs(estimate, reference, TAPS)[0])
    torch.testing.assert_close(alone[:, 1:], bss_eval_v3_sdr(estimate, reference[1:], TAPS))
