"""Pairwise losses and permutation-invariant training against Asteroid's."""

from collections.abc import Callable

import pytest
import torch

from toolkit.losses import NegativeSDSDR, NegativeSISDR, NegativeSNR, PairwiseLoss, PermutationInvariant

asteroid = pytest.importorskip("asteroid.losses")


@pytest.mark.parametrize("sources", [2, 3, 5])
@pytest.mark.parametrize("kind", ["sisdr", "snr", "sdsdr"])
def test_value_order_and_gradient(kind: str, sources: int) -> None:
    ours: dict[str, PairwiseLoss] = {
        "sisdr": NegativeSISDR(),
        "snr": NegativeSNR(zero_mean=True),
        "sdsdr": NegativeSDSDR(zero_mean=True),
    }
    reference = torch.randn(4, sources, 4000)
    estimate = (reference.flip(1) + 0.5 * torch.randn(4, sources, 4000)).requires_grad_()
    theirs = asteroid.PITLossWrapper(asteroid.PairwiseNegSDR(kind), pit_from="pw_mtx")
    expected, reordered = theirs(estimate, reference, return_est=True)
    (expected_gradient,) = torch.autograd.grad(expected, estimate)
    loss = PermutationInvariant(ours[kind])
    value = loss(estimate[:, :, None], reference[:, :, None]).mean()
    (gradient,) = torch.autograd.grad(value, estimate)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-3, atol=1e-7)
    order = loss.assign(estimate[:, :, None], reference[:, :, None])
    torch.testing.assert_close(estimate.take_along_dim(order[:, :, None], dim=1), reordered)


@pytest.mark.parametrize("kind", ["sisdr", "snr", "sdsdr"])
def test_every_pair_alike(kind: str) -> None:
    classes: dict[str, Callable[..., PairwiseLoss]] = {"sisdr": NegativeSISDR, "snr": NegativeSNR, "sdsdr": NegativeSDSDR}
    reference = torch.randn(2, 3, 2000)
    reference[0, 0] = 0  # one is silent
    estimate = torch.randn(3, 3) @ reference + 0.1 * torch.randn(2, 3, 2000)
    expected = asteroid.PairwiseNegSDR(kind)(estimate, reference)
    ours = classes[kind](zero_mean=True)(estimate[:, :, None], reference[:, :, None])
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-3)
