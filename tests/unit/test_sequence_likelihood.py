"""Losses of next-token models: the best hypothesis of a sequence takes it, by the classes that separation has."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from toolkit.blocks import LowRankAdapters
from toolkit.config import Resolved
from toolkit.corpora import _markov_mixtures as mixtures
from toolkit.losses import AnnealedMultipleChoice, ExponentialTemperature, RelaxedMultipleChoice, SequenceLikelihood
from toolkit.losses.sequence import next_token_likelihood
from toolkit.metrics import markov
from toolkit.models import GPT


def some(batch: int = 6, hypotheses: int = 3, length: int = 5, vocabulary: int = 4):
    torch.manual_seed(0)
    logits = torch.randn(batch, hypotheses, length, vocabulary, requires_grad=True)
    return logits, torch.randint(vocabulary, (batch, length))


def test_one_opinion_is_cross_entropy():
    logits, tokens = some(hypotheses=1)
    expected = F.cross_entropy(logits[:, 0, :-1].mT, tokens[:, 1:], reduction="none")
    torch.testing.assert_close(SequenceLikelihood()(logits[:, 0], tokens), expected.mean(1))
    torch.testing.assert_close(SequenceLikelihood(per_token=False)(logits, tokens), expected.sum(1))


def test_the_best_hypothesis_takes_it_all():
    logits, tokens = some()
    loss = SequenceLikelihood()
    per_hypothesis = torch.stack([loss(logits[:, k], tokens) for k in range(3)], 1)
    torch.testing.assert_close(loss(logits, tokens), per_hypothesis.min(1).values)
    assert torch.equal(loss.assign(logits, tokens), per_hypothesis.argmin(1))
    loss(logits, tokens).sum().backward()
    learns = logits.grad.abs().amax((2, 3)) > 0
    assert torch.equal(learns, F.one_hot(per_hypothesis.argmin(1), 3).bool())
    assert (logits.grad[:, :, -1] == 0).all()  # what follows the last token is not known


def test_only_the_adapters_of_winners_learn():
    """Two sequences that one hypothesis wins: the other's adapters get no gradient."""
    torch.manual_seed(0)
    model = GPT(3, channels=16, adapters=LowRankAdapters(["*.query", "*.value"], hypotheses=2, rank=2))
    for block in model.blocks:
        torch.nn.init.normal_(block.attention.value.low_rank.up, std=0.1)
    loss, tokens = SequenceLikelihood(), torch.tensor([[0, 1, 2, 0, 1, 2]]).expand(2, -1)
    logits = model(tokens)
    winner = loss.assign(logits, tokens)
    loss(logits, tokens).mean().backward()
    gradient = model.blocks[0].attention.value.low_rank.up.grad.abs().amax((1, 2))
    assert gradient[winner[0]] > 0
    assert gradient[1 - winner[0]] == 0


def test_losers_share_what_the_rule_gives_them():
    logits, tokens = some()
    per_hypothesis = next_token_likelihood(logits, tokens).per_token
    best = per_hypothesis.min(1).values
    relaxed = SequenceLikelihood(lambda pairwise: RelaxedMultipleChoice(pairwise, eps=0.1))
    torch.testing.assert_close(relaxed(logits, tokens), 0.9 * best + 0.05 * (per_hypothesis.sum(1) - best))
    warm = SequenceLikelihood(lambda pairwise: AnnealedMultipleChoice(pairwise, ExponentialTemperature(100.0, 1e-3)))
    torch.testing.assert_close(warm(logits, tokens), per_hypothesis.mean(1), atol=0.01, rtol=0)
    warm.start_epoch(10)
    torch.testing.assert_close(warm(logits, tokens), best)


def test_what_is_masked_does_not_count():
    logits, tokens = some()
    mask = torch.ones_like(tokens, dtype=torch.bool)
    torch.testing.assert_close(SequenceLikelihood()(logits, tokens, mask), SequenceLikelihood()(logits, tokens))
    mask[:, 3:] = False
    torch.testing.assert_close(
        SequenceLikelihood()(logits, tokens, mask), SequenceLikelihood()(logits[:, :, :3], tokens[:, :3])
    )
    likelihood = next_token_likelihood(logits, tokens, mask)
    assert likelihood.tokens.tolist() == [2] * 6
    assert (SequenceLikelihood()(logits, tokens, torch.zeros_like(mask)) == 0).all()


def test_the_true_chains_have_the_loss_that_is_known():
    transitions = mixtures.MIXTURES["transition1"]
    tokens = mixtures.draw(transitions, 200, 32, seed=0).tokens
    logits = torch.from_numpy(np.log(transitions))[:, torch.from_numpy(tokens)].transpose(0, 1)
    losses = SequenceLikelihood()(logits, torch.from_numpy(tokens))
    np.testing.assert_allclose(losses, markov.chain_losses(tokens, transitions).min(1))


def test_a_configuration_chooses_who_learns():
    @dataclass
    class Recipe:
        loss: SequenceLikelihood

    tree = {"choice": {"class_path": "RelaxedMultipleChoice", "init_args": {"eps": 0.1}}}
    loss = Resolved(Recipe, {"loss": {"class_path": "SequenceLikelihood", "init_args": tree}}).build().loss
    assert isinstance(loss.choice, RelaxedMultipleChoice)
    assert loss.choice.eps == 0.1


def test_shapes_that_do_not_fit():
    logits, tokens = some()
    with pytest.raises(ValueError, match=r"found \(6, 3, 5, 4\), \(6, 4\) and None"):
        SequenceLikelihood()(logits, tokens[:, 1:])


def test_two_hypotheses_find_the_two_chains():
    """In twenty steps they do better than the best model of one opinion can, as neither has to find out which chain it is."""
    torch.manual_seed(0)
    transitions = mixtures.MIXTURES["transition1"]
    adapters = LowRankAdapters(["*.query", "*.key", "*.value", "*.attention.output"], hypotheses=2, rank=64, alpha=64.0)
    model, loss = GPT(2, context=32, window=5, scaled=False, adapters=adapters), SequenceLikelihood()
    optimizer = torch.optim.AdamW(model.parameter_groups(), lr=3e-3)
    for tokens in torch.from_numpy(mixtures.draw(transitions, 20 * 32, 32, seed=0).tokens).split(32):
        optimizer.zero_grad()
        loss(model(tokens), tokens).mean().backward()
        optimizer.step()
    held_out = mixtures.draw(transitions, 100, 32, seed=0, split=1)
    with torch.no_grad():
        logits = model(tokens := torch.from_numpy(held_out.tokens))
    assert loss(logits, tokens).mean() < markov.mixture_losses(held_out.tokens, transitions).mean() - 0.005
    assigned, _ = markov.match_chains(markov.average_predictions(logits, tokens), transitions)
    winners = loss.assign(logits, tokens).numpy()
    assert (winners == np.array(assigned)[held_out.chains]).mean() > 0.9
