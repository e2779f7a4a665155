"""Forests fitted and asked by the toolkit against scikit-learn's own, as OpenMIC-2018's notebook uses it."""

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from toolkit.models import RandomForest

ensemble = pytest.importorskip("sklearn.ensemble")


def corpus(clips: int, tags: int = 4, features: int = 16) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bytes as VGGish gives them, probabilities of labels that follow some of the features, and which are rated."""
    inputs = torch.randint(256, (clips, 10, features)).float() + 40 * torch.randn(clips, 1, features)
    inputs = inputs.round().clamp(0, 255)
    heard = inputs.mean(1)[:, :tags] - 127
    return inputs, (heard + 20 * torch.randn(clips, tags)).mul(0.1).sigmoid(), (torch.rand(clips, tags) < 0.7).float()


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_probabilities_are_scikit_learns(depth: int) -> None:
    inputs, labels, mask = corpus(300)
    unseen = corpus(200)[0]
    forest = RandomForest(tags=4, trees=20, depth=depth)
    forest.fit(inputs, labels, mask)
    fresh = RandomForest(tags=4, trees=20, depth=depth)
    fresh.load_state_dict(load(save(forest.state_dict())))

    for tag in range(4):
        rows = mask[:, tag].numpy() > 0
        theirs = ensemble.RandomForestClassifier(n_estimators=20, max_depth=depth, random_state=0)
        theirs.fit(np.mean(inputs.numpy().astype(np.uint8), axis=1)[rows], labels[:, tag].numpy()[rows] >= 0.5)
        for clips in (inputs, unseen):
            expected = theirs.predict_proba(np.mean(clips.numpy().astype(np.uint8), axis=1))[:, 1]
            ours = fresh(clips)[:, tag].sigmoid().numpy()
            np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_features_that_are_no_bytes() -> None:
    inputs = torch.randn(200, 1, 8)
    labels = (inputs[:, 0, :2] + 0.5 * torch.randn(200, 2) > 0).float()
    forest = RandomForest(tags=2, trees=30, depth=6, seed=3)
    forest.fit(inputs, labels, torch.ones(200, 2))
    for tag in range(2):
        theirs = ensemble.RandomForestClassifier(30, max_depth=6, random_state=3).fit(inputs[:, 0].numpy(), labels[:, tag] > 0)
        expected = theirs.predict_proba(inputs[:, 0].numpy())[:, 1]
        np.testing.assert_allclose(forest(inputs)[:, tag].sigmoid().numpy(), expected, atol=1e-6)


def test_tags_that_are_always_never_or_nowhere_labelled() -> None:
    inputs = torch.randint(256, (20, 10, 5)).float()
    labels = torch.tensor([1.0, 0.0, 1.0]).expand(20, 3)
    mask = torch.tensor([1.0, 1.0, 0.0]).expand(20, 3)
    forest = RandomForest(tags=3, trees=5)
    forest.fit(inputs, labels, mask)
    torch.testing.assert_close(forest(inputs).sigmoid(), torch.tensor([1.0, 0.0, 0.5]).expand(20, 3), atol=1e-6, rtol=0)
