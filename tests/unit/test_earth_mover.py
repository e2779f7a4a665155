"""Earth mover's distance: what it must be where that is known, and SciPy's own slower one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance, wasserstein_distance_nd

from toolkit.metrics.earth_mover import earth_movers_distance


def test_equal_distributions_are_no_way_apart() -> None:
    points = np.random.default_rng(0).normal(size=(30, 2))
    assert earth_movers_distance(points, points[::-1]) == pytest.approx(0, abs=1e-12)
    twice = np.concatenate([points, points])  # the same mass in halves
    assert earth_movers_distance(points, twice) == pytest.approx(0, abs=1e-12)


def test_what_is_moved_as_a_whole_goes_that_way() -> None:
    points = np.random.default_rng(0).normal(size=(20, 2))
    assert earth_movers_distance(points, points + np.array([3, 4])) == pytest.approx(5)


def test_one_point_is_the_mean_distance_away() -> None:
    samples = np.random.default_rng(0).normal(size=(50, 2))
    assert earth_movers_distance([[1, 1]], samples) == pytest.approx(np.linalg.norm(samples - 1, axis=1).mean())


def test_weights_say_how_much_lies_where() -> None:
    points, samples = [[0, 0], [10, 0]], [[0, 0], [0, 0], [0, 0], [10, 0]]
    assert earth_movers_distance(points, samples, weights=[3, 1]) == pytest.approx(0, abs=1e-12)
    assert earth_movers_distance(points, samples) == pytest.approx(2.5)
    assert earth_movers_distance(points, samples, other_weights=[1, 0, 0, 0]) == pytest.approx(5)
    assert earth_movers_distance(points, samples, weights=[1, 0], other_weights=[0, 0, 0, 1]) == pytest.approx(10)


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 12))
def test_equal_to_scipy(seed: int, count: int, other_count: int) -> None:
    rng = np.random.default_rng(seed)
    points, samples = rng.normal(size=(count, 2)), rng.normal(size=(other_count, 2))
    weights, other_weights = rng.uniform(0.1, 1, count), rng.uniform(0.1, 1, other_count)
    found = earth_movers_distance(points, samples, weights, other_weights)
    assert found == pytest.approx(wasserstein_distance_nd(points, samples, weights, other_weights))
    on_a_line = earth_movers_distance(points[:, :1], samples[:, :1], weights, other_weights)
    assert on_a_line == pytest.approx(wasserstein_distance(points[:, 0], samples[:, 0], weights, other_weights))


def test_what_cannot_be_carried() -> None:
    with pytest.raises(ValueError, match=r"expected points \(K, D\) and \(N, D\), at least one of each, found \(2, 2\)"):
        earth_movers_distance(np.zeros((2, 2)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="weights: expected one for each of 2 points"):
        earth_movers_distance(np.zeros((2, 2)), np.zeros((3, 2)), [1])
    for weights in ([0, 0], [1, -1], [1, np.nan]):
        with pytest.raises(ValueError, match="weights: expected finite numbers of at least 0"):
            earth_movers_distance(np.zeros((2, 2)), np.zeros((3, 2)), weights)
