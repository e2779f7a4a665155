"""Multiple-choice losses over points: numbers of references that differ, drawn negatives, hypotheses that do not compete."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from toolkit.losses import (
    AnnealedMultipleChoice,
    EuclideanDistance,
    ExponentialTemperature,
    MultipleChoice,
    NearestReference,
    RelaxedMultipleChoice,
    SquaredDistance,
)
from toolkit.metrics.hypotheses import dead_share, wins

COMPETING = [
    MultipleChoice(SquaredDistance(), scoring=1.0),
    RelaxedMultipleChoice(SquaredDistance(), scoring=1.0),
    AnnealedMultipleChoice(SquaredDistance(), ExponentialTemperature(0.6, 0.99), scoring=1.0),
]
TWO = torch.tensor([[[0.0, 0.0], [3.0, 4.0]]])  # (B, n, 2)


def draw(seed: int, batch: int = 4, hypotheses: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hypotheses and scores, references and which of them there are: one or two of two."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(batch, hypotheses, 2, generator=generator, requires_grad=True)
    scores = torch.randn(batch, hypotheses, generator=generator)
    reference = torch.randn(batch, 2, 2, generator=generator)
    mask = torch.stack([torch.ones(batch), torch.rand(batch, generator=generator) < 0.5], dim=1).bool()
    return points, scores, reference, mask


def test_distances_of_points() -> None:
    origin = torch.zeros(1, 1, 2, requires_grad=True)
    assert SquaredDistance()(origin, TWO).tolist() == [[[0, 25]]]
    near, far = EuclideanDistance()(origin, TWO).flatten()
    assert near.item() == pytest.approx(0.001**0.5)
    assert far.item() == pytest.approx(5, abs=1e-3)
    near.backward()
    assert origin.grad is not None
    assert not origin.grad.any()  # and not nan
    with pytest.raises(ValueError, match="eps above 0, found 0"):
        EuclideanDistance(eps=0.0)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_an_absent_reference_is_as_if_it_were_not_there(seed: int) -> None:
    points, scores, reference, mask = draw(seed)
    reference[~mask] = torch.nan  # whatever stands there
    for loss in (*COMPETING, NearestReference(SquaredDistance())):
        together = loss(points, reference, scores, mask=mask)
        alone = [loss(points[i : i + 1], reference[i : i + 1, mask[i]], scores[i : i + 1]) for i in range(len(points))]
        torch.testing.assert_close(together, torch.cat(alone))
        (gradient,) = torch.autograd.grad(together.sum(), points)
        assert gradient.isfinite().all()


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_gradients_reach_the_winners_alone(seed: int) -> None:
    points, _, reference, mask = draw(seed)
    loss = MultipleChoice(EuclideanDistance())
    (gradient,) = torch.autograd.grad(loss(points, reference, mask=mask).sum(), points)
    winners = loss.assign(points, reference)
    for learns, won, there in zip(gradient.any(-1), winners, mask, strict=True):
        assert set(learns.nonzero().flatten().tolist()) == set(won[there].tolist())


def test_without_any_reference_nothing_is_learnt() -> None:
    points, _, reference, _ = draw(0)
    nobody = torch.zeros(len(points), 2, dtype=torch.bool)
    for loss in (MultipleChoice(SquaredDistance(), average="reference"), NearestReference(SquaredDistance())):
        value = loss(points, reference, mask=nobody)
        (gradient,) = torch.autograd.grad(value.sum(), points)
        assert not value.any()
        assert not gradient.any()


def test_each_sample_or_each_reference_counts_the_same() -> None:
    points = torch.zeros(2, 1, 2)
    reference = torch.tensor([[[1.0, 0.0], [2.0, 0.0]], [[3.0, 0.0], [0.0, 0.0]]])
    mask = torch.tensor([[True, True], [True, False]])
    by_sample = MultipleChoice(SquaredDistance())(points, reference, mask=mask)
    assert by_sample.tolist() == [2.5, 9]
    by_reference = MultipleChoice(SquaredDistance(), average="reference")(points, reference, mask=mask)
    assert by_reference.mean().item() == pytest.approx((1 + 4 + 9) / 3)


def test_all_losers_are_taught_that_they_lost() -> None:
    points, scores, reference, mask = draw(1)
    loss = MultipleChoice(SquaredDistance(), scoring=1.0)
    chosen = torch.zeros_like(scores)
    for row, won, there in zip(chosen, loss.assign(points, reference), mask, strict=True):
        row[won[there]] = 1
    expected = F.binary_cross_entropy_with_logits(scores, chosen, reduction="none").mean(1)
    torch.testing.assert_close(loss.score_loss(SquaredDistance()(points, reference), scores, mask), expected)


@pytest.mark.parametrize("negatives", [1, 3, 100])
def test_or_some_drawn_at_random(negatives: int) -> None:
    torch.manual_seed(0)
    points, scores, reference, mask = draw(2, batch=400)
    scores.requires_grad_()
    loss = MultipleChoice(SquaredDistance(), scoring=1.0, negatives=negatives, average="reference")
    (gradient,) = torch.autograd.grad(loss(points, reference, scores, mask).mean(), scores)
    winners = (gradient < 0).sum(1)
    assert winners.unique().tolist() == [1, 2]
    assert ((gradient > 0).sum(1) == (6 - winners).clamp(max=negatives)).all()
    assert (gradient > 0).any(0).all()  # each hypothesis is drawn some time
    taught = gradient != 0  # and each of these scores counts the same
    expected = (scores.sigmoid() - (gradient < 0).float()) * taught / taught.sum()
    torch.testing.assert_close(gradient, expected)


def test_how_many_negatives_there_may_be() -> None:
    with pytest.raises(ValueError, match="AnnealedMultipleChoice: expected at least 1 negative, or null for all, found 0"):
        AnnealedMultipleChoice(negatives=0)


def test_hypotheses_that_do_not_compete() -> None:
    points = torch.tensor([[[0.5, 0.0], [0.0, 1.0], [3.0, 3.0]]], requires_grad=True)
    value = NearestReference(SquaredDistance())(points, TWO)
    assert value.item() == pytest.approx((0.25 + 1 + 1) / 3)
    (gradient,) = torch.autograd.grad(value.sum(), points)
    assert gradient.any(-1).all()
    only_far = NearestReference(SquaredDistance())(points, TWO, mask=torch.tensor([[False, True]]))
    assert only_far.item() == pytest.approx((22.25 + 18 + 1) / 3)
    assert NearestReference(SquaredDistance()).assign(points, TWO).tolist() == [[0, 2]]


def test_a_mask_of_another_shape_is_refused() -> None:
    points, _, reference, mask = draw(0)
    with pytest.raises(ValueError, match=r"mask: expected one value a reference, \(4, 2\), found \(4, 1\)"):
        MultipleChoice(SquaredDistance())(points, reference, mask=mask[:, :1])


@pytest.mark.parametrize(("start", "alive"), [(1e-9, 0.2), (2.0, 1.0)])
def test_annealing_leaves_nobody_behind(start: float, alive: float) -> None:
    """Ten hypotheses, nine of them in a corner far from the three places where the samples are."""
    torch.manual_seed(0)
    samples = (torch.tensor([[-0.5, -0.5], [0.0, 0.5], [0.5, -0.5]]).repeat(50, 1) + 0.1 * torch.randn(150, 2))[:, None]
    points = (0.95 + 0.01 * torch.randn(10, 2)).requires_grad_()
    points.data[0] = 0
    loss = AnnealedMultipleChoice(SquaredDistance(), ExponentialTemperature(start, 0.9))
    for epoch in range(60):
        loss.start_epoch(epoch)
        for _ in range(3):
            (gradient,) = torch.autograd.grad(loss(points.expand(150, -1, -1), samples).mean(), points)
            points.data -= gradient
    assert dead_share(wins(points.detach()[None], samples[None, :, 0])) == pytest.approx(1 - alive)
