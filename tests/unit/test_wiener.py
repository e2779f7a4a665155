"""The multichannel Wiener filter: what the sources add up to, what it separates, windows, mono, errors."""

import pytest
import torch

from toolkit.dsp.wiener import expectation_maximization, multichannel_filter, wiener


def spectrum(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


MIXTURE = 100 * spectrum(2, 2, 9, 20)
MAGNITUDES = MIXTURE.abs()[:, None] * torch.rand(
    2, 3, 2, 9, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
)


def test_without_iterations_the_magnitudes_have_the_mixtures_phase():
    sources = wiener(MAGNITUDES, MIXTURE, iterations=0)
    torch.testing.assert_close(sources.abs(), MAGNITUDES)
    torch.testing.assert_close(sources.angle(), MIXTURE.angle()[:, None].expand_as(MAGNITUDES))


def test_where_the_mixture_is_silent_so_are_the_sources():
    silent = MIXTURE.clone()
    silent[..., 5:] = 0
    for iterations in (0, 1):
        sources = wiener(MAGNITUDES, silent, iterations, residual=True)
        assert sources[..., 5:].abs().max() == 0
        assert sources.isfinite().all()


@pytest.mark.parametrize("softmask", [False, True])
def test_with_a_residual_the_sources_add_up_to_the_mixture(softmask):
    exactly = wiener(MAGNITUDES, MIXTURE, iterations=0, softmask=softmask, residual=True)
    assert exactly.shape[1] == 4
    torch.testing.assert_close(exactly.sum(1), MIXTURE)
    filtered = wiener(MAGNITUDES, MIXTURE, iterations=1, softmask=softmask, residual=True)
    assert 0 < (filtered.sum(1) - MIXTURE).abs().max() < 1e-3 * MIXTURE.abs().max()  # √eps of noise is taken out


def test_softmasks_share_the_mixture_out():
    shares = wiener(MAGNITUDES, MIXTURE, iterations=0, softmask=True)
    torch.testing.assert_close(shares.sum(1), MIXTURE)
    torch.testing.assert_close(shares, MIXTURE[:, None] * MAGNITUDES / MAGNITUDES.sum(1, keepdim=True))


def test_it_separates_by_direction_what_magnitudes_leave_mixed():
    """Two sources that always sound together, one on each side; magnitudes that say no more than a bit of where they are."""
    left, right = spectrum(1, 1, 4, 200), spectrum(1, 1, 4, 200, seed=1)
    truth = torch.stack([torch.cat([left, 0.1 * left], 1), torch.cat([0.1 * right, right], 1)], dim=1)
    mixture = truth.sum(1)
    shares = torch.tensor([[0.6, 0.4], [0.4, 0.6]]).double()[None, :, :, None, None]
    errors = [(wiener(shares * mixture.abs()[:, None], mixture, n) - truth).abs().square().sum() for n in (0, 3)]
    assert errors[1] < 0.5 * errors[0]


def test_a_window_is_filtered_as_if_it_were_alone():
    together = wiener(MAGNITUDES, MIXTURE, window=15)
    apart = [wiener(MAGNITUDES[..., piece], MIXTURE[..., piece]) for piece in (slice(15), slice(15, 20))]
    torch.testing.assert_close(together, torch.cat(apart, dim=-1))


def test_items_of_a_batch_do_not_touch_each_other():
    alone = wiener(MAGNITUDES[1:], MIXTURE[1:])
    torch.testing.assert_close(wiener(MAGNITUDES, MIXTURE)[1:], alone)


def test_mono_is_the_wiener_filter_that_everybody_knows():
    mixture, power = MIXTURE[:, :1], MAGNITUDES[:, :, 0].square()
    flat = torch.ones(2, 3, 1, 1, 9, dtype=torch.complex128)
    expected = power / (power.sum(1, keepdim=True) + 0.5) * mixture
    torch.testing.assert_close(multichannel_filter(power, flat, mixture, noise=0.5)[:, :, 0], expected)


def test_the_filter_solves_the_model_of_two_channels():
    power = MAGNITUDES[:, :, 0]
    factor = spectrum(2, 3, 9, 2, 2, seed=3)
    covariance = (factor @ factor.mH).permute(0, 1, 3, 4, 2)
    model = torch.einsum("bsfl,bscdf->bsflcd", power.to(covariance.dtype), covariance)
    whitened = torch.linalg.solve(model.sum(1) + 0.1 * torch.eye(2), MIXTURE.permute(0, 2, 3, 1)[..., None])
    expected = (model @ whitened[:, None])[..., 0].permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(multichannel_filter(power, covariance, MIXTURE, noise=0.1), expected)


def test_an_iteration_goes_on_from_the_one_before():
    first = wiener(MAGNITUDES, MIXTURE, iterations=0)
    once = expectation_maximization(first, MIXTURE, 1)
    torch.testing.assert_close(expectation_maximization(once, MIXTURE, 1), expectation_maximization(first, MIXTURE, 2))


def test_gradients_go_through():
    magnitudes = MAGNITUDES.clone().requires_grad_()
    wiener(magnitudes, MIXTURE, iterations=2).abs().sum().backward()
    assert magnitudes.grad.isfinite().all()
    assert magnitudes.grad.abs().sum() > 0


def test_more_than_two_channels_are_refused():
    with pytest.raises(ValueError, match="one or two channels, found 3"):
        wiener(torch.ones(1, 2, 3, 4, 5), torch.ones(1, 3, 4, 5, dtype=torch.complex64))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same():
    expected = wiener(MAGNITUDES, MIXTURE, 2, residual=True)
    torch.testing.assert_close(wiener(MAGNITUDES.cuda(), MIXTURE.cuda(), 2, residual=True).cpu(), expected)
