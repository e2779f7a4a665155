"""Permutation-invariant training: the cheapest one-to-one order, for two speakers as for twenty."""

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.losses import MeanSquaredError, PermutationInvariant
from toolkit.metrics import assign


def test_it_finds_the_order_of_the_speakers() -> None:
    reference = torch.randn(4, 3, 1, 100)
    order = torch.tensor([2, 0, 1])
    estimate = 0.5 * reference[:, order] + 0.01 * torch.randn(4, 3, 1, 100)
    loss = PermutationInvariant()
    assignment = loss.assign(estimate, reference)
    assert assignment.tolist() == [order.argsort().tolist()] * 4
    assert (loss(estimate, reference) < -25).all()


@given(st.integers(1, 6), st.integers(0, 1000))
def test_it_equals_brute_force_and_knows_no_order(sources: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    estimate = torch.randn(2, sources, 1, 40, generator=generator)
    reference = torch.randn(2, sources, 1, 40, generator=generator)
    loss = PermutationInvariant()
    distance = loss.pairwise(estimate, reference)
    columns = range(sources)
    brute = torch.stack([distance[:, list(order), columns].mean(1) for order in permutations(columns)]).amin(0)
    torch.testing.assert_close(loss(estimate, reference), brute)
    shuffled = torch.randperm(sources, generator=generator)
    torch.testing.assert_close(loss(estimate[:, shuffled], reference), brute)
    torch.testing.assert_close(loss(estimate, reference[:, shuffled]), brute)


def test_twenty_speakers() -> None:
    reference = torch.randn(2, 20, 1, 400)
    order = torch.randperm(20)
    estimate = (reference[:, order] + 0.1 * torch.randn(2, 20, 1, 400)).requires_grad_()
    loss = PermutationInvariant()
    loss(estimate, reference).mean().backward()
    assert loss.assign(estimate, reference).tolist() == [order.argsort().tolist()] * 2
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()


def test_numbers_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"as many estimates as references, found 3 and 2; MultipleChoice"):
        PermutationInvariant()(torch.randn(1, 3, 1, 50), torch.randn(1, 2, 1, 50))
    with pytest.raises(ValueError, match="only in their second dimension"):
        PermutationInvariant()(torch.randn(1, 2, 1, 50), torch.randn(1, 2, 1, 49))


def test_any_distance_will_do() -> None:
    points = torch.tensor([[[0.0], [1.0]]])
    loss = PermutationInvariant(MeanSquaredError())
    assert loss(points.flip(1), points).item() == 0


def test_more_hypotheses_than_references_can_be_assigned_but_not_fewer() -> None:
    cost = torch.tensor([[[5.0, 1.0], [2.0, 9.0], [3.0, 0.0]]])
    assert assign(cost).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match="at least 3 hypotheses"):
        assign(cost.mT)


@pytest.mark.parametrize("sources", [2, 5])
def test_a_broken_estimate_is_assigned_last(sources: int) -> None:
    cost = torch.rand(1, sources, sources)
    cost[0, 1] = torch.nan
    assert assign(cost).sort().values.tolist() == [list(range(sources))]
