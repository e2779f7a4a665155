"""Pooling over time: each kind against its own definition, and what all of them keep to."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import toolkit.blocks
from toolkit.blocks import (
    AttentionPooling,
    AutoPooling,
    FrameMLP,
    LastFrame,
    LinearHead,
    MaxMeanPooling,
    MaxPooling,
    MeanPooling,
    Pooling,
    SoftmaxPooling,
    StatisticsPooling,
    StoredFeatures,
    WeightedPooling,
)
from toolkit.models import Tagger

WEIGHTED = {
    "mean": MeanPooling,
    "softmax": SoftmaxPooling,
    "auto": partial(AutoPooling, sharpness=2.0),
    "sigmoid attention": AttentionPooling,
    "softmax attention": partial(AttentionPooling, gate="softmax"),
}
EVERY = WEIGHTED | {"max": MaxPooling, "last": LastFrame, "statistics": StatisticsPooling, "max and mean": MaxMeanPooling}
CHANNELS, VALUES = 3, 4
weighted = pytest.mark.parametrize("make", WEIGHTED.values(), ids=WEIGHTED.keys())
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY.keys())


def some(batch=2, frames=5, **options):
    return torch.randn(batch, VALUES, frames, **options), torch.randn(batch, CHANNELS, frames, **options)


def test_every_pooling_is_tested_here():
    exported = [getattr(toolkit.blocks, name) for name in toolkit.blocks.__all__]
    blocks = {block for block in exported if isinstance(block, type) and issubclass(block, Pooling)}
    assert {getattr(make, "func", make) for make in EVERY.values()} == blocks - {Pooling, WeightedPooling}


def mean(x, weights=None):
    weights = weights or [1] * len(x)
    return sum(w * v for w, v in zip(weights, x, strict=True)) / sum(weights)


# One value of each frame, x, and what a linear layer makes of each frame's features, s, to what should come out
DEFINITIONS = {
    "mean": lambda x, s: [mean(x)],
    "softmax": lambda x, s: [mean(x, [math.exp(v) for v in x])],
    "auto": lambda x, s: [mean(x, [math.exp(2 * v) for v in x])],
    "sigmoid attention": lambda x, s: [mean(x, [1 / (1 + math.exp(-score)) for score in s])],
    "softmax attention": lambda x, s: [mean(x, [math.exp(score) for score in s])],
    "max": lambda x, s: [max(x)],
    "last": lambda x, s: [x[-1]],
    "statistics": lambda x, s: [mean(x), math.sqrt(mean([(v - mean(x)) ** 2 for v in x]))],
    "max and mean": lambda x, s: [max(x), mean(x)],
}


@pytest.mark.parametrize("name", DEFINITIONS)
@pytest.mark.parametrize("frames", [1, 5])
def test_each_is_what_it_is_said_to_be(name, frames):
    pooling = EVERY[name](CHANNELS, VALUES).double()
    values, features = some(frames=frames, dtype=torch.float64)
    scores = torch.zeros_like(values)
    if isinstance(pooling, AttentionPooling):
        scores = pooling.score.weight[..., 0] @ features + pooling.score.bias[:, None]
    pooled = pooling(values, features)
    assert pooled.shape == (2, pooling.channels_out)
    kept = 1e-4 if frames == 1 else 1e-12  # a deviation of 0 is held a little off it
    for clip in range(2):
        for value in range(VALUES):
            expected = DEFINITIONS[name](values[clip, value].tolist(), scores[clip, value].tolist())
            assert pooled[clip, value::VALUES].tolist() == pytest.approx(expected, abs=kept)


@weighted
@given(batch=st.integers(1, 3), frames=st.integers(1, 12), loud=st.sampled_from([1e-3, 1.0, 1e3]))
def test_weights_add_up_to_one(make, batch, frames, loud):
    values, features = (loud * x for x in some(batch, frames))
    weights = make(CHANNELS, VALUES).weights(values, features)
    assert weights.shape in [(batch, VALUES, frames), (batch, 1, frames)]
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))


@every
@given(frames=st.integers(1, 12))
def test_a_value_that_stays_is_kept(make, frames):
    values, features = some(frames=frames)
    values = values[..., :1].expand(-1, -1, frames)
    torch.testing.assert_close(make(CHANNELS, VALUES)(values, features)[:, :VALUES], values[..., 0])


@pytest.mark.parametrize("make", [make for make in EVERY.values() if make is not LastFrame])
@given(order=st.permutations(range(6)))
def test_the_order_of_the_frames_does_not_count(make, order):
    values, features = some(frames=6)
    pooling = make(CHANNELS, VALUES)
    torch.testing.assert_close(pooling(values[..., order], features[..., order]), pooling(values, features))


@every
@pytest.mark.parametrize("frames", [1, 7])
def test_gradients_are_finite(make, frames):
    pooling = make(CHANNELS, VALUES)
    values, features = (x.requires_grad_() for x in some(1, frames))
    pooling(values, features).square().sum().backward()
    tensors = [values, *pooling.parameters()] + ([features] if isinstance(pooling, AttentionPooling) else [])
    for tensor in tensors:
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()


def test_auto_pooling_reaches_from_the_mean_to_the_maximum():
    values, features = some(dtype=torch.float64)
    for sharpness, same in [(0.0, MeanPooling), (1.0, SoftmaxPooling), (1e4, MaxPooling)]:
        pooled = AutoPooling(CHANNELS, VALUES, sharpness).double()(values, features)
        torch.testing.assert_close(pooled, same(CHANNELS, VALUES)(values, features))


def test_shut_gates_weigh_alike_instead_of_nothing():
    pooling = AttentionPooling(CHANNELS, VALUES)
    torch.nn.init.constant_(pooling.score.bias, -1e4)
    weights = pooling.weights(*some())
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / 5))


def test_a_gate_that_there_is_not():
    with pytest.raises(ValueError, match="gate: expected sigmoid or softmax, found 'tanh'"):
        AttentionPooling(CHANNELS, VALUES, gate="tanh")


@every
@pytest.mark.parametrize("frames", [1, 9])
def test_in_its_slot(make, frames):
    def tagger(pool):
        return Tagger(StoredFeatures(8), partial(FrameMLP, hidden=(8,)), make, LinearHead, tags=5, pool=pool).eval()

    clips = torch.randn(3, frames, 8)
    assert tagger("features")(clips).shape == (3, 5)
    if make in (StatisticsPooling, MaxMeanPooling):
        return  # two numbers a tag are no probability
    model = tagger("probabilities")
    assert model(clips).shape == (3, 5)
    attention = model.attention(clips)
    assert (attention is not None) == (make in WEIGHTED.values())
    if attention is not None:
        torch.testing.assert_close(attention.sum(-1), torch.ones(3, 5))


@pytest.mark.parametrize("make", [AttentionPooling, MaxPooling, MeanPooling])
def test_sure_tags_have_finite_logits_under_autocast(make):
    model = Tagger(StoredFeatures(8), partial(FrameMLP, hidden=(8,), norm=None), make, LinearHead, 5, "probabilities").eval()
    with torch.no_grad():
        model.head.layers[-1].bias.copy_(torch.tensor([-20.0, -5.0, 0.0, 5.0, 20.0]))
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(torch.rand(3, 4, 8))
    assert logits.isfinite().all()
    assert (logits.diff(dim=1) > 0).all()
