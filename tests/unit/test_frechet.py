"""Fréchet distance of sets of embeddings, and the distance of spectra in dB."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.metrics.frechet import distance, frechet_distance, gaussian
from toolkit.metrics.spectral_distance import log_spectral_distance


def embeddings(count: int, size: int, seed: int) -> torch.Tensor:
    """Of unequal variances, correlated."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return torch.randn(count, size, generator=generator, dtype=torch.float64) @ mixing + seed


def plainly(first: torch.Tensor, second: torch.Tensor) -> float:
    """As it is written down."""
    x, y = first.numpy(), second.numpy()
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    shared = scipy.linalg.sqrtm(a @ b).real
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * shared))


@pytest.mark.parametrize(("count", "other"), [(40, 60), (500, 33)])
def test_it_is_what_scipys_matrix_root_gives(count, other):
    x, y = embeddings(count, 16, 1), embeddings(other, 16, 2)
    assert frechet_distance(x, y) == pytest.approx(plainly(x, y), rel=1e-9)


def test_it_is_known_of_uncorrelated_embeddings():
    x = torch.tensor([[1.0, 2.0], [1.0, -2.0], [-1.0, 2.0], [-1.0, -2.0]])
    y = 3 * x + torch.tensor([3.0, 4.0])
    deviations = (torch.tensor([1.0, 2.0]) * math.sqrt(4 / 3)) * (3 - 1)
    assert frechet_distance(x, y) == pytest.approx(25 + deviations.square().sum().item(), rel=1e-6)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_fewer_embeddings_than_dimensions_do_no_harm(count):
    """The trace of the root is then the sum of the singular values of the products of all pairs, which needs no root."""
    x, y = embeddings(count, 128, 1), embeddings(7, 128, 2)
    a, b = (z - z.mean(0) for z in (x, y))
    shared = torch.linalg.svdvals(a @ b.T).sum() / math.sqrt((count - 1) * 6)
    spread = a.square().sum() / (count - 1) + b.square().sum() / 6
    expected = (x.mean(0) - y.mean(0)).square().sum() + spread - 2 * shared
    assert frechet_distance(x, y) == pytest.approx(expected.item(), rel=1e-10)


def test_of_the_same_embeddings_it_is_zero():
    for count in (3, 200):
        x = embeddings(count, 32, 1)
        assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9 * gaussian([x]).covariance.trace().item())


@settings(max_examples=20)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 20), st.floats(-5, 5))
def test_it_is_symmetric_and_does_not_change_when_both_are_turned_or_moved(count, other, size, moved):
    x, y = embeddings(count, size, 1), embeddings(other, size, 2)
    expected = frechet_distance(x, y)
    turn = torch.linalg.qr(embeddings(size, size, 3))[0]
    scale = 1e-9 * (x.square().sum() + y.square().sum()).item()
    assert frechet_distance(y, x) == pytest.approx(expected, abs=scale)
    assert frechet_distance(x @ turn + moved, y @ turn + moved) == pytest.approx(expected, abs=scale)


def test_embeddings_may_come_in_batches_of_any_size():
    x, y = embeddings(50, 8, 1) + 1e4, embeddings(40, 8, 2)  # far off, where sums of squares would lose digits
    found = gaussian([x[:1], x[1:1], x[1:30], x[30:]])
    assert found.samples == 50
    np.testing.assert_allclose(found.covariance, np.cov(x.numpy(), rowvar=False), rtol=1e-9)
    assert distance(found, gaussian(y.split(7))) == pytest.approx(plainly(x, y), rel=1e-9)


def test_what_cannot_be_measured_is_told():
    with pytest.raises(ValueError, match="at least two, found 1"):
        frechet_distance(torch.ones(1, 3), torch.ones(4, 3))
    with pytest.raises(ValueError, match="dimensions in both, found 3 and 4"):
        frechet_distance(torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(torch.tensor([[1.0], [math.nan]]), torch.ones(2, 1))
    with pytest.raises(ValueError, match="expected shape"):
        frechet_distance(torch.ones(3), torch.ones(2, 1))


def test_log_spectral_distance_frame_by_frame():
    x, y = (torch.randn(2, 3000, dtype=torch.float64) * level for level in (0.3, 0.001))
    taper = np.hanning(1025)[:-1]
    for row in range(2):
        powers = []
        for wave in (x[row].numpy(), y[row].numpy()):
            padded = np.pad(wave, (0, 2000))
            frames = [padded[start : start + 1024] * taper for start in range(0, 3000, 256)]
            powers.append(np.abs(np.fft.rfft(frames)) ** 2 / 1024)
        levels = [10 * np.log10(np.maximum(p, 1e-5)) for p in powers]
        assert log_spectral_distance(x, y)[row].item() == pytest.approx(np.mean((levels[0] - levels[1]) ** 2), rel=1e-9)


def test_ten_times_as_loud_is_400_square_decibels_away():
    noise = torch.randn(4096)
    assert log_spectral_distance(100 * noise, 1000 * noise).item() == pytest.approx(400, rel=1e-2)  # but for powers of nearly 0
    assert log_spectral_distance(noise, noise) == 0
    assert log_spectral_distance(torch.zeros(5), torch.zeros(5)) == 0
