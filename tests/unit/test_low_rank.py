"""Low-rank adapters: K of them in one pass are K models; merged, they are ordinary layers."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from toolkit.blocks import LowRankAdapters, SepFormer
from toolkit.blocks import low_rank as lora


class TwoLayers(nn.Module):
    """Something to put adapters into."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).tanh())


def learned(model: nn.Module) -> nn.Module:
    """As if trained: the adapters do something."""
    for module in model.modules():
        if isinstance(module, lora.LowRankUpdate):
            nn.init.normal_(module.up, std=0.5)
    return model


def adapted(hypotheses: int = 3, **options) -> nn.Module:
    model = TwoLayers()
    LowRankAdapters(["*"], hypotheses, rank=2, alpha=4.0, **options).put_into(model)
    return learned(model)


def test_nothing_changes_before_training():
    model, x = TwoLayers(), torch.randn(6, 5)
    before = model(x)
    assert LowRankAdapters(["first", "sec*"], hypotheses=3).put_into(model) == ["first", "second"]
    torch.testing.assert_close(model(x), before)


@settings(max_examples=15, deadline=None)
@given(hypotheses=st.integers(1, 4), batch=st.integers(1, 3), length=st.integers(1, 3))
def test_adapters_side_by_side_are_separate_models(hypotheses, batch, length):
    model, x = adapted(hypotheses), torch.randn(batch, length, 5)
    together = model(x.repeat_interleave(hypotheses, 0)).unflatten(0, (-1, hypotheses))
    assert together.shape == (batch, hypotheses, length, 3)
    for k in range(hypotheses):
        with lora.one_hypothesis(model, k):
            torch.testing.assert_close(together[:, k], model(x))
        torch.testing.assert_close(together[:, k], lora.without_adapters(model, k)(x))


def test_an_adapter_is_a_merged_weight():
    model, x = adapted(), torch.randn(4, 5)
    state = copy.deepcopy(model.state_dict())
    layer = model.first
    torch.testing.assert_close(layer.low_rank.delta(1), 2.0 * layer.low_rank.up[1] @ layer.low_rank.down[1])  # alpha / rank
    with lora.one_hypothesis(model, 1):
        expected = model(x)
    lora.merge(model, 1)
    torch.testing.assert_close(model(x), expected)
    assert all(torch.equal(model.state_dict()[name], weight) for name, weight in state.items())  # merged or not
    lora.unmerge(model)
    torch.testing.assert_close(model(x.repeat_interleave(3, 0))[1::3], expected)


def test_names_of_weights_stay():
    plain, model = TwoLayers(), adapted()
    added = {f"{layer}.low_rank.{part}" for layer in ("first", "second") for part in ("down", "up")}
    assert set(model.state_dict()) == set(plain.state_dict()) | added
    assert set(lora.adapter_state(model)) == added
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert (set(missing), unexpected) == (added, [])
    x = torch.randn(2, 5)
    with lora.one_hypothesis(model, None):
        torch.testing.assert_close(model(x), plain(x))
    assert set(lora.without_adapters(model, 0).state_dict()) == set(plain.state_dict())


def test_the_base_is_frozen_but_for_what_is_named():
    def names(model):
        return {name for name, parameter in model.named_parameters() if parameter.requires_grad}

    assert names(adapted()) == set(lora.adapter_state(adapted()))
    assert names(adapted(trained=["first.b*"])) == {*lora.adapter_state(adapted()), "first.bias"}
    assert names(adapted(trained=["*"])) == set(adapted().state_dict())


def test_each_hypothesis_learns_from_its_own_rows():
    model = adapted()
    output = model(torch.randn(2, 5).repeat_interleave(3, 0)).unflatten(0, (-1, 3))
    output[:, 1].sum().backward()
    for name in ("first", "second"):
        gradients = getattr(model, name).low_rank.up.grad.abs().amax((1, 2))
        assert (gradients > 0).tolist() == [False, True, False]


def test_dropout_is_of_the_adapters_alone_and_while_training():
    model, x = adapted(1, dropout=0.5), torch.randn(4, 5)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
    with lora.one_hypothesis(model.train(), None):
        assert torch.equal(model(x), model(x))


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_takes_adapters(batch_first):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first).eval()
    x = torch.randn(2, 5, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])

    def run(module, x, padding):
        x = x if batch_first else x.transpose(0, 1)
        y = module(x, src_mask=mask, src_key_padding_mask=padding.float() * -1e9)
        return y if batch_first else y.transpose(0, 1)

    before = run(layer, x, padding)
    assert LowRankAdapters(["self_attn"], hypotheses=2, rank=3).put_into(layer) == ["self_attn"]
    torch.testing.assert_close(run(layer, x.repeat_interleave(2, 0), padding.repeat_interleave(2, 0))[::2], before)
    together = run(learned(layer), x.repeat_interleave(2, 0), padding.repeat_interleave(2, 0)).unflatten(0, (-1, 2))
    for k in range(2):
        single = lora.without_adapters(layer, k)
        assert set(single.state_dict()) == set(nn.TransformerEncoderLayer(8, 2, 16).state_dict())
        torch.testing.assert_close(together[:, k], run(single, x, padding), atol=1e-5, rtol=1e-4)
        lora.merge(layer, k)
        torch.testing.assert_close(together[:, k], run(layer, x, padding), atol=1e-5, rtol=1e-4)
        lora.unmerge(layer)


@pytest.mark.parametrize("average", [True, False])
def test_attention_weights_are_torchs(average):
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    adapted_one = lora.LowRankAttention(attention)
    x, y = torch.randn(3, 4, 8), torch.randn(3, 6, 8)
    mask = torch.rand(6, 4, 6) < 0.3  # a head and example each
    mask[..., 0] = False
    options = {"attn_mask": mask, "average_attn_weights": average}
    torch.testing.assert_close(adapted_one(x, y, y, **options), attention(x, y, y, **options))


def test_adapters_fit_models_of_the_toolkit():
    separator = SepFormer(16, 2, chunk=8, layers=1, blocks=1, heads=2, feedforward=16)
    names = LowRankAdapters(["*self_attn", "*linear?"], rank=2).put_into(separator)
    assert any(name.endswith("self_attn") for name in names)
    assert separator(torch.randn(1, 16, 30)).shape == (1, 2, 16, 30)


def test_a_layer_in_two_places_stays_one():
    linear = nn.Linear(4, 4)
    model = nn.Sequential(linear, nn.ReLU(), linear)
    assert LowRankAdapters(["*"]).put_into(model) == ["0", "2"]
    assert model[0] is model[2]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["third"], "no layer fits 'third'; there are first, second, attention"),
        (["attention.out_proj"], "attention.out_proj is a part of attention; name attention instead"),
    ],
)
def test_patterns_that_do_not_fit(layers, message):
    model = TwoLayers()
    model.attention = nn.MultiheadAttention(4, 2)
    with pytest.raises(ValueError, match=message):
        LowRankAdapters(layers).put_into(model)


def test_what_adapters_refuse():
    with pytest.raises(ValueError, match="first holds some already"):
        LowRankAdapters(["first"]).put_into(adapted())
    with pytest.raises(ValueError, match="expected rows of 3 hypotheses, found 4"):
        adapted()(torch.randn(4, 5))
    with pytest.raises(ValueError, match="expected a rank and hypotheses of at least 1, found 0 and 1"):
        LowRankAdapters(["*"], rank=0).put_into(TwoLayers())
    with pytest.raises(ValueError, match="without bias_k"):
        lora.LowRankAttention(nn.MultiheadAttention(4, 2, kdim=3))
