"""Spectra compared along the frequency axis: exact distances, the cut-off, gradients."""

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.dsp.spectra import normalised_power, periodic_window
from toolkit.losses import SpectralTransport
from toolkit.losses.optimal_transport import transport

SECOND = np.arange(16000) / 16000


def masses(*shape: int, seed: int = 0) -> torch.Tensor:
    """Every third one, about, is nothing."""
    found = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.where(found < 0.3, 0.0, found)


def plainly(first: np.ndarray, second: np.ndarray, positions: np.ndarray, order: float, cut: bool) -> float:
    """One row: all levels at which either quantile function steps, and both functions between them."""
    total = first.sum()
    a, b = np.cumsum(first / total), np.cumsum(second / (total if cut else second.sum()))
    levels = np.sort(np.concatenate([a, b]))
    result, below = 0.0, 0.0
    for level in levels:
        if level > 1 + 1e-12:
            break
        quantiles = [positions[min(np.searchsorted(c, level - 1e-12), len(c) - 1)] for c in (a, b)]
        result += (level - below) * abs(quantiles[0] - quantiles[1]) ** order
        below = level
    return result


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("order", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("level", [0.4, 1.0, 2.5])
def test_row_by_row(cut, order, level):
    x, y, positions = masses(2, 5, 40), level * masses(2, 5, 40, seed=1), masses(40, seed=2).cumsum(-1)
    found = transport(x, y, positions, order=order, cut=cut)
    assert found.shape == (2, 5)
    expected = [
        plainly(a, b, positions.numpy(), order, cut) for a, b in zip(*(z.flatten(0, 1).numpy() for z in (x, y)), strict=True)
    ]
    np.testing.assert_allclose(found.flatten(), expected, rtol=1e-9)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30), st.integers(0, 9))
def test_of_order_1_it_is_scipys(pairs, seed):
    """Small whole masses, so that both functions often step at the same level."""
    x, y = torch.tensor(pairs, dtype=torch.float64).T + torch.tensor([[0.0], [0.0]])
    x[seed % len(x)] += 1
    y[(seed * 7) % len(y)] += 1
    positions = torch.rand(len(x), generator=torch.Generator().manual_seed(seed), dtype=torch.float64).cumsum(0)
    expected = scipy.stats.wasserstein_distance(positions, positions, x, y)
    assert transport(x, y, positions, order=1).item() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50)
@given(st.integers(1, 30), st.integers(0, 20), st.floats(1, 3), st.floats(0.1, 10))
def test_of_a_shifted_spectrum_it_is_the_shift_to_its_power(size, shift, order, level):
    x = masses(3, size) + 1e-3
    blank = torch.zeros(3, shift, dtype=torch.float64)
    first, second = torch.cat([x, blank], -1), torch.cat([blank, level * x], -1)
    positions = torch.arange(size + shift) / 10
    found = transport(first, second, positions, order=order)
    np.testing.assert_allclose(found, (shift / 10) ** order, rtol=1e-6, atol=1e-12)


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(0, 100), st.floats(1, 3), st.floats(-5, 5), st.floats(0.1, 10))
def test_symmetry_and_what_moving_and_stretching_the_axis_does(size, seed, order, moved, stretch):
    x, y = masses(size, seed=seed) + 1e-6, masses(size, seed=seed + 1) + 1e-6
    positions = torch.arange(size, dtype=torch.float64)
    value = transport(x, y, positions, order=order).item()
    assert transport(y, x, positions, order=order).item() == pytest.approx(value, abs=1e-9)
    assert transport(x, 3 * y, positions + moved, order=order).item() == pytest.approx(value, abs=1e-9)
    assert transport(x, y, stretch * positions, order=order).item() == pytest.approx(stretch**order * value, rel=1e-6, abs=1e-9)
    assert transport(x, 7 * x, positions, order=order).item() == pytest.approx(0, abs=1e-9)


def test_each_row_may_have_positions_of_its_own():
    x = masses(3, 20) + 0.01
    positions = torch.arange(20, dtype=torch.float64)
    moved = positions + torch.tensor([[0.0], [2.0], [-3.0]])
    assert transport(x, x, positions, moved).tolist() == pytest.approx([0, 4, 9])


def test_the_cut_takes_the_lowest_part_and_puts_what_is_missing_on_top():
    positions = torch.linspace(0, 1, 5)
    reference = torch.tensor([0.0, 1, 0, 1, 0])
    more = torch.tensor([0.0, 1, 0, 1, 5])  # the same, and as many again above
    assert transport(reference, more, positions, cut=True).item() == pytest.approx(0, abs=1e-6)
    half = torch.tensor([0.0, 1, 0, 0, 0])  # the upper half is missing: carried from 3/4 to 1
    assert transport(reference, half, positions, cut=True).item() == pytest.approx(0.5 * 0.25**2)
    assert transport(reference, half, positions).item() == pytest.approx(0.5 * 0.5**2)


@pytest.mark.parametrize("cut", [False, True])
def test_gradients_are_those_of_small_changes(cut):
    x, y = (torch.rand(4, 12, dtype=torch.float64) + 0.1 for _ in range(2))
    x, y = x.requires_grad_(), y.requires_grad_()
    positions = torch.rand(12, dtype=torch.float64).cumsum(0)
    assert torch.autograd.gradcheck(lambda a, b: transport(a, b, positions, cut=cut), (x, y), eps=1e-8, atol=1e-5)


