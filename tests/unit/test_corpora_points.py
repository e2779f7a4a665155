"""Points to be hypothesised about: quadrants that are filled by turns, and three normal distributions."""

from types import ModuleType

import numpy as np
import pytest

from toolkit.corpora import _quadrants as quadrants
from toolkit.corpora import _three_gaussians as gaussians


@pytest.mark.parametrize("t", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_quadrants_are_as_likely_as_t_says(t: float) -> None:
    draws = quadrants.draw_given(t, 20_000, seed=0)
    x, y = quadrants.points(draws).T
    found = [((x >= 0) == right) & ((y >= 0) == up) for right, up in ((0, 0), (0, 1), (1, 0), (1, 1))]
    np.testing.assert_allclose(np.mean(found, axis=1), quadrants.probabilities(t), atol=0.015)
    assert draws.mask[:, 0].all()
    assert draws.mask[:, 1].mean() == pytest.approx(abs(1 - 2 * t), abs=0.015)


def test_points_lie_uniformly_inside() -> None:
    draws = quadrants.draw_given(0.5, 20_000, seed=1)
    points = quadrants.points(draws)
    assert points.min() >= -1
    assert points.max() < 1
    np.testing.assert_allclose(np.histogram(points, 10, (-1, 1))[0] / points.size, 0.1, atol=0.01)
    np.testing.assert_allclose(np.cov(points.T, bias=True), np.eye(2) / 3, atol=0.01)


def test_two_points_of_a_sample_know_nothing_of_each_other() -> None:
    draws = quadrants.draw_given(0.0, 20_000, seed=2)
    assert draws.mask.all()
    first, second = draws.targets[:, 0, 0], draws.targets[:, 1, 0]
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_what_is_drawn_to_train_on() -> None:
    draws = quadrants.draw(30_000, seed=[0, 7])
    assert [part.shape for part in draws] == [(30_000,), (30_000, 2, 2), (30_000, 2)]
    assert [part.dtype for part in draws] == [np.float32, np.float32, np.bool_]
    assert not draws.targets[~draws.mask].any()
    np.testing.assert_allclose(np.histogram(draws.t, 10, (0, 1))[0] / 30_000, 0.1, atol=0.01)
    assert draws.mask[:, 1].mean() == pytest.approx(0.5, abs=0.01)  # the mean of |1 - 2t|
    diagonal = (draws.targets[:, 0] >= 0).all(1) | (draws.targets[:, 0] < 0).all(1)
    for low in (0.0, 0.4, 0.8):
        near = (draws.t >= low) & (draws.t < low + 0.2)
        assert diagonal[near].mean() == pytest.approx(1 - (low + 0.1), abs=0.02)


@pytest.mark.parametrize("module", [quadrants, gaussians])
def test_a_seed_says_all(module: ModuleType) -> None:
    first, again, other = (module.draw(100, seed) for seed in ([0, 1], [0, 1], [0, 2]))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.targets, other.targets)
    assert (module.draw_given(0.25, 10, 0).t == 0.25).all()
    with pytest.raises(ValueError, match="t: expected 0 to 1, found 2"):
        module.draw_given(2, 1, 0)


def test_where_hypotheses_are_evaluated() -> None:
    t = quadrants.inputs()
    assert len(t) == quadrants.INPUTS == 50
    assert (t[0], t[-1]) == (0, 1)
    np.testing.assert_allclose(np.diff(t), 1 / 49, atol=1e-6)


@pytest.mark.parametrize(("t", "moving"), [(0.3, False), (1.0, False), (0.3, True), (1.0, True), (0.0, True)])
def test_three_gaussians(t: float, moving: bool) -> None:
    draws = gaussians.draw_given(t, 30_000, seed=0, moving=moving)
    assert [part.shape for part in draws] == [(30_000,), (30_000, 1, 2), (30_000, 1)]
    assert draws.mask.all()
    assert draws.targets.dtype == np.float32
    points = draws.targets[:, 0]
    np.testing.assert_allclose(np.cov(points.T, bias=True), gaussians.covariance(t, moving), atol=0.005)
    np.testing.assert_allclose(points.mean(0), (t if moving else 1) * gaussians.MEANS.mean(0), atol=0.01)


def test_fixed_gaussians_know_nothing_of_t() -> None:
    draws = gaussians.draw(30_000, seed=0)
    nearest = np.linalg.norm(draws.targets - gaussians.MEANS, axis=-1)
    assert (nearest.min(1) < 0.5).all()
    np.testing.assert_allclose(np.bincount(nearest.argmin(1)) / 30_000, 1 / 3, atol=0.01)
    assert np.sqrt((nearest.min(1) ** 2).mean() / 2) == pytest.approx(gaussians.SIGMA, rel=0.02)
    assert abs(np.corrcoef(draws.t, draws.targets[:, 0, 0])[0, 1]) < 0.02


def test_moving_gaussians_grow_from_a_point() -> None:
    draws = gaussians.draw(30_000, seed=0, moving=True)
    spread = np.linalg.norm(draws.targets[:, 0], axis=-1)
    assert spread[draws.t < 0.01].max() < 0.02
    assert spread[draws.t > 0.9].mean() > 0.5


def test_the_notebooks_set() -> None:
    draws = gaussians.notebook(seed=0)
    assert draws.targets.shape == (3000, 1, 2)
    assert not draws.t.any()
    for points, mean in zip(draws.targets[:, 0].reshape(3, 1000, 2), gaussians.NOTEBOOK_MEANS, strict=True):
        np.testing.assert_allclose(points.mean(0), mean, atol=0.015)
        np.testing.assert_allclose(points.std(0), 0.1, atol=0.01)
    np.testing.assert_allclose(np.cov(draws.targets[:, 0].T, bias=True), gaussians.notebook_covariance(), atol=0.02)
