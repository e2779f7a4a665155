"""Metrics of tags against scikit-learn, on random probabilities with ties and missing labels."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.metrics import tagging

sklearn = pytest.importorskip("sklearn.metrics")
NAMES = ["average_precision", "roc_auc", "precision@0.4", "recall@0.4", "f1@0.4"]


def expected(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Of one tag; what scikit-learn leaves undefined, or calls 0 with a warning, is NaN."""
    values = {}
    if len(labels):
        decided = (probabilities >= 0.4).astype(int)
        both = sklearn.precision_recall_fscore_support(labels, decided, labels=[0, 1], average="macro", zero_division=0)
        values = dict(zip(NAMES[2:], both[:3], strict=True))
    if labels.any():
        values["average_precision"] = sklearn.average_precision_score(labels, probabilities)
    if 0 < labels.sum() < len(labels):
        values["roc_auc"] = sklearn.roc_auc_score(labels, probabilities)
    return {name: values.get(name, np.nan) for name in NAMES}


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    clips=st.integers(1, 60),
    steps=st.sampled_from([1, 3, 10, 10**6]),
    share=st.floats(0, 1),
    labelled=st.floats(0, 1),
)
def test_equal_to_scikit_learn(seed: int, clips: int, steps: int, share: float, labelled: float) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.integers(0, steps + 1, (clips, 4)) / steps
    labels = (random.random((clips, 4)) < share).astype(int)
    mask = random.random((clips, 4)) < labelled
    found = tagging.evaluate(probabilities, labels, mask, NAMES)
    for tag in range(4):
        known = mask[:, tag]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reference = expected(probabilities[known, tag], labels[known, tag])
        for name in NAMES:
            assert found[name][tag].item() == pytest.approx(reference[name], abs=1e-12, nan_ok=True)


def test_equal_on_many_clips_in_single_precision() -> None:
    probabilities, labels = torch.rand(5000, 3), (torch.rand(5000, 3) < 0.1).int()
    found = tagging.evaluate(probabilities, labels, torch.ones(5000, 3), NAMES)
    for tag in range(3):
        reference = expected(probabilities[:, tag].numpy(), labels[:, tag].numpy())
        assert {name: found[name][tag].item() for name in NAMES} == pytest.approx(reference, abs=1e-12)
