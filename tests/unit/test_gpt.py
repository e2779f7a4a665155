"""A small language model: what it sees, how it goes on, and hypotheses as adapters."""

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from toolkit.blocks import LowRankAdapters
from toolkit.blocks.low_rank import LowRankUpdate, one_hypothesis, without_adapters
from toolkit.config import Resolved
from toolkit.models import GPT, LanguageModel
from toolkit.models.language_model import sample
from toolkit.train.checkpoint import load_weights, save_weights

PROJECTIONS = ["*.query", "*.key", "*.value", "*.attention.output"]


def small(seed: int = 0, **options) -> GPT:
    torch.manual_seed(seed)
    model = GPT(**{"vocabulary": 7, "context": 24, "channels": 16, "spread": 0.5, **options}).eval()
    for module in model.modules():
        if isinstance(module, LowRankUpdate):
            nn.init.normal_(module.up, std=0.3)
    return model


def influence(model: GPT, length: int) -> torch.Tensor:
    """How the logits of each place depend on each token's embedding, (places, tokens)."""
    tokens, rows = torch.randint(7, (1, length)), []
    seen = []
    handle = model.places.register_forward_hook(lambda _, __, output: seen.append(output.requires_grad_()))
    logits = model(tokens)[0]
    handle.remove()
    for place in range(length):
        (gradient,) = torch.autograd.grad(logits[place].square().sum(), seen[0], retain_graph=True)
        rows.append(gradient.abs().sum(-1))
    return torch.stack(rows)


@pytest.mark.parametrize("window", [None, 1, 2, 5])
@pytest.mark.parametrize("layers", [1, 2])
def test_nothing_is_seen_ahead_and_no_more_than_the_window_behind(window, layers):
    depends = influence(small(layers=layers, window=window), 12) > 0
    back = torch.arange(12)[:, None] - torch.arange(12)
    reach = 12 if window is None else 1 + layers * (window - 1)
    assert torch.equal(depends, (back >= 0) & (back < reach))


@settings(max_examples=8, deadline=None)
@given(
    window=st.sampled_from([None, 1, 2, 5]),
    scaled=st.booleans(),
    pieces=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    hypotheses=st.sampled_from([None, 2]),
)
def test_going_on_is_reading_it_all(window, scaled, pieces, hypotheses):
    adapters = None if hypotheses is None else LowRankAdapters(PROJECTIONS, hypotheses, rank=2)
    model, state, heard = small(window=window, scaled=scaled, adapters=adapters), None, []
    tokens = torch.randint(7, (4, sum(pieces)))
    for piece in tokens.split(pieces, dim=1):
        logits, state = model.step(piece, state)
        heard.append(logits)
    assert state.position == sum(pieces)
    if window is not None:
        assert all(key.shape[2] <= window - 1 for key, _ in state.layers)
    torch.testing.assert_close(torch.cat(heard, 1), model.step(tokens)[0], atol=1e-4, rtol=1e-4)


def test_hypotheses_are_separate_models():
    model = small(adapters=LowRankAdapters(PROJECTIONS, hypotheses=3, rank=4))
    tokens = torch.randint(7, (2, 10))
    logits = model(tokens)
    assert logits.shape == (2, 3, 10, 7)
    assert not torch.allclose(logits[:, 0], logits[:, 1])
    for k in range(3):
        single = without_adapters(model, k)
        single.hypotheses = None
        torch.testing.assert_close(logits[:, k], single(tokens), atol=1e-4, rtol=1e-4)
        with one_hypothesis(model, k):
            torch.testing.assert_close(logits[:, k], model.step(tokens)[0], atol=1e-4, rtol=1e-4)


def test_the_toy_of_the_paper():
    """2 layers, 2 heads, 64 channels, rank 64 in the four projections; only the adapters learn."""
    model = GPT(2, window=5, scaled=False, adapters=LowRankAdapters(PROJECTIONS, hypotheses=2, rank=64, alpha=64.0))
    (group,) = model.parameter_groups()
    assert sum(parameter.numel() for parameter in group["params"]) == 2 * 2 * 4 * 2 * 64 * 64
    assert sum(parameter.numel() for parameter in GPT(2).parameters()) == 2 * 64 + 1024 * 64 + 2 * 49_984 + 2 * 64
    logits = model(torch.randint(2, (3, 32)))
    assert logits.shape == (3, 2, 32, 2)
    assert torch.equal(logits[:, 0], logits[:, 1])  # before the first step all hypotheses are the base


