"""Earth mover's distance against POT, k-means against scikit-learn."""

import numpy as np
import pytest

from toolkit.corpora import _quadrants, _three_gaussians
from toolkit.metrics.earth_mover import earth_movers_distance
from toolkit.metrics.hypotheses import k_means


@pytest.mark.parametrize("t", [0.0, 0.4])
def test_earth_movers_distance_equals_pot(t: float) -> None:
    ot = pytest.importorskip("ot")
    rng = np.random.default_rng(0)
    points, weights = rng.uniform(-1, 1, (20, 2)), rng.uniform(0.01, 1, 20)
    samples = _quadrants.points(_quadrants.draw_given(t, 300, seed=0)).astype(np.float64)
    expected = ot.emd2(weights / weights.sum(), ot.unif(len(samples)), ot.dist(points, samples, metric="euclidean"))
    assert earth_movers_distance(points, samples, weights) == pytest.approx(expected, rel=1e-9)


def test_k_means_does_as_well_as_scikit_learns() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    samples = _three_gaussians.draw(3000, seed=0).targets[:, 0].astype(np.float64)
    expected = cluster.KMeans(49, n_init=3, random_state=0, algorithm="lloyd").fit(samples).inertia_ / len(samples)
    found = k_means(samples, 49, restarts=3)
    assert found.risk == pytest.approx(expected, rel=0.03)
    again = cluster.KMeans(49, init=found.centres, n_init=1).fit(samples)
    assert again.inertia_ / len(samples) == pytest.approx(found.risk)  # a local optimum, theirs too
