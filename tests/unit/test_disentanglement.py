"""Metrics of disentanglement on codes that have an attribute each, and on codes that say nothing."""

import numpy as np
import pytest

from toolkit.metrics.dependence import (
    Information,
    histogram_information,
    rank_correlation,
    squared_correlation,
)
from toolkit.metrics.disentanglement import dlig, dmig, interpretability, mig, modularity, sap, scc, xmig
from toolkit.metrics.interpolation import monotonicity, smoothness

RNG = np.random.default_rng(0)
ATTRIBUTES = RNG.integers(0, 4, (2000, 3))
RANDOM = RNG.standard_normal((2000, 5))
PERFECT = np.concatenate([2.0 * ATTRIBUTES - 5, RANDOM[:, :2]], 1)
PLANTED = Information(
    codes=np.array([[0.9, 0.3], [0.2, 0.4], [0.1, 0.6], [0.5, 0.0]]),
    attributes=np.array([[1.0, 0.25], [0.25, 0.8]]),
)


def test_codes_that_are_attributes():
    information = histogram_information(PERFECT, ATTRIBUTES)
    np.testing.assert_allclose(mig(information), 1, atol=0.03)  # chance tells a little by 20 bins
    np.testing.assert_allclose(modularity(information.codes)[:3], 1, atol=1e-3)
    np.testing.assert_allclose(sap(squared_correlation(PERFECT, ATTRIBUTES)), 1, atol=0.01)
    np.testing.assert_allclose(scc(PERFECT, ATTRIBUTES), 1)
    explained, dimensions = interpretability(PERFECT, ATTRIBUTES, information.codes)
    np.testing.assert_allclose(explained, 1)
    assert dimensions.tolist() == [0, 1, 2]


def test_codes_that_say_nothing():
    information = histogram_information(RANDOM, ATTRIBUTES)
    assert mig(information).max() < 0.02
    assert sap(squared_correlation(RANDOM, ATTRIBUTES)).max() < 0.02
    assert scc(RANDOM, ATTRIBUTES).max() < 0.1


def test_what_attributes_tell_of_themselves_is_their_entropy():
    values = np.repeat([0, 1, 2, 2], 25)[:, None]
    information = histogram_information(values.astype(float), values)
    entropy = -(2 * 0.25 * np.log(0.25) + 0.5 * np.log(0.5))
    np.testing.assert_allclose([information.codes, information.attributes], entropy)
    assert information.entropy(0) == pytest.approx(entropy)
    assert information.entropy(0, given=0) == pytest.approx(0)


def test_bins_are_of_one_width():
    codes = np.array([0.0, 0.04, 0.06, 1.0])[:, None]
    apart = histogram_information(codes, np.array([[0], [0], [1], [1]]), bins=20).codes
    np.testing.assert_allclose(apart, np.log(2))
    together = histogram_information(codes, np.array([[0], [1], [0], [0]]), bins=20).codes
    np.testing.assert_allclose(together, 0.25 * np.log(2 / 3) + 0.25 * np.log(2) + 0.5 * np.log(4 / 3))


def test_gaps_of_a_matrix_by_hand():
    np.testing.assert_allclose(mig(PLANTED), [0.9 - 0.5, (0.6 - 0.4) / 0.8])
    np.testing.assert_allclose(mig(PLANTED, [0, 1]), [0.4, (0.4 - 0.6) / 0.8])
    np.testing.assert_allclose(sap(PLANTED.codes), [0.4, 0.2])
    # attribute 0: the rival is dimension 3, of no attribute; attribute 1: dimension 2, of none
    np.testing.assert_allclose(dmig(PLANTED), [0.4, (0.4 - 0.6) / 0.8])
    # dimensions 0 and 3 for the two: each one's rival is in turn known
    np.testing.assert_allclose(dmig(PLANTED, [0, 3]), [0.4 / (1 - 0.25), (0 - 0.6) / 0.8])
    np.testing.assert_allclose(xmig(PLANTED), [0.9 - 0.5, (0.4 - 0.6) / 0.8])
    np.testing.assert_allclose(xmig(PLANTED, [0, 3]), [0.9 - 0.2, (0.0 - 0.6) / 0.8])
    np.testing.assert_allclose(dlig(PLANTED), [(0.9 - 0.3) / 0.75, (0.4 - 0.2) / 0.55])


