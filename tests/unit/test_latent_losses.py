"""Losses of codes against plain loops, and their schedules."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from toolkit.losses import (
    AnnealedDivergence,
    AttributeRegularization,
    BetaDivergence,
    PixelCrossEntropy,
    TokenCrossEntropy,
    TotalCorrelation,
    VariationalLoss,
)
from toolkit.losses.latent import kl_divergence
from toolkit.losses.total_correlation import permute_dimensions
from toolkit.metrics.reconstruction import pixel_accuracy, token_accuracy
from toolkit.models import LatentDiscriminator, MelodyCNNVAE, SpriteVAE


def posterior(nats: float, items: int = 4):
    """Means and log variances of items that lie so many nats from standard normal."""
    mean = torch.zeros(items, 3)
    mean[:, 1] = math.sqrt(2 * nats)
    return mean, torch.zeros(items, 3)


def test_divergence_is_that_of_torch():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    ours = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(ours, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)
    torch.testing.assert_close(kl_divergence(*posterior(9.0)), torch.full((4,), 9.0))


def test_slack_is_taken_off_after_weighting():
    assert BetaDivergence(beta=4.0)(*posterior(20.0)).item() == pytest.approx(80)
    assert BetaDivergence(beta=4.0, slack=50.0)(*posterior(20.0)).item() == pytest.approx(30)
    assert BetaDivergence(beta=0.2, slack=50.0)(*posterior(200.0)).item() == 0  # 250 nats are free


def test_beta_grows_after_the_warm_up_as_in_the_code_of_the_benchmark():
    loss, (epochs, per_epoch, iterations, beta) = BetaDivergence(4.0, 0.0, 2, 5), (4, 3, 5, 4.0)
    current, anneal, rate, step = 0.0, 0, math.log(1 + beta) / iterations, 0
    for epoch in range(epochs):
        for _ in range(per_epoch):
            if epoch > 1:
                if anneal < iterations:
                    current = -1 + math.exp(rate * anneal)
                anneal += 1
            loss.start_step(step, per_epoch)
            assert loss(*posterior(10.0)).item() == pytest.approx(10 * current, abs=1e-5)
            step += 1
    assert current == pytest.approx(5 ** (4 / 5) - 1)  # the last value is never quite reached


@given(st.integers(0, 400), st.floats(0.1, 100))
def test_capacity_grows_after_the_warm_up(step, nats):
    loss = AnnealedDivergence(capacity=25.0, beta=2.0, warmup_epochs=2, iterations=100)
    loss.start_step(step, steps_per_epoch=50)
    capacity = 26 ** (min(step - 100, 99) / 100) - 1
    expected = 2 * abs(nats - capacity) if step >= 100 else 0
    assert loss(*posterior(nats)).item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_without_a_schedule_all_counts_from_the_start():
    assert BetaDivergence(beta=3.0)(*posterior(2.0)).item() == pytest.approx(6)
    assert AnnealedDivergence(capacity=5.0)(*posterior(2.0)).item() == pytest.approx(3)
    assert BetaDivergence(warmup_epochs=1)(*posterior(2.0)).item() == 0


def test_what_is_wrong_with_items():
    torch.manual_seed(0)
    logits, tokens = torch.randn(2, 3, 5), torch.randint(0, 5, (2, 3))
    nats = [-logits[item, t].log_softmax(0)[tokens[item, t]].item() for item in range(2) for t in range(3)]
    assert TokenCrossEntropy()(logits, tokens.to(torch.uint8)).item() == pytest.approx(sum(nats) / 6, rel=1e-5)
    logits, pictures = torch.randn(2, 1, 3, 4), torch.rand(2, 1, 3, 4)
    white = logits.sigmoid()
    nats = -(pictures * white.log() + (1 - pictures) * (1 - white).log())
    torch.testing.assert_close(PixelCrossEntropy()(logits, pictures), nats.sum() / 2)


def test_what_comes_back():
    logits = torch.eye(4)[torch.tensor([[0, 1, 2], [3, 3, 0]])]
    assert token_accuracy(logits, torch.tensor([[0, 1, 3], [3, 3, 0]])).tolist() == pytest.approx([2 / 3, 1])
    pictures = torch.tensor([[[[1.0, 0.0, 0.6, 0.4]]]])
    assert pixel_accuracy(torch.tensor([[[[3.0, -1.0, -1.0, 1.0]]]]), pictures).tolist() == [0.5]


def by_hand(codes, attributes, dimensions, delta):
    """AR-VAE's loss, pair after pair."""
    total = 0.0
    for attribute, dimension in enumerate(dimensions):
        for i in range(len(codes)):
            for j in range(len(codes)):
                order = torch.sign(attributes[i, attribute] - attributes[j, attribute])
                total += abs(torch.tanh(delta * (codes[i, dimension] - codes[j, dimension])) - order) / len(codes) ** 2
    return total


