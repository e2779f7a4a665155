"""A random forest's trees as tensors, asked without scikit-learn; fitting is compared in tests/parity."""

import pytest
import torch

from toolkit.models import RandomForest


def planted(**buffers):
    """A forest of two tags, one tree each, two questions deep."""
    forest = RandomForest(tags=2, trees=1, depth=2)
    for name, values in buffers.items():
        getattr(forest, name).copy_(torch.tensor(values))
    return forest


def test_a_tree_is_walked_by_its_questions():
    forest = planted(
        feature=[[0, 1, 1], [2, 0, 0]],
        threshold=[[0.5, 0.0, 10.0], [1.0, -1.0, -1.0]],
        leaf=[[0.1, 0.2, 0.3, 0.4], [0.0, 0.25, 0.5, 1.0]],
    )
    means = torch.tensor([[0.0, 0.0, 0.0], [0.5, 1.0, 2.0], [0.6, 10.0, 0.0], [0.6, 11.0, 2.0]])
    expected = torch.tensor([[0.1, 0.25], [0.2, 1.0], [0.3, 0.25], [0.4, 1.0]])  # what equals a threshold goes to the left
    torch.testing.assert_close(forest.probabilities(means), expected)
    logits = forest(means[:, None].expand(-1, 3, -1))
    torch.testing.assert_close(logits.sigmoid(), expected)


def test_a_tag_is_the_mean_of_its_trees_and_certainty_stays_finite():
    forest = RandomForest(tags=2, trees=4, depth=1)
    forest.leaf.copy_(torch.tensor([0, 0, 1, 1, 1, 1, 1, 1])[:, None].expand(-1, 2))
    logits = forest(torch.randn(3, 10, 5))
    torch.testing.assert_close(logits.sigmoid(), torch.tensor([[0.5, 1.0]]).expand(3, -1))
    assert logits.isfinite().all()


def test_an_unfitted_forest_is_undecided_and_has_nothing_to_learn():
    forest = RandomForest(tags=3)
    torch.testing.assert_close(forest(torch.randn(2, 10, 128)), torch.zeros(2, 3))
    assert not list(forest.parameters())
    assert forest.needs_statistics
    assert forest.attention(torch.randn(2, 10, 128)) is None


def test_what_is_told_from_is_the_mean_over_time():
    clips = torch.randint(256, (4, 10, 7)).float()
    torch.testing.assert_close(RandomForest(tags=1).embed(clips), clips.mean(1))


def test_shapes_are_known_without_computing():
    with torch.device("meta"):
        forest = RandomForest(tags=20)
        assert forest(torch.empty(2, 10, 128)).shape == (2, 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth: expected 1 to 12, found 0"),
        ({"depth": 13}, "depth: expected 1 to 12, found 13"),
        ({"trees": 0}, "trees: expected at least 1, found 0"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        RandomForest(tags=2, **options)


def test_inputs_that_do_not_fit():
    with pytest.raises(ValueError, match=r"stored features: expected shape \(batch, frames, features\), found \(2, 128\)"):
        RandomForest(tags=2)(torch.randn(2, 128))
