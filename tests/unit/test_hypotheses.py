"""How well hypotheses stand for samples, the best they could do, and the temperature at which they part."""

import numpy as np
import pytest
import torch

from toolkit.corpora import _three_gaussians as gaussians
from toolkit.metrics import hypotheses as measured
from toolkit.metrics.hypotheses import critical_temperature, dead_share, distortion, k_means, wins

CORNERS = torch.tensor([[[0.0, 0.0], [10.0, 0.0], [50.0, 50.0]]])  # (B, K, D)
SAMPLES = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [10.0, 3.0], [9.0, 0.0]]])


def test_risk_and_who_wins() -> None:
    assert distortion(CORNERS, SAMPLES).tolist() == [(1 + 4 + 9 + 1) / 4]
    assert wins(CORNERS, SAMPLES).tolist() == [[2, 2, 0]]
    assert dead_share(wins(CORNERS, SAMPLES)) == pytest.approx(1 / 3)


def test_samples_that_are_not_there_count_for_nothing() -> None:
    mask = torch.tensor([[True, False, False, False]])
    assert distortion(CORNERS, SAMPLES, mask).tolist() == [1]
    assert wins(CORNERS, SAMPLES, mask).tolist() == [[1, 0, 0]]
    spoilt = SAMPLES.clone()
    spoilt[:, 1:] = torch.nan
    assert distortion(CORNERS, spoilt, mask).tolist() == [1]


def test_a_hypothesis_lives_if_it_wins_anywhere() -> None:
    two_inputs = CORNERS.repeat(2, 1, 1)
    samples = torch.cat([SAMPLES, SAMPLES + 50])
    assert dead_share(wins(two_inputs, samples)) == 0


def test_equal_to_all_distances_at_once() -> None:
    generator = torch.Generator().manual_seed(0)
    points, samples = torch.randn(3, 7, 2, generator=generator), torch.randn(3, 50, 2, generator=generator)
    apart = torch.cdist(samples, points).square()
    torch.testing.assert_close(distortion(points, samples), apart.amin(2).mean(1))
    counted = torch.stack([row.bincount(minlength=7) for row in apart.argmin(2)])
    assert wins(points, samples).equal(counted.float())
    with pytest.raises(ValueError, match=r"expected hypotheses \(B, K, D\) and samples \(B, N, D\), found \(7, 2\)"):
        distortion(points[0], samples)


def test_k_means_finds_what_is_plain_to_see() -> None:
    samples = gaussians.notebook(seed=0, each=200).targets[:, 0]
    found = k_means(samples, 3, restarts=3)
    order = np.argsort(found.centres[:, 0])
    np.testing.assert_allclose(found.centres[order], gaussians.NOTEBOOK_MEANS, atol=0.03)
    assert found.risk == pytest.approx(2 * gaussians.SIGMA**2, rel=0.1)
    centres, points = (torch.as_tensor(x)[None] for x in (found.centres, samples.astype(np.float64)))
    assert found.risk == pytest.approx(distortion(centres, points).item())
    assert k_means(samples, 1).risk == pytest.approx(np.trace(measured.covariance(samples)))
    with pytest.raises(ValueError, match="at least as many as the 5 centres"):
        k_means(samples[:4], 5)


def test_k_means_of_samples_that_stand_twice() -> None:
    assert k_means(np.array([[0.0], [0.0], [1.0]]), 3).risk == 0


def test_the_first_critical_temperatures() -> None:
    assert critical_temperature(gaussians.covariance()) == pytest.approx(0.4644, abs=1e-4)
    assert critical_temperature(gaussians.notebook_covariance()) == pytest.approx(7.131, abs=1e-3)
    assert critical_temperature([[4.0]]) == 8


@pytest.mark.parametrize(("ratio", "parts"), [(1.1, False), (0.9, True)])
def test_hypotheses_part_below_it(ratio: float, parts: bool) -> None:
    """Two hypotheses beside the mean, moved to the means that the Boltzmann weights give them, again and again."""
    samples = gaussians.draw(2000, seed=0).targets[:, 0].astype(np.float64)
    temperature = ratio * critical_temperature(measured.covariance(samples))
    points = samples.mean(0) + 1e-3 * np.array([[0, 1], [0, -1]])
    for _ in range(20):
        weights = np.exp(-((samples[:, None] - points) ** 2).sum(-1) / temperature)
        weights /= weights.sum(1, keepdims=True)
        points = weights.T @ samples / weights.sum(0)[:, None]
    assert (np.ptp(points[:, 1]) > 4e-3) == parts
