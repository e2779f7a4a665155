"""Multiple-choice learning: who wins, what the losers get, and how the temperature decides."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.losses import (
    AnnealedMultipleChoice,
    ExponentialTemperature,
    LinearTemperature,
    MeanSquaredError,
    MultipleChoice,
    PermutationInvariant,
    RelaxedMultipleChoice,
    TemperatureSchedule,
    WeightedPairs,
)

shapes = st.tuples(st.integers(2, 6), st.integers(1, 4), st.integers(0, 1000))


class Constant(TemperatureSchedule):
    """The same temperature all along."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, epoch: int) -> float:
        """The temperature."""
        return self.temperature


def signals(shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    hypotheses, references, seed = shape
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, hypotheses, 1, 30, generator=generator), torch.randn(2, references, 1, 30, generator=generator)


def test_each_reference_trains_the_nearest_hypothesis_alone() -> None:
    reference = torch.tensor([[[0.0], [0.2], [10.0]]])
    estimate = torch.tensor([[[0.1], [9.0], [50.0], [-50.0]]], requires_grad=True)
    loss = MultipleChoice(MeanSquaredError())
    assert loss.assign(estimate, reference).tolist() == [[0, 0, 1]]  # one serves two references, two serve none
    value = loss(estimate, reference)
    assert value.item() == pytest.approx((0.01 + 0.01 + 1) / 3)
    value.sum().backward()
    assert estimate.grad is not None
    assert estimate.grad.flatten().ne(0).tolist() == [False, True, False, False]  # 0.1 already lies midway


@given(shapes)
def test_winner_takes_all_is_never_above_the_best_permutation(shape: tuple[int, int, int]) -> None:
    estimate, reference = signals((shape[0], shape[0], shape[2]))
    assert (MultipleChoice()(estimate, reference) <= PermutationInvariant()(estimate, reference) + 1e-5).all()


@given(shapes)
def test_relaxing_by_nothing_is_winner_takes_all(shape: tuple[int, int, int]) -> None:
    estimate, reference = signals(shape)
    torch.testing.assert_close(RelaxedMultipleChoice(eps=0)(estimate, reference), MultipleChoice()(estimate, reference))


@given(shapes)
def test_annealing_goes_from_the_mean_to_winner_takes_all(shape: tuple[int, int, int]) -> None:
    estimate, reference = signals(shape)
    hot = AnnealedMultipleChoice(temperature=Constant(1e6))
    cold = AnnealedMultipleChoice(temperature=Constant(1.1e-4))
    frozen = AnnealedMultipleChoice(temperature=Constant(0.0))
    torch.testing.assert_close(hot(estimate, reference), hot.pairwise(estimate, reference).mean((1, 2)), rtol=1e-3, atol=1e-3)
    for loss in (cold, frozen):
        torch.testing.assert_close(loss(estimate, reference), MultipleChoice()(estimate, reference), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "loss",
    [PermutationInvariant(), MultipleChoice(), RelaxedMultipleChoice(), AnnealedMultipleChoice(temperature=Constant(1.0))],
)
def test_weights_of_a_reference_sum_to_one(loss: WeightedPairs) -> None:
    weights = loss.weights(torch.randn(2, 4, 4))
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 4))


def test_relaxed_weights() -> None:
    distance = torch.tensor([[[3.0], [1.0], [2.0]]])
    assert RelaxedMultipleChoice(eps=0.2).weights(distance).flatten().tolist() == pytest.approx([0.1, 0.8, 0.1])
    assert RelaxedMultipleChoice(eps=0.2).weights(distance[:, :1]).item() == 1  # nobody to share with
    with pytest.raises(ValueError, match="eps from 0 to below 1, found 1"):
        RelaxedMultipleChoice(eps=1.0)


def test_annealed_weights_pass_no_gradient() -> None:
    estimate = torch.tensor([[[1.0], [2.0]]], requires_grad=True)
    loss = AnnealedMultipleChoice(MeanSquaredError(), Constant(3.0))
    loss(estimate, torch.zeros(1, 1, 1)).sum().backward()
    weights = torch.softmax(-torch.tensor([1.0, 4.0]) / 3, dim=0)
    assert estimate.grad is not None
    torch.testing.assert_close(estimate.grad.flatten(), weights * torch.tensor([2.0, 4.0]))


def test_temperature_falls_from_epoch_to_epoch() -> None:
    linear = LinearTemperature(start=2.0, epochs=10)
    assert [linear(epoch) for epoch in (0, 5, 10, 11)] == [2.0, 1.0, 0.0, 0.0]
    exponential = ExponentialTemperature(start=2.0, decay=0.5)
    assert [exponential(epoch) for epoch in (0, 1, 2)] == [2.0, 1.0, 0.5]


def test_the_epoch_sets_the_temperature() -> None:
    distance = torch.tensor([[[0.0], [1.0]]])
    loss = AnnealedMultipleChoice(temperature=LinearTemperature(start=1.0, epochs=2))
    seen = []
    for epoch in (0, 1, 2):
        loss.start_epoch(epoch)
        seen.append(loss.weights(distance)[0, 0].item())
    assert seen[0] < seen[1] < seen[2] == 1


def test_scores_learn_who_was_chosen() -> None:
    reference = torch.tensor([[[0.0], [0.2]]])
    estimate = torch.tensor([[[0.1], [9.0], [50.0]]])
    loss = MultipleChoice(MeanSquaredError(), scoring=0.1)
    scores = torch.zeros(1, 3, requires_grad=True)
    plain = MultipleChoice(MeanSquaredError())(estimate, reference)
    value = loss(estimate, reference, scores)
    torch.testing.assert_close(value, plain + 0.1 * torch.log(torch.tensor([2.0])))
    value.sum().backward()
    assert scores.grad is not None
    assert scores.grad.sign().flatten().tolist() == [-1, 1, 1]
    with pytest.raises(ValueError, match="the model gives no scores"):
        loss(estimate, reference)


def test_twenty_hypotheses_for_five_speakers_one_of_them_silent() -> None:
    estimate, reference = torch.randn(1, 20, 1, 200, requires_grad=True), torch.randn(1, 5, 1, 200)
    reference[:, 2] = 0
    for loss in (MultipleChoice(), RelaxedMultipleChoice(), AnnealedMultipleChoice()):
        (gradient,) = torch.autograd.grad(loss(estimate, reference).sum(), estimate)
        assert gradient.isfinite().all()