@pytest.mark.parametrize("order", [1.0, 1.7, 2.0, 3.0])
def test_gradients_of_any_order_with_positions_of_each_row(order):
    x, y = (torch.rand(3, 10, dtype=torch.float64) + 0.1 for _ in range(2))
    at, to = (torch.rand(3, 10, dtype=torch.float64).cumsum(-1) for _ in range(2))
    x, y = x.requires_grad_(), y.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: transport(a, b, at, to, order), (x, y), eps=1e-8, atol=1e-5)


def test_where_both_step_at_once_the_gradient_is_that_of_a_little_more():
    """Both have a quarter up to the second position; the first has half up to the third, the second up to the fourth."""
    x = torch.tensor([0.125, 0.125, 0.25, 0.0, 0.5], dtype=torch.float64)
    y = torch.tensor([0.0, 0.25, 0.0, 0.25, 0.25], dtype=torch.float64, requires_grad=True)
    positions = torch.arange(5) ** 1.5
    value = transport(x, y, positions, cut=True)
    (gradient,) = torch.autograd.grad(value, y)
    more = y.detach() + 1e-6 * torch.eye(5, dtype=torch.float64)
    slopes = (transport(x.expand(5, -1), more, positions, cut=True) - value.detach()) / 1e-6
    torch.testing.assert_close(gradient, slopes, atol=1e-6, rtol=1e-6)


def test_what_is_beyond_the_cut_has_no_gradient():
    x, y = torch.ones(4), torch.tensor([1.0, 2.0, 3.0, 1.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(transport(x, y, torch.arange(4), cut=True), y)
    assert gradient[0] != 0
    assert gradient[2:].tolist() == [0, 0]


def test_nothing_is_kept_of_a_reference():
    x, y, kept = masses(2, 9), masses(2, 9).requires_grad_(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda z: kept.append(z.shape) or z, lambda z: z):
        transport(x, y.detach(), torch.arange(9.0))
        assert not kept
        transport(x, y, torch.arange(9.0))
        assert kept


@pytest.mark.parametrize("cut", [False, True])
def test_nothing_to_carry_does_no_harm(cut):
    for x, y in ((torch.zeros(2, 9), masses(2, 9).float()), (masses(2, 9).float(), torch.zeros(2, 9)), (torch.ones(2, 9),) * 2):
        y = y.clone().requires_grad_()
        value = transport(x, y, torch.linspace(0, 1, 9), cut=cut)
        value.sum().backward()
        assert value.isfinite().all()
        assert y.grad.isfinite().all()


def tone(hertz: float, level: float = 0.5) -> torch.Tensor:
    return torch.from_numpy(level * np.sin(2 * np.pi * hertz * SECOND[:4096]))[None]


@pytest.mark.parametrize("options", [{}, {"fft_size": 512}, {"fft_size": 512, "axis": "log"}, {"cut": False}])
def test_the_variants_of_the_paper_on_waveforms(options):
    x, y = tone(440) + tone(880, 0.2), tone(523) + tone(1046, 0.3)
    loss = SpectralTransport(**options)
    taper = periodic_window("flattop", len(loss.taper))
    powers = [normalised_power(z, taper, 256, "onward")[0].T.numpy() for z in (x, y)]
    rows = [plainly(a, b, loss.positions.numpy(), 2, loss.cut) for a, b in zip(*powers, strict=True)]
    assert loss(y, x).item() == pytest.approx(np.mean(rows), rel=1e-6)
    assert SpectralTransport(**options, root=True)(y, x).item() == pytest.approx(np.mean(np.sqrt(rows)), rel=1e-6)


def test_the_farther_a_tone_the_larger_the_loss():
    loss = SpectralTransport(cut=False)
    values = [loss(tone(hertz), tone(500)).item() for hertz in (500, 600, 800, 1500, 3000)]
    assert values[0] == pytest.approx(0, abs=1e-12)
    assert values == sorted(values)
    frames = loss(tone(2500), tone(500)).item()
    assert frames == pytest.approx(((2500 - 500) / 8000) ** 2, rel=0.05)


def test_the_logarithmic_axis_is_that_of_midi():
    loss = SpectralTransport(512, axis="log", low=100, high=6400)
    octave = loss.positions[32] - loss.positions[16]  # 1000 and 500 Hz
    assert octave.item() == pytest.approx(1 / 6)
    assert loss.positions[0].item() == pytest.approx((0 - (69 + 12 * np.log2(100 / 440))) / 72)
    assert (SpectralTransport(4096, axis="log").positions.diff() > 0).all()


@pytest.mark.parametrize("samples", [1, 300, 4096])
@pytest.mark.parametrize("options", [{}, {"cut": False, "axis": "log"}, {"root": True}])
def test_finite_gradients_in_single_precision(samples, options):
    loss = SpectralTransport(**options)
    for level in (0.0, 1e-6, 1.0):
        x = (level * torch.randn(2, samples)).requires_grad_()
        for reference in (torch.randn(2, samples), x.detach()):
            value = loss(x, reference)
            value.backward()
            assert value.isfinite()
            assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("options", "told"),
    [({"fft_size": 33}, "fft_size"), ({"hop_length": 0}, "hop_length"), ({"order": 0.5}, "order"), ({"low": 0.0}, "low, high")],
)
def test_what_cannot_be_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        SpectralTransport(**options)


@pytest.mark.parametrize("axis", ["linear", "log"])
def test_it_may_be_built_where_there_are_no_numbers(axis):
    with torch.device("meta"):
        assert SpectralTransport(512, axis=axis).positions.shape == (257,)
