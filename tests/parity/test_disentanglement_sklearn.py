"""Disentanglement against plain statements over scikit-learn, as the three published evaluations make them."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from toolkit.metrics import disentanglement_protocols as protocols
from toolkit.metrics.dependence import (
    classifier_accuracy,
    histogram_information,
    neighbour_information,
    rank_correlation,
    squared_correlation,
)
from toolkit.metrics.disentanglement import interpretability

feature_selection = pytest.importorskip("sklearn.feature_selection")
linear_model = pytest.importorskip("sklearn.linear_model")
mutual_info_score = pytest.importorskip("sklearn.metrics").mutual_info_score
LinearSVC = pytest.importorskip("sklearn.svm").LinearSVC

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 3, (200, 3))
NUMBERS = CLASSES + 0.3 * RNG.standard_normal((200, 3))
CODES = np.concatenate([NUMBERS[:, [0]], NUMBERS[:, [1]] + NUMBERS[:, [0]], RNG.standard_normal((200, 3))], 1).astype(
    np.float32
)


def pairs(function, codes, attributes):
    return np.array(
        [[function(codes[:, z], attributes[:, a]) for a in range(attributes.shape[1])] for z in range(codes.shape[1])]
    )


def gap(scores):
    ordered = np.sort(scores, axis=0)
    return ordered[-1] - ordered[-2]


def modularity_of(information):
    scores = []
    for told in information**2:
        scores.append(1 - (told.sum() - told.max()) / (told.max() * (len(told) - 1)) if told.max() else 0)
    return np.array(scores)


def binned(codes, bins=20):
    return np.stack([np.digitize(c, np.histogram(c, bins)[1][:-1]) for c in codes.T], 1)


def test_histograms():
    found = histogram_information(CODES, CLASSES)
    np.testing.assert_allclose(found.codes, pairs(mutual_info_score, binned(CODES), CLASSES), atol=1e-12)
    np.testing.assert_allclose(found.attributes, pairs(mutual_info_score, CLASSES, CLASSES), atol=1e-12)


@pytest.mark.parametrize("discrete", [False, True])
def test_neighbours(discrete):
    attributes = CLASSES if discrete else NUMBERS
    estimate = feature_selection.mutual_info_classif if discrete else feature_selection.mutual_info_regression
    found = neighbour_information(CODES, attributes, discrete, seed=3)
    expected = np.stack([estimate(CODES, column, random_state=3) for column in attributes.T], 1)
    np.testing.assert_array_equal(found.codes, expected)
    entropy = estimate(attributes[:, [1]], attributes[:, 1], random_state=3)[0]
    known = estimate(attributes[:, [1]], attributes[:, 2], random_state=3)[0]
    assert found.entropy(1) == entropy
    assert found.entropy(1, given=2) == entropy - known


def test_lines_and_ranks():
    def line(code, value):
        return linear_model.LinearRegression().fit(code[:, None], value).score(code[:, None], value)

    np.testing.assert_allclose(squared_correlation(CODES, NUMBERS), pairs(line, CODES.astype(float), NUMBERS), atol=1e-7)

    def rank(code, value):
        correlation, p = spearmanr(code, value)
        return abs(correlation) if p <= 0.05 else 0

    np.testing.assert_allclose(rank_correlation(CODES, NUMBERS), pairs(rank, CODES, NUMBERS))
    information = neighbour_information(CODES, NUMBERS).codes
    explained, best = interpretability(CODES, NUMBERS, information)
    expected = [line(CODES[:, z].astype(float), NUMBERS[:, a]) for a, z in enumerate(information.argmax(0))]
    np.testing.assert_allclose(explained, expected, atol=1e-7)
    assert best[0] == 0


def test_classifiers():
    def same(code, classes):
        return np.mean(LinearSVC(C=1.0, random_state=0).fit(code[:, None], classes).predict(code[:, None]) == classes)

    np.testing.assert_array_equal(classifier_accuracy(CODES, CLASSES), pairs(same, CODES, CLASSES))


def test_the_evaluation_of_ar_vae():
    found = protocols.ar_vae(CODES, NUMBERS)
    information = neighbour_information(CODES, NUMBERS)
    np.testing.assert_allclose(found["mig"], gap(information.codes) / np.diag(information.attributes))
    np.testing.assert_allclose(found["modularity"], modularity_of(information.codes))
    np.testing.assert_allclose(found["sap"], gap(squared_correlation(CODES, NUMBERS)))
    np.testing.assert_allclose(found["scc"], rank_correlation(CODES, NUMBERS).max(0))
    assert {name: len(values) for name, values in found.items()} == {
        "interpretability": 3,
        "scc": 3,
        "modularity": 5,
        "mig": 3,
        "sap": 3,
    }


def test_the_evaluation_of_dmelodies():
    found = protocols.dmelodies(CODES, CLASSES)
    told = pairs(mutual_info_score, binned(CODES), CLASSES)
    entropy = [mutual_info_score(column, column) for column in CLASSES.T]
    np.testing.assert_allclose(found["mig"], gap(told) / entropy, atol=1e-12)
    np.testing.assert_allclose(found["modularity"], modularity_of(pairs(mutual_info_score, binned(CODES[:120]), CLASSES[:120])))

    scores = np.zeros((5, 3))
    for z, a in np.ndindex(scores.shape):
        machine = LinearSVC(C=0.01, class_weight="balanced", random_state=0).fit(CODES[:120, [z]], CLASSES[:120, a])
        scores[z, a] = np.mean(machine.predict(CODES[120:, [z]]) == CLASSES[120:, a])
    np.testing.assert_allclose(found["sap"], gap(scores))


@pytest.mark.parametrize(("dimensions", "discrete"), [(None, False), ([1, 0, 4], False), ([0, 1, 3], True)])
def test_the_metrics_of_latte(dimensions, discrete):
    attributes = CLASSES if discrete else NUMBERS
    found = protocols.latte(CODES, attributes, dimensions, discrete)
    estimate = feature_selection.mutual_info_classif if discrete else feature_selection.mutual_info_regression

    def information(one, other):
        return estimate(one[:, None], other, random_state=42)[0]

    own = dimensions or [0, 1, 2]
    for a in range(3):
        told = estimate(CODES, attributes[:, a], random_state=42)
        entropy = information(attributes[:, a], attributes[:, a])
        best = own[a] if dimensions else told.argmax()
        assert found["mig"][a] == pytest.approx((told[best] - np.delete(told, best).max()) / entropy)
        rival = max((z for z in range(5) if z != own[a]), key=lambda z: told[z])
        known = information(attributes[:, a], attributes[:, own.index(rival)]) if rival in own else 0
        assert found["dmig"][a] == pytest.approx((told[own[a]] - told[rival]) / (entropy - known))
        assert found["xmig"][a] == pytest.approx((told[own[a]] - np.delete(told, own).max()) / entropy)
        along = [information(CODES[:, own[a]], column) for column in attributes.T]
        rival = max((b for b in range(3) if b != a), key=lambda b: along[b])
        expected = (along[a] - along[rival]) / (entropy - information(attributes[:, a], attributes[:, rival]))
        assert found["dlig"][a] == pytest.approx(expected, abs=0.02)  # noise is drawn for one dimension or for all