@pytest.mark.parametrize("dimensions", [None, [3, 1]])
def test_attributes_are_compared_in_pairs(dimensions):
    torch.manual_seed(0)
    codes, attributes = torch.randn(6, 4), torch.randint(0, 4, (6, 2))
    loss = AttributeRegularization(gamma=2.0, delta=3.0, dimensions=dimensions)
    expected = 2 * by_hand(codes, attributes, dimensions or [0, 1], 3.0)
    assert loss(codes, attributes).item() == pytest.approx(expected.item(), rel=1e-5)


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=8, unique=True), st.integers(1, 9))
def test_codes_in_the_order_of_their_attributes_cost_little(values, factor):
    attributes = torch.tensor(values)[:, None].float()
    loss = AttributeRegularization(delta=10.0)
    assert loss(attributes * factor, attributes).item() < 1e-5
    assert loss(-attributes * factor, attributes).item() > 0.9


def test_attributes_without_a_dimension_are_told():
    with pytest.raises(ValueError, match=r"attributes: expected shape \(3, 2\), as there are codes and dimensions"):
        AttributeRegularization(dimensions=[0, 1])(torch.zeros(3, 4), torch.zeros(3, 3))
    with pytest.raises(ValueError, match=r"found \(3, 5\)"):
        AttributeRegularization()(torch.zeros(3, 4), torch.zeros(3, 5))


def test_the_whole_loss_and_its_parts():
    torch.manual_seed(0)
    model = MelodyCNNVAE(vocabulary=5, channels=(3, 4), latent=3)
    melodies, attributes = torch.randint(0, 5, (6, 4)), torch.rand(6, 2)
    encoded = model(melodies)
    loss = VariationalLoss(divergence=BetaDivergence(0.1), attributes=AttributeRegularization(2.0))
    total = loss(encoded, melodies, attributes)
    assert list(loss.parts) == ["reconstruction", "divergence", "attributes"]
    torch.testing.assert_close(total.detach(), sum(loss.parts.values()))
    total.backward()
    with pytest.raises(ValueError, match="the batch has none"):
        loss(encoded, melodies)
    picture = torch.rand(2, 1, 64, 64)
    whole = VariationalLoss(PixelCrossEntropy(), AnnealedDivergence(1.0))(SpriteVAE(2, 4, 3)(picture), picture)
    assert whole.isfinite()


class Plain(nn.Module):
    """Logits (z_0, z_1) times a weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, latents):
        return self.weight * latents[:, :2]


def test_the_model_is_asked_to_deceive_and_the_discriminator_left_alone():
    latents = torch.tensor([[1.0, 0.5, 9.0], [2.0, 0.0, 9.0]], requires_grad=True)
    correlation = TotalCorrelation(Plain(), gamma=10.0)
    loss = correlation(latents)
    assert loss.item() == pytest.approx(10 * 2 * (0.5 + 2.0) / 2)
    loss.backward()
    assert latents.grad[0].tolist() == pytest.approx([10.0, -10.0, 0.0])
    assert correlation.discriminator.weight.grad is None


def test_the_discriminator_learns_and_the_model_is_left_alone():
    torch.manual_seed(0)
    latents, others = torch.randn(4, 3, requires_grad=True), torch.zeros(4, 3, requires_grad=True)
    correlation = TotalCorrelation(Plain())
    loss = correlation.discriminator_loss(latents, others)
    own = -(2 * latents.detach()[:, :2]).log_softmax(-1)[:, 0].mean()
    assert loss.item() == pytest.approx((own.item() + math.log(2)) / 2, rel=1e-5)  # zeros stay zeros when they are shuffled
    loss.backward()
    assert latents.grad is None
    assert others.grad is None
    assert correlation.discriminator.weight.grad is not None


def test_each_dimension_is_shuffled_by_itself():
    torch.manual_seed(0)
    latents = torch.arange(12.0).view(4, 3) * torch.tensor([1.0, 10.0, 100.0])
    mixed = permute_dimensions(latents)
    torch.testing.assert_close(mixed.sort(0).values, latents.sort(0).values)
    big = permute_dimensions(torch.randn(1000, 1).expand(-1, 2))
    assert abs(torch.corrcoef(big.T)[0, 1]) < 0.1


def test_a_discriminator_finds_dimensions_that_depend_on_each_other():
    torch.manual_seed(0)
    correlation = TotalCorrelation(LatentDiscriminator(2, hidden=16, layers=2), gamma=1.0)
    optimizer = torch.optim.Adam(correlation.parameters(), 1e-2)
    for _ in range(100):
        one, other = torch.randn(2, 64, 1).expand(-1, -1, 2)
        optimizer.zero_grad()
        correlation.discriminator_loss(one, other).backward()
        optimizer.step()
    dependent = torch.randn(500, 1).expand(-1, 2)
    assert correlation(dependent) > correlation(permute_dimensions(dependent)) + 1