def test_modularity_by_hand():
    told = np.array([[0.5, 0.0, 0.0], [0.4, 0.4, 0.4], [0.0, 0.0, 0.0], [0.6, 0.3, 0.0]])
    np.testing.assert_allclose(modularity(told), [1, 0, 0, 1 - (0.3 / 0.6) ** 2 / 2])


def test_correlations():
    values = np.arange(20.0)[:, None]
    codes = np.concatenate([-values, np.exp(values / 4), np.zeros_like(values), np.tile([[0.0], [1.0]], (10, 1))], 1)
    squared = squared_correlation(codes, values)[:, 0]
    expected = [1, np.corrcoef(codes[:, 1], values[:, 0])[0, 1] ** 2, 0, np.corrcoef(codes[:, 3], values[:, 0])[0, 1] ** 2]
    np.testing.assert_allclose(squared, expected)
    np.testing.assert_allclose(rank_correlation(codes, values)[:, 0], [1, 1, 0, 0])  # the last one is not significant
    np.testing.assert_allclose(squared_correlation(values, codes * [1, 1, 0, 1])[0, 2], 0)


def test_what_cannot_be_asked_is_told():
    with pytest.raises(ValueError, match=r"expected codes \(N, Z\) and attributes \(N, A\), found \(3, 2\) and \(4, 1\)"):
        histogram_information(np.zeros((3, 2)), np.zeros((4, 1)))
    with pytest.raises(ValueError, match="XMIG needs dimensions that belong to no attribute"):
        xmig(Information(np.eye(2), np.eye(2)))
    with pytest.raises(ValueError, match="DLIG compares attributes"):
        dlig(Information(np.ones((2, 1)), np.ones((1, 1))))
    with pytest.raises(ValueError, match="dimensions: expected one for each of 2 attributes, found 1"):
        dmig(PLANTED, [0])


STEPS = np.broadcast_to(np.linspace(-2, 2, 9), (3, 2, 9))


def test_monotonicity():
    rising_and_falling = np.stack([STEPS[:, 0] ** 3, -STEPS[:, 1]], 1)
    np.testing.assert_allclose(monotonicity(STEPS, rising_and_falling), [1, -1])
    np.testing.assert_allclose(monotonicity(STEPS, STEPS**2), 0)
    mostly = np.array([0, 1, 2, 2, 1, 3, 3.0])[None, None]  # up up - down up -
    np.testing.assert_allclose(monotonicity(np.arange(7.0)[None, None], mostly), [2 / 4])
    assert np.isnan(monotonicity(STEPS, np.ones_like(STEPS))).all()


def test_smoothness():
    np.testing.assert_allclose(smoothness(STEPS, 3 * STEPS - 1), 1)  # also where nothing bends
    np.testing.assert_allclose(smoothness(STEPS, STEPS**2), 1 - 1 / 7)  # eight slopes, bent seven times by the same
    jump = np.where(STEPS > 0, 1.0, 0.0)
    np.testing.assert_allclose(smoothness(STEPS, jump), 0)  # all of the range at one step, and back
    changes = np.array([1.0, 0.5, 0.5])
    values = np.array([0, 1, 3, 5.5, 8.5])
    slopes_range = 2.0
    lehmer = (changes**2).sum() / changes.sum()
    np.testing.assert_allclose(smoothness(np.arange(5.0)[None, None], values[None, None]), [1 - lehmer / slopes_range])


def test_steps_that_are_none():
    with pytest.raises(ValueError, match="K at least 3"):
        smoothness(STEPS[..., :2], STEPS[..., :2])
    with pytest.raises(ValueError, match="steps of one width"):
        smoothness(STEPS**3, STEPS)
    with pytest.raises(ValueError, match="expected each step to move"):
        monotonicity(np.zeros_like(STEPS), STEPS)