@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_kept(tied, tmp_path):
    model, other = (small(seed, tied=tied, adapters=LowRankAdapters(["*.value"], 2, rank=2)) for seed in (1, 2))
    save_weights(model, tmp_path / "model.safetensors")
    load_weights(other, tmp_path / "model.safetensors")
    tokens = torch.randint(7, (2, 5))
    assert torch.equal(model(tokens), other(tokens))
    assert ("head.weight" in model.state_dict()) is not tied


def test_vectors_do_not_decay():
    matrices, vectors = GPT(7).parameter_groups()
    assert all(parameter.ndim == 2 for parameter in matrices["params"])
    assert vectors["weight_decay"] == 0
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(GPT(7).parameters()))


def test_the_first_guess_is_even():
    loss = nn.functional.cross_entropy(GPT(50)(torch.randint(50, (4, 30))).flatten(0, 1), torch.randint(50, (120,)))
    assert loss.item() == pytest.approx(math.log(50), abs=0.1)


def test_a_rule_is_learned():
    """Every token is followed by the next one."""
    torch.manual_seed(0)
    model = GPT(5, context=12, channels=32)
    optimizer = torch.optim.AdamW(model.parameter_groups(), lr=1e-2)
    for _ in range(25):
        tokens = (torch.randint(5, (16, 1)) + torch.arange(12)) % 5
        loss = nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3
    assert model.generate(torch.tensor([[3]]), 6, temperature=0).tolist() == [[3, 4, 0, 1, 2, 3, 4]]


@pytest.mark.parametrize("window", [None, 3])
def test_sequences_are_those_without_a_cache(window):
    model = small(window=window, adapters=LowRankAdapters(["*"], hypotheses=2, rank=2))
    prompt = torch.randint(7, (3, 4))
    made = model.train().generate(prompt, 8, temperature=0.7, top_k=3, generator=torch.Generator().manual_seed(5))
    assert made.shape == (3, 2, 12)
    assert model.training
    model.eval()
    generator, tokens = torch.Generator().manual_seed(5), prompt.repeat_interleave(2, 0)
    for _ in range(8):
        drawn = sample(model.step(tokens)[0][:, -1], 0.7, 3, generator)
        tokens = torch.cat([tokens, drawn[:, None]], 1)
    assert torch.equal(made.flatten(0, 1), tokens)


def test_an_ended_sequence_is_filled_up():
    made = small().generate(torch.randint(7, (20, 2)), 20, stop=3, generator=torch.Generator().manual_seed(0))[:, 2:]
    ended = (made == 3).cumsum(1) > 0
    assert ended.any()
    assert (made[ended] == 3).all()


def test_draws_follow_the_logits():
    logits = torch.tensor([[0.0, math.log(3.0), -9.0, math.log(2.0)]]).expand(6000, -1)
    torch.manual_seed(0)
    counts = torch.bincount(sample(logits), minlength=4) / 6000
    torch.testing.assert_close(counts, torch.tensor([1, 3, 0, 2]) / 6, atol=0.02, rtol=0)
    assert set(sample(logits, top_k=2).tolist()) == {1, 3}
    assert set(sample(logits, temperature=0).tolist()) == {1}
    cold = torch.bincount(sample(logits, temperature=0.5), minlength=4) / 6000
    torch.testing.assert_close(cold, torch.tensor([1, 9, 0, 4]) / 14, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GPT(7, channels=10, heads=4), "channels: expected a multiple of heads = 4, found 10"),
        (lambda: GPT(7, window=0), "window: expected at least 1 token, the present one, found 0"),
        (lambda: small()(torch.zeros(1, 25, dtype=torch.long)), "expected at most context = 24 of a sequence, found 25"),
        (lambda: sample(torch.zeros(1, 3), -1.0), "expected a temperature of 0 or more"),
    ],
)
def test_what_a_gpt_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_configuration_puts_adapters_in():
    @dataclass
    class Recipe:
        model: LanguageModel

    adapters = {"class_path": "LowRankAdapters", "init_args": {"layers": ["*.query"], "hypotheses": 2, "trained": ["head.*"]}}
    tree = {"model": {"class_path": "GPT", "init_args": {"vocabulary": 3, "tied": False, "adapters": adapters}}}
    model = Resolved(Recipe, tree).build().model
    assert model(torch.randint(3, (1, 4))).shape == (1, 2, 4, 3)
    assert model.head.weight.requires_grad
    assert not model.tokens.weight.requires_grad
