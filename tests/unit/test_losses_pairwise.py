"""Pairwise losses: what they measure, and that silence and half precision do no harm."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from toolkit.losses import MeanAbsoluteError, MeanSquaredError, NegativeSDSDR, NegativeSISDR, NegativeSNR, PairwiseLoss
from toolkit.metrics import sd_sdr, si_sdr, snr

RATIOS = [(NegativeSISDR, si_sdr), (NegativeSNR, snr), (NegativeSDSDR, sd_sdr)]
ALL = [NegativeSISDR, NegativeSNR, NegativeSDSDR, MeanSquaredError, MeanAbsoluteError]


@pytest.mark.parametrize(("loss", "metric"), RATIOS)
def test_every_pair_gets_the_metric_with_its_sign_turned(loss: type[PairwiseLoss], metric: Callable[..., Tensor]) -> None:
    reference = torch.randn(2, 3, 1, 200)
    estimate = torch.rand(4, 3) @ reference[:, :, 0] + 0.1 * torch.randn(2, 4, 200)
    estimate = estimate[:, :, None]
    distance = loss()(estimate, reference)
    assert distance.shape == (2, 4, 3)
    assert distance.dtype == torch.float32
    torch.testing.assert_close(distance, -metric(estimate, reference[:, None, :, 0]))


@pytest.mark.parametrize(
    ("loss", "difference"), [(MeanSquaredError, torch.square), (MeanAbsoluteError, torch.abs)], ids=["squared", "absolute"]
)
def test_mean_differences_take_features_of_any_shape(loss: type[PairwiseLoss], difference: Callable[[Tensor], Tensor]) -> None:
    estimate, reference = torch.randn(2, 4, 5, 6), torch.randn(2, 3, 5, 6)
    expected = difference(estimate[:, :, None] - reference[:, None]).mean((-1, -2))
    torch.testing.assert_close(loss()(estimate, reference), expected)


def test_two_channels_share_one_scale() -> None:
    reference = torch.randn(1, 1, 2, 100)
    louder = reference * 3
    lopsided = reference * torch.tensor([1.0, 3.0])[:, None]
    distance = NegativeSISDR()(torch.cat([louder, lopsided], dim=1), reference)[0, :, 0]
    assert distance[0] < -75  # as good as eps allows
    assert distance[1] > -15


@pytest.mark.parametrize("loss", ALL)
@pytest.mark.parametrize("silent", ["reference", "estimate", "both"])
def test_gradients_are_finite_with_silence(loss: type[PairwiseLoss], silent: str) -> None:
    estimate, reference = torch.randn(2, 3, 1, 50), torch.randn(2, 2, 1, 50)
    if silent != "estimate":
        reference[:, 0] = 0
    if silent != "reference":
        estimate[:, 0] = 0
    estimate.requires_grad_()
    distance = loss()(estimate, reference)
    distance.sum().backward()
    assert distance.isfinite().all()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()


@pytest.mark.parametrize("loss", ALL)
def test_gradients_are_right(loss: type[PairwiseLoss]) -> None:
    estimate, reference = torch.randn(1, 2, 1, 7).double().requires_grad_(), torch.randn(1, 3, 1, 7).double()
    assert torch.autograd.gradcheck(lambda e: loss()(e, reference), estimate)


def test_a_clipped_pair_teaches_no_more() -> None:
    reference = torch.randn(1, 1, 1, 1000)
    noise = torch.randn(1, 1, 1, 1000)
    for amount, learns in ((0.5, True), (0.001, False)):
        estimate = (reference + amount * noise).requires_grad_()
        distance = NegativeSISDR(clip_db=30)(estimate, reference)
        (gradient,) = torch.autograd.grad(distance.sum(), estimate)
        assert gradient.any() == learns
        assert (distance > -30).all() == learns


def test_good_estimates_are_told_apart_in_single_precision() -> None:
    reference = torch.randn(1, 1, 1, 8000)
    noise = torch.randn(1, 1, 1, 8000)
    estimate = torch.cat([reference + 1e-3 * noise, reference + 1.05e-3 * noise], dim=1)
    best, second = NegativeSISDR()(estimate, reference)[0, :, 0].tolist()
    assert second - best == pytest.approx(0.424, abs=0.01)


def test_autocast_does_not_blur_the_distances() -> None:
    estimate, reference = torch.randn(1, 2, 1, 500), torch.randn(1, 2, 1, 500)
    exact = NegativeSISDR()(estimate, reference)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(NegativeSISDR()(estimate, reference), exact)
        low: Tensor = NegativeSISDR()(estimate.bfloat16(), reference)
    assert low.dtype == torch.float32
