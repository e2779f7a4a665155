"""Networks of several hypotheses: their sizes, their independence, and that they learn what they are meant to."""

import pytest
import torch
from torch import nn

from toolkit.corpora import _quadrants
from toolkit.losses import EuclideanDistance, MultipleChoice, NearestReference
from toolkit.metrics.earth_mover import earth_movers_distance
from toolkit.models import HypothesisEnsemble, HypothesisMLP, HypothesisModel


def weights(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def train(model: HypothesisModel, loss: nn.Module, draws: _quadrants.Draws, steps: int, rate: float) -> None:
    t, targets, mask = (torch.from_numpy(part) for part in draws)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for step in range(steps):
        batch = slice(step % 10, None, 10)
        points, scores = model(t[batch, None])
        optimizer.zero_grad()
        loss(points, targets[batch], scores, mask=mask[batch]).mean().backward()
        optimizer.step()


def test_sizes() -> None:
    shared = 1 * 256 + 256 + 256 * 256 + 256
    assert weights(HypothesisMLP(scored=False)) == shared + 20 * (256 * 2 + 2)
    assert weights(HypothesisMLP()) == shared + 20 * (256 * 3 + 3)
    assert weights(HypothesisEnsemble()) == 20 * (shared + 256 * 2 + 2)
    with pytest.raises(ValueError, match="hypotheses: expected at least 1, found 0"):
        HypothesisMLP(hypotheses=0)
    with pytest.raises(ValueError, match="hidden: expected the size of at least one layer"):
        HypothesisEnsemble(hidden=())


@pytest.mark.parametrize("model", [HypothesisMLP(scored=False), HypothesisMLP(), HypothesisEnsemble()])
def test_hypotheses_and_what_they_weigh(model: HypothesisModel) -> None:
    found = model(torch.rand(3, 1))
    assert found.points.shape == (3, 20, 2)
    torch.testing.assert_close(found.weights().sum(1), torch.ones(3))
    if found.scores is None:
        assert found.weights().eq(1 / 20).all()
    else:
        probability = found.scores.sigmoid()
        torch.testing.assert_close(found.weights(), probability / probability.sum(1, keepdim=True))
    with pytest.raises(ValueError, match="inputs"):
        model(torch.rand(3, 2))


def test_bounded_hypotheses() -> None:
    for model in (HypothesisMLP(hypotheses=3, bounded=True), HypothesisEnsemble(hypotheses=3, bounded=True)):
        points, _ = model(torch.linspace(-1000, 1000, 5)[:, None])
        assert points.abs().max() <= 1


@pytest.mark.parametrize(("activation", "layer"), [("relu", nn.ReLU), ("sigmoid", nn.Sigmoid)])
def test_an_ensemble_is_as_many_networks(activation: str, layer: type[nn.Module]) -> None:
    ensemble = HypothesisEnsemble(2, 2, hypotheses=4, hidden=(8, 5), activation=activation)  # type: ignore[arg-type]
    inputs = torch.randn(6, 2)
    together = ensemble(inputs).points
    for number in range(4):
        alone = nn.Sequential(nn.Linear(2, 8), layer(), nn.Linear(8, 5), layer(), nn.Linear(5, 2))
        for own, shared in zip(alone[::2], ensemble.layers, strict=True):
            own.weight.data, own.bias.data = shared.weight[number].T, shared.bias[number, 0]
        torch.testing.assert_close(together[:, number], alone(inputs))


def test_its_members_are_initialized_as_torchs_own_layers() -> None:
    torch.manual_seed(0)
    first, second, _ = HypothesisEnsemble(hypotheses=50).layers
    for layer, bound in ((first, 1), (second, 1 / 16)):
        for parameter in layer.parameters():
            assert parameter.abs().max() <= bound
            assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_members_learn_alone() -> None:
    torch.manual_seed(0)
    ensemble = HypothesisEnsemble(hypotheses=3, hidden=(8,))
    points, _ = ensemble(torch.rand(5, 1))
    only_second = points[:, 1:2]
    gradients = torch.autograd.grad(
        NearestReference(EuclideanDistance())(only_second, torch.randn(5, 2, 2)).mean(), list(ensemble.parameters())
    )
    for gradient in gradients:
        assert gradient.flatten(1).any(1).tolist() == [False, True, False]


def test_members_that_are_trained_apart_have_samples_of_their_own() -> None:
    torch.manual_seed(0)
    ensemble = HypothesisEnsemble(hypotheses=3, hidden=(8,), apart=True)
    inputs, targets, loss = torch.rand(12, 1), torch.randn(12, 2, 2), NearestReference(EuclideanDistance())
    points, scores = ensemble(inputs)
    assert points.shape == (12, 1, 2)
    assert scores is None
    torch.testing.assert_close(points[4:8], ensemble.eval()(inputs[4:8]).points[:, 1:2])  # the second of three shares
    gradients = torch.autograd.grad(loss(points, targets)[4:8].mean(), list(ensemble.parameters()))
    for gradient in gradients:
        assert gradient.flatten(1).any(1).tolist() == [False, True, False]
    with pytest.raises(ValueError, match="expected a batch that 3 networks can share, found 4 examples"):
        ensemble.train()(inputs[:4])


def test_competing_hypotheses_cover_what_independent_ones_leave_bare() -> None:
    torch.manual_seed(0)
    draws = _quadrants.draw(1000, seed=0)
    scored = HypothesisMLP(hypotheses=8, hidden=(32, 32))
    ensemble = HypothesisEnsemble(hypotheses=8, hidden=(32, 32))
    train(scored, MultipleChoice(EuclideanDistance(), scoring=1.0, average="reference"), draws, steps=60, rate=1e-2)
    train(ensemble, NearestReference(EuclideanDistance()), draws, steps=60, rate=1e-2)
    samples = _quadrants.points(_quadrants.draw_given(0.0, 100, seed=1))
    far = []
    for model in (scored, ensemble):
        found = model(torch.zeros(1, 1))
        far.append(earth_movers_distance(found.points[0].detach(), samples, found.weights()[0].detach()))
    assert far[0] < 0.7 * far[1]
