"""Metrics of disentanglement: whether each attribute lies in a dimension of its own.

They are pure functions of what `dependence` finds between codes and attributes.

    for each attribute    mig    how much more the best dimension tells of it than the second best (Chen et al. 2018)
                          dmig   the same, as a share of what can be told where attributes depend on each other
                          xmig   the same, the second best being sought among the dimensions of no attribute
                          sap    the same of explained variance or classification (Kumar et al. 2018)
                          interpretability, scc    how well the best dimension follows it (Pati & Lerch 2020)
    for each dimension    modularity    whether it tells of one attribute only (Ridgeway & Mozer 2018)
                          dlig   how much more the dimension of an attribute tells of it than of the next one

DMIG, XMIG and DLIG are Watcharasupat & Lerch's (2021), the names and definitions Latte's (Watcharasupat et al. 2022, arXiv
2112.10638).  Where `dimensions` says which dimension belongs to each attribute, that one is taken for the best, and figures may
be negative.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.metrics.dependence import Floats, Information, rank_correlation, squared_correlation


def mig(information: Information, dimensions: Sequence[int] | None = None) -> Floats:
    """Mutual information gap (A): of the best and the second best dimension, over the attribute's entropy."""
    return sap(information.codes, dimensions) / np.diag(information.attributes)


def dmig(information: Information, dimensions: Sequence[int] | None = None) -> Floats:
    """Dependency-aware mutual information gap (A).

    Where the second best dimension belongs to another attribute, the gap is over the entropy that is left when that one is
    known.

    Args:
        information: of codes and attributes.
        dimensions: which dimension belongs to each attribute; the first ones if null.
    """
    own = _dimensions(information, dimensions)
    result = np.zeros(len(own))
    for attribute, dimension in enumerate(own):
        told = information.codes[:, attribute]
        rival = _best_but(told, [dimension])
        other = own.index(rival) if rival in own else None
        result[attribute] = (told[dimension] - told[rival]) / information.entropy(attribute, other)
    return result


def xmig(information: Information, dimensions: Sequence[int] | None = None) -> Floats:
    """Dependency-blind mutual information gap (A).

    Args:
        information: of codes and attributes.
        dimensions: which dimension belongs to each attribute; the first ones if null.

    Raises:
        ValueError: every dimension belongs to an attribute.
    """
    own = _dimensions(information, dimensions)
    if len(set(own)) == len(information.codes):
        raise ValueError(f"XMIG needs dimensions that belong to no attribute, found {len(own)} attributes for all of them")
    told = information.codes
    gaps = [told[dimension, a] - told[_best_but(told[:, a], own), a] for a, dimension in enumerate(own)]
    return np.array(gaps) / np.diag(information.attributes)


def dlig(information: Information, dimensions: Sequence[int] | None = None) -> Floats:
    """Dependency-aware latent information gap (A), one figure for the dimension of each attribute.

    Args:
        information: of codes and attributes.
        dimensions: which dimension belongs to each attribute; the first ones if null.

    Raises:
        ValueError: there is but one attribute.
    """
    own = _dimensions(information, dimensions)
    if len(own) < 2:
        raise ValueError("DLIG compares attributes: expected at least two, found one")
    result = np.zeros(len(own))
    for attribute, dimension in enumerate(own):
        told = information.codes[dimension]
        rival = _best_but(told, [attribute])
        result[attribute] = (told[attribute] - told[rival]) / information.entropy(attribute, rival)
    return result


def modularity(information: Floats) -> Floats:
    """(Z), 0 to 1: one minus the squared information on other attributes in relation to the most; 0 where there is none at all.

    Args:
        information: of codes and attributes, (Z, A), A at least 2.
    """
    squared = information**2
    most = squared.max(1)
    others = np.divide(squared.sum(1) - most, most, out=np.ones_like(most), where=most > 0)
    return np.where(most > 0, 1 - others / (information.shape[1] - 1), 0.0)


def sap(scores: Floats, dimensions: Sequence[int] | None = None) -> Floats:
    """Separated attribute predictability (A): gap of the best and the second best dimension in scores (Z, A)."""
    own = list(scores.argmax(0)) if dimensions is None else list(dimensions)
    return np.array([column[d] - column[_best_but(column, [d])] for column, d in zip(scores.T, own, strict=True)])


def interpretability(codes: ArrayLike, attributes: ArrayLike, information: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """How well a straight line over the most informative dimension gives each attribute, R² (A), and that dimension (A).

    Args:
        codes: (N, Z).
        attributes: (N, A).
        information: of codes and attributes, (Z, A).
    """
    best = information.argmax(0)
    return np.take_along_axis(squared_correlation(codes, attributes), best[None], 0)[0], best


def scc(codes: ArrayLike, attributes: ArrayLike) -> Floats:
    """Spearman correlation coefficient score (A): the highest of all dimensions without its sign, 0 if none is significant."""
    return rank_correlation(codes, attributes).max(0)


def _dimensions(information: Information, dimensions: Sequence[int] | None) -> list[int]:
    own = list(range(information.codes.shape[1])) if dimensions is None else list(dimensions)
    if len(own) != information.codes.shape[1]:
        raise ValueError(f"dimensions: expected one for each of {information.codes.shape[1]} attributes, found {len(own)}")
    return own


def _best_but(scores: Floats, without: Sequence[int]) -> int:
    """Where the highest score is, some places left out."""
    left = scores.astype(np.float64)
    left[list(without)] = -np.inf
    return int(left.argmax())
