"""Losses of pitch without labels: what they are of distributions that moved, against plain statements, and their weighting."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from toolkit.losses import ClassEquivariance, CrossEntropy, GradientNormWeights, ShiftedCrossEntropy, TransportEquivariance

BINS = 384
LOSSES = [ClassEquivariance(), ShiftedCrossEntropy(), ShiftedCrossEntropy(softmax=False), TransportEquivariance()]


def pitches(count: int, seed: int = 0, bins: int = BINS, sharp: float = 1.0) -> torch.Tensor:
    """Distributions (count, bins) in float64."""
    logits = torch.randn(count, bins, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (sharp * logits).softmax(-1)


def inner(count: int) -> torch.Tensor:
    """Without anything within 16 bins of the ends, so that nothing is lost when it moves."""
    return nn.functional.pad(pitches(count, bins=BINS - 32, sharp=4), (16, 16))


def moved(probabilities: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.roll(row, int(step)) for row, step in zip(probabilities, steps, strict=True)])


def test_class_equivariance_as_it_is_written_down():
    first, second, steps = pitches(5, sharp=6), pitches(5, 1, sharp=6), torch.tensor([-16, 0, 1, 7, 16])
    alpha, tau, total = 1.019440644, 0.122462048, 0.0  # as in the released configuration
    for y, z, k in zip(first.numpy(), second.numpy(), steps.numpy(), strict=True):
        low, high = (sum(alpha ** (i - 383) * p for i, p in enumerate(row)) for row in (y, z))
        for error in (high / low - alpha**k, low / high - alpha**-k):
            size = abs(error)
            total += size**2 / 2 if size <= tau else tau**2 / 2 + tau * (size - tau)
    assert ClassEquivariance()(first, second, steps).item() == pytest.approx(total / 2 / 5, rel=1e-6)


@pytest.mark.parametrize("softmax", [True, False])
def test_cross_entropies_as_they_are_written_down(softmax):
    first, second, steps = inner(4), pitches(4, 1), torch.tensor([-16, -3, 0, 16])

    def entropy(wanted, found):
        logs = found - np.log(np.exp(found).sum()) if softmax else np.log(np.maximum(found, 1e-7))
        return -(wanted * logs).sum()

    invariance = shifted = 0.0
    for y, z, k in zip(first.numpy(), second.numpy(), steps.numpy(), strict=True):
        invariance += (entropy(y, z) + entropy(z, y)) / 2
        a = np.zeros(BINS + 32)
        a[16:-16] = y
        b = np.zeros(BINS + 32)
        for i in range(BINS):  # what stands in bin i of the second stood in bin i - k of the first
            if 0 <= i - k + 16 < BINS + 32:
                b[i - k + 16] = z[i]
        shifted += (entropy(a, b) + entropy(b, a)) / 2
    assert CrossEntropy(softmax)(first, second).item() == pytest.approx(invariance / 4, rel=1e-9)
    assert ShiftedCrossEntropy(softmax=softmax)(first, second, steps).item() == pytest.approx(shifted / 4, rel=1e-9)


@settings(max_examples=30)
@given(st.lists(st.integers(-16, 16), min_size=1, max_size=5))
def test_what_moves_as_its_sound_does_has_no_loss(intervals):
    steps = torch.tensor(intervals)
    first = inner(len(steps))
    second = moved(first, steps)
    for loss in (ClassEquivariance(), TransportEquivariance()):
        assert loss(first, second, steps).item() == pytest.approx(0, abs=1e-12)
    for softmax in (True, False):  # a cross-entropy is least, not nothing, where both are the same
        found = ShiftedCrossEntropy(softmax=softmax)(first, second, steps)
        padded = nn.functional.pad(first, (16, 16))
        assert found.item() == pytest.approx(CrossEntropy(softmax)(padded, padded).item())


@settings(max_examples=30)
@given(st.integers(-16, 16), st.integers(-12, 12))
def test_missing_by_some_bins_costs_as_much(step, miss):
    first = torch.zeros(1, BINS, dtype=torch.float64)
    first[0, 200] = 1
    second, steps = moved(first, torch.tensor([step + miss])), torch.tensor([step])
    assert TransportEquivariance()(first, second, steps).item() == pytest.approx((miss / 36) ** 2)
    phi = ClassEquivariance().project
    assert (phi(second) / phi(first)).item() == pytest.approx(2 ** ((step + miss) / 36))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_both_directions_are_the_same(loss):
    first, second, steps = pitches(6, sharp=3), pitches(6, 1, sharp=3), torch.arange(-3, 3)
    if isinstance(loss, ShiftedCrossEntropy):
        first, second = inner(6), inner(6).flip(0)  # nothing falls off an end
    assert loss(second, first, -steps).item() == pytest.approx(loss(first, second, steps).item())


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("sharp", [0.0, 1.0, 200.0])
def test_gradients_are_finite(loss, sharp):
    logits = [(sharp * torch.randn(3, BINS)).requires_grad_() for _ in range(2)]
    value = loss(*(x.softmax(-1) for x in logits), torch.tensor([-16, 0, 16]))
    value.backward()
    assert value.isfinite()
    assert all(x.grad.isfinite().all() for x in logits)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_step_downhill_finds_the_interval(loss):
    """From a guess of the wrong bin, not far away."""
    bins = torch.arange(BINS)
    logits = (-((bins - 206.0) ** 2) / 50)[None].clone().requires_grad_()
    first, steps = (-((bins - 190.0) ** 2) / 50)[None].softmax(-1), torch.tensor([10])

    def centre() -> float:
        return (logits.softmax(-1) * bins).sum().item()

    before, optimizer = centre(), torch.optim.Adam([logits], lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        loss(first, logits.softmax(-1), steps).backward()
        optimizer.step()
    assert abs(centre() - 200) < 0.7 * abs(before - 200)


class Plain:
    """The weighting of three losses as it is written down, in whole steps."""

    def __init__(self) -> None:
        self.norms = {"invariance": 1.0, "shift": 0.0, "equivariance": 1.0}

    def step(self, gradients: dict[str, float]) -> dict[str, float]:
        for name, norm in gradients.items():
            self.norms[name] = 0.999 * self.norms[name] + 0.001 * norm
        total = sum(self.norms.values())
        return {name: 1 - norm / total for name, norm in self.norms.items()}


def test_losses_are_weighted_by_the_norms_of_their_gradients():
    weighting = GradientNormWeights({"invariance": 0.0, "shift": 1.0, "equivariance": 0.0})
    plain, layer = Plain(), nn.Linear(3, 4)
    assert weighting.weights() == {"invariance": 0.5, "shift": 1, "equivariance": 0.5}
    for _ in range(5):
        y = layer(torch.randn(2, 3))
        losses = {"equivariance": y.abs().mean(), "invariance": 30 * y.square().mean(), "shift": y.exp().sum()}
        norms = {n: torch.autograd.grad(v, layer.weight, retain_graph=True)[0].norm().item() for n, v in losses.items()}
        total = weighting(losses, layer.weight)
        expected = plain.step(norms)
        assert weighting.weights() == pytest.approx(expected, rel=1e-4)
        assert total.item() == pytest.approx(sum(expected[n] * v.item() for n, v in losses.items()), rel=1e-4)
        total.backward()


def test_weights_stay_while_validating_and_are_saved():
    weighting, layer = GradientNormWeights({"a": 0.5, "b": 0.5}, average=0.5), nn.Linear(2, 2)
    y = layer(torch.ones(1, 2))
    weighting({"a": y.sum(), "b": 9 * y.sum()}, layer.weight)
    assert weighting.weights()["a"] > weighting.weights()["b"]
    kept = weighting.weights()
    weighting.eval()
    weighting({"a": y.sum(), "b": 9 * y.sum()}, layer.weight)
    with torch.no_grad():
        weighting.train()({"a": layer(torch.ones(1, 2)).sum(), "b": y.sum().detach()}, layer.weight)
    assert weighting.weights() == kept
    other = GradientNormWeights({"a": 0.5, "b": 0.5})
    other.load_state_dict(weighting.state_dict())
    assert other.weights() == kept


def test_a_single_loss_has_all_the_weight():
    layer = nn.Linear(2, 2)
    loss = layer(torch.ones(1, 2)).sum()
    assert GradientNormWeights({"a": 0.0})({"a": loss}, layer.weight) == loss


def test_other_losses_are_refused():
    with pytest.raises(ValueError, match="expected a, b, found a"):
        GradientNormWeights({"a": 1.0, "b": 1.0})({"a": torch.zeros(())}, torch.zeros(1))
    for build in (lambda: ClassEquivariance(0), lambda: ShiftedCrossEntropy(-1), lambda: TransportEquivariance(order=0.5)):
        with pytest.raises(ValueError, match="expected"):
            build()
    with pytest.raises(ValueError, match="weights of 0 to 1"):
        GradientNormWeights({})
