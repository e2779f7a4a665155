"""How much the dimensions of codes tell of attributes, pair by pair: what metrics of disentanglement are made of.

Codes are (N, Z), attributes (N, A), and each function gives a matrix (Z, A):

    neighbour_information   mutual information in nats, from the distances to the nearest neighbours (Kraskov et al. 2004 and
                            Ross 2014, as scikit-learn has them)
    histogram_information   mutual information in nats, of codes in bins and attributes of few values
    squared_correlation     share of an attribute's variance that a straight line over the dimension explains
    rank_correlation        Spearman's, without its sign, 0 where it is not significant
    classifier_accuracy     share of an attribute's values that a linear classifier guesses from the dimension
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FLAT = 1e-12  # variance of a dimension that says nothing
SIGNIFICANT = 0.05


class Information(NamedTuple):
    """Mutual information in nats.

    Attributes:
        codes: (Z, A), of dimensions and attributes.
        attributes: (A, A), of attributes with each other; with itself, an attribute's entropy.
    """

    codes: Floats
    attributes: Floats

    def entropy(self, attribute: int, given: int | None = None) -> float:
        """The entropy of an attribute, or what is left of it when another one is known."""
        known = 0.0 if given is None else self.attributes[attribute, given]
        return float(self.attributes[attribute, attribute] - known)


def neighbour_information(codes: ArrayLike, attributes: ArrayLike, discrete: bool = False, seed: int = 0) -> Information:
    """Mutual information by the three nearest neighbours, as Latte and AR-VAE's evaluation have it.

    A little noise tells equal values apart, so that the "entropy" of an attribute in continuous values is that of the noise and
    grows with N; only figures of equally many items can be compared.

    Args:
        codes: (N, Z).
        attributes: (N, A).
        discrete: attributes are classes.
        seed: of the noise.

    Raises:
        ValueError: sizes differ.
    """
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    codes_, values = _columns(codes, attributes)
    estimate = mutual_info_classif if discrete else mutual_info_regression
    between = np.stack([estimate(codes_, value, random_state=seed) for value in values.T], 1)
    among = [[estimate(one[:, None], other, random_state=seed)[0] for other in values.T] for one in values.T]
    return Information(between, np.array(among))


def histogram_information(codes: ArrayLike, attributes: ArrayLike, bins: int = 20) -> Information:
    """Mutual information by counting, each dimension in bins of one width from its least to its greatest value.

    As the dMelodies benchmark and disentanglement_lib have it.

    Args:
        codes: (N, Z).
        attributes: (N, A), of few different values.
        bins: of each dimension.

    Raises:
        ValueError: sizes differ.
    """
    codes_, values = _columns(codes, attributes)
    binned = [np.digitize(column, np.histogram(column, bins)[1][:-1]) for column in codes_.T]
    classes = [np.unique(column, return_inverse=True)[1] for column in values.T]
    between = [[_counted(one, other) for other in classes] for one in binned]
    return Information(np.array(between), np.array([[_counted(one, other) for other in classes] for one in classes]))


def squared_correlation(codes: ArrayLike, attributes: ArrayLike) -> Floats:
    """(Z, A), 0 to 1; 0 where a dimension or an attribute does not vary."""
    codes_, values = (columns.astype(np.float64) for columns in _columns(codes, attributes))
    codes_, values = codes_ - codes_.mean(0), values - values.mean(0)
    covariance, degrees = codes_.T @ values, max(len(codes_) - 1, 1)
    energies, others = (codes_**2).sum(0)[:, None], (values**2).sum(0)
    varies = (energies / degrees > FLAT) & (others > 0)
    return np.divide(covariance**2, energies * others, out=np.zeros_like(covariance), where=varies)


def rank_correlation(codes: ArrayLike, attributes: ArrayLike) -> Floats:
    """(Z, A), 0 to 1; 0 where its p-value is above 0.05."""
    codes_, values = _columns(codes, attributes)
    result = np.zeros((codes_.shape[1], values.shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.stats.ConstantInputWarning)
        for dimension, attribute in np.ndindex(result.shape):
            correlation, p = scipy.stats.spearmanr(codes_[:, dimension], values[:, attribute])
            result[dimension, attribute] = abs(correlation) if p <= SIGNIFICANT else 0.0
    return result


def classifier_accuracy(
    codes: ArrayLike,
    attributes: ArrayLike,
    tested: tuple[ArrayLike, ArrayLike] | None = None,
    c: float = 1.0,
    balanced: bool = False,
    seed: int = 0,
) -> Floats:
    """(Z, A), 0 to 1, of linear support vector machines, one for each dimension and attribute.

    Args:
        codes: (N, Z).
        attributes: (N, A), classes.
        tested: codes and attributes of other items, to be guessed; the same ones if not given.
        c: how much errors weigh against the margin.
        balanced: rare classes weigh more.
        seed: of the order in which the solver visits items.

    Raises:
        ValueError: sizes differ.
    """
    from sklearn import svm

    codes_, values = _columns(codes, attributes)
    others, expected = _columns(*(tested if tested is not None else (codes_, values)))
    result = np.zeros((codes_.shape[1], values.shape[1]))
    for dimension, attribute in np.ndindex(result.shape):
        machine = svm.LinearSVC(C=c, class_weight="balanced" if balanced else None, random_state=seed)
        machine.fit(codes_[:, [dimension]], values[:, attribute])
        result[dimension, attribute] = np.mean(machine.predict(others[:, [dimension]]) == expected[:, attribute])
    return result


def _columns(codes: ArrayLike, attributes: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    codes_, values = np.asarray(codes), np.asarray(attributes)
    if codes_.ndim != 2 or values.ndim != 2 or len(codes_) != len(values):
        raise ValueError(f"expected codes (N, Z) and attributes (N, A), found {codes_.shape} and {values.shape}")
    return codes_, values


def _counted(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """Mutual information of two columns of small numbers."""
    sizes = int(one.max()) + 1, int(other.max()) + 1
    joint = np.bincount(one * sizes[1] + other, minlength=sizes[0] * sizes[1]).reshape(sizes) / len(one)
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    there = joint > 0
    return max(0.0, float((joint[there] * np.log(joint[there] / independent[there])).sum()))
