"""Disentanglement as three published evaluations measure it; figures of one cannot be compared with those of another.

    ar_vae       information by nearest neighbours, everything on all items (Pati & Lerch 2020, code ashispati/ar-vae)
    dmelodies    information by histograms of 20 bins; modularity on the first 60 % of the items; SAP by classifiers that are
                 fitted to those and tested on the others (Pati, Gururani & Lerch 2020, code ashispati/dmelodies_benchmarking)
    latte        Latte's, with dimensions that belong to attributes (Watcharasupat et al. 2022)

The first two drew codes from the posteriors rather than taking their means, and saw the first 201 batches of the test split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from toolkit.metrics import disentanglement as metrics
from toolkit.metrics.dependence import (
    Floats,
    Information,
    classifier_accuracy,
    histogram_information,
    neighbour_information,
    squared_correlation,
)

FITTED = 0.6  # share of the items
BINS = 20
C = 0.01


def ar_vae(codes: ArrayLike, attributes: ArrayLike, seed: int = 0, information: Information | None = None) -> dict[str, Floats]:
    """The metrics of AR-VAE: `modularity` (Z), the others (A); the paper's figures are their means.

    Args:
        codes: (N, Z).
        attributes: (N, A), numbers.
        seed: of the noise that tells neighbours apart; the code draws it anew each time.
        information: of codes and attributes, where it has been found already.
    """
    information = information or neighbour_information(codes, attributes, seed=seed)
    return {
        "interpretability": metrics.interpretability(codes, attributes, information.codes)[0],
        "scc": metrics.scc(codes, attributes),
        "modularity": metrics.modularity(information.codes),
        "mig": metrics.mig(information),
        "sap": metrics.sap(squared_correlation(codes, attributes)),
    }


def dmelodies(
    codes: ArrayLike, attributes: ArrayLike, seed: int = 0, information: Information | None = None
) -> dict[str, Floats]:
    """The metrics of the dMelodies benchmark: `modularity` (Z), the others (A); the paper's figures are their means.

    Args:
        codes: (N, Z).
        attributes: (N, A), classes.
        seed: of the classifiers.
        information: of all codes and attributes, where it has been found already.
    """
    codes_, values = np.asarray(codes), np.asarray(attributes)
    fitted = int(FITTED * len(codes_))
    tested = codes_[fitted:], values[fitted:]
    accuracy = classifier_accuracy(codes_[:fitted], values[:fitted], tested, c=C, balanced=True, seed=seed)
    return {
        "mig": metrics.mig(information or histogram_information(codes_, values, BINS)),
        "modularity": metrics.modularity(histogram_information(codes_[:fitted], values[:fitted], BINS).codes),
        "sap": metrics.sap(accuracy),
    }


def latte(
    codes: ArrayLike,
    attributes: ArrayLike,
    dimensions: Sequence[int] | None = None,
    discrete: bool = False,
    seed: int = 42,
    information: Information | None = None,
) -> dict[str, Floats]:
    """Latte's metrics of codes: `modularity` (Z), the others (A).

    Args:
        codes: (N, Z), Z greater than A.
        attributes: (N, A), A at least 2.
        dimensions: which dimension belongs to each attribute; if null, MIG and SAP take the best ones and the others the first.
        discrete: attributes are classes.
        seed: of the noise and the classifiers.
        information: of codes and attributes, where it has been found already.
    """
    information = information or neighbour_information(codes, attributes, discrete, seed)
    scores = classifier_accuracy(codes, attributes, seed=seed) if discrete else squared_correlation(codes, attributes)
    return {
        "mig": metrics.mig(information, dimensions),
        "dmig": metrics.dmig(information, dimensions),
        "xmig": metrics.xmig(information, dimensions),
        "dlig": metrics.dlig(information, dimensions),
        "sap": metrics.sap(scores, dimensions),
        "modularity": metrics.modularity(information.codes),
    }


class Protocol(NamedTuple):
    """An evaluation.

    Attributes:
        information: what codes (N, Z) tell of attributes (N, A), as its MIG sees it.
        metrics: all that it measures, given codes, attributes and that `information`.
    """

    information: Callable[[ArrayLike, ArrayLike], Information]
    metrics: Callable[..., dict[str, Floats]]


PROTOCOLS = {
    "ar_vae": Protocol(neighbour_information, ar_vae),
    "dmelodies": Protocol(partial(histogram_information, bins=BINS), dmelodies),
    "latte": Protocol(partial(neighbour_information, seed=42), latte),
}
