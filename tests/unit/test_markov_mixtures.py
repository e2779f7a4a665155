"""Mixtures of Markov chains: what is drawn, what a model can reach on it, and what it has learned."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.corpora import _markov_mixtures as mixtures
from toolkit.corpora import markov_mixtures
from toolkit.dsp import chains
from toolkit.metrics import markov

FIRST, SECOND = mixtures.MIXTURES["transition1"], mixtures.MIXTURES["transition2"]
probabilities = st.floats(0.05, 0.95)
chains_of_two = st.tuples(probabilities, probabilities, probabilities, probabilities).map(
    lambda p: np.stack([chains.two_state(*p[:2]), chains.two_state(*p[2:])])
)


def test_entropy_rates_are_known():
    assert markov.entropy_rate(FIRST) == pytest.approx([0.4685, 0.5476], abs=5e-5)
    assert markov.entropy_rate(SECOND) == pytest.approx([0.5593, 0.5476], abs=5e-5)


@pytest.mark.parametrize(
    ("name", "mixture", "joint", "lower", "upper", "winner"),
    [
        ("transition1", 0.5241, 0.5464, 0.5017, 0.5081, 0.5075),
        ("transition2", 0.5639, 0.5745, 0.5529, 0.5535, 0.5537),
    ],
)
def test_yardsticks_are_those_of_a_simulation(name, mixture, joint, lower, upper, winner):
    """Figures from one simulation of 200,000 sequences, with its error; ours are sums over all sequences."""
    transitions, length = mixtures.MIXTURES[name], markov_mixtures.LENGTHS[name][0]
    error = 7e-4 if name == "transition1" else 4e-4  # three times the standard error
    assert markov.mixture_loss(transitions, length) == pytest.approx(mixture, abs=error)
    assert markov.mixture_loss(transitions, length, joint=True) == pytest.approx(joint, abs=error)
    assert markov.choice_band(transitions, length) == pytest.approx((lower, upper), abs=error)
    assert markov.winner_loss(transitions, length) == pytest.approx(winner, abs=error)


@pytest.mark.parametrize("beginning", mixtures.BEGINNINGS)
def test_a_simulation_of_ours_agrees(beginning):
    initial = mixtures.first_token_law(FIRST, beginning)
    tokens, _ = mixtures.draw(FIRST, 20_000, 32, seed=0, beginning=beginning)
    assert markov.mixture_losses(tokens, FIRST, initial).mean() == pytest.approx(
        markov.mixture_loss(FIRST, 32, initial), abs=3e-3
    )
    assert markov.chain_losses(tokens, FIRST).min(1).mean() == pytest.approx(markov.winner_loss(FIRST, 32, initial), abs=3e-3)
    joint = markov.mixture_losses(tokens, FIRST, initial, joint=True).mean()
    assert joint == pytest.approx(markov.mixture_loss(FIRST, 32, initial, joint=True), abs=3e-3)


@settings(max_examples=15, deadline=None)
@given(transitions=chains_of_two, length=st.integers(2, 7), law=st.tuples(probabilities, probabilities))
def test_types_stand_for_all_sequences(transitions, length, law):
    """The quick sums are those over every single sequence."""
    initial = np.array([[law[0], 1 - law[0]], [law[1], 1 - law[1]]])
    tokens = np.array(list(itertools.product((0, 1), repeat=length)))
    likelihoods = initial[:, tokens[:, 0]].T * np.exp(-markov.chain_losses(tokens, transitions) * (length - 1))
    mass = likelihoods.mean(1)
    assert mass.sum() == pytest.approx(1)
    for joint in (False, True):
        every = (mass * markov.mixture_losses(tokens, transitions, initial, joint)).sum()
        assert markov.mixture_loss(transitions, length, initial, joint) == pytest.approx(every)
    winners = (mass * markov.chain_losses(tokens, transitions).min(1)).sum()
    assert markov.winner_loss(transitions, length, initial) == pytest.approx(winners)
    assert markov.windowed_loss(transitions, length, length, initial) == pytest.approx(
        markov.mixture_loss(transitions, length, initial)
    )


def test_there_are_two_to_the_length_sequences():
    types = markov.sequence_types(20)
    assert np.exp(types.log_count).sum() == pytest.approx(2**20)
    assert (types.transitions.sum((1, 2)) == 19).all()


def test_who_sees_more_can_do_better():
    losses = [markov.windowed_loss(FIRST, 32, sight) for sight in (1, 3, 9, 12)]
    assert losses == sorted(losses, reverse=True)
    average = markov.posterior_average(FIRST)
    one_chain = (chains.stationary(FIRST).mean(0) * -(average * np.log(average)).sum(1)).sum()
    assert losses[0] == pytest.approx(one_chain)  # one token in sight: the posterior-weighted average is the optimum
    assert losses[-1] > markov.mixture_loss(FIRST, 32)


def test_chains_move_as_their_matrices_say():
    tokens, drawn = mixtures.draw(SECOND, 4000, 64, seed=3)
    assert tokens.shape == (4000, 64)
    assert abs((drawn == 0).mean() - 0.5) < 0.03
    for chain in (0, 1):
        own = tokens[drawn == chain]
        assert own[:, 0].mean() == pytest.approx(chains.stationary(SECOND)[chain, 1], abs=0.04)
        for state in (0, 1):
            followed = own[:, 1:][own[:, :-1] == state]
            assert followed.mean() == pytest.approx(SECOND[chain, state, 1], abs=0.01)
    assert mixtures.draw(SECOND, 4000, 4, seed=3, beginning="uniform").tokens[:, 0].mean() == pytest.approx(0.5, abs=0.03)


def test_draws_repeat_with_the_seed_and_differ_between_splits():
    one, same = mixtures.draw(FIRST, 50, 32, seed=1), mixtures.draw(FIRST, 50, 32, seed=1)
    assert (one.tokens == same.tokens).all()
    assert (one.tokens != mixtures.draw(FIRST, 50, 32, seed=1, split=1).tokens).any()


def test_chains_of_three_states():
    chain = np.array([[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]])
    tokens, _ = mixtures.draw(chain, 5, 9, seed=0)
    assert ((tokens[:, 1:] - tokens[:, :-1]) % 3 == 1).all()
    assert markov.chain_losses(tokens, chain).max() == 0
    assert markov.windowed_loss(chain, 9, 2) == pytest.approx(0)


def test_matrices_are_read_off_a_model():
    """The true chains as a model of two hypotheses, in the other order."""
    logits = torch.from_numpy(np.log(FIRST[::-1]))
    matrices = markov.recover_transitions(lambda tokens: logits[:, tokens].transpose(0, 1), states=2)
    assert markov.match_chains(matrices, FIRST) == ([1, 0], pytest.approx(0))
    tokens = torch.from_numpy(mixtures.draw(FIRST, 10, 32, seed=0).tokens)
    heard = markov.average_predictions(logits[:, tokens].transpose(0, 1), tokens)
    np.testing.assert_allclose(heard, matrices)
    single = markov.recover_transitions(lambda tokens: logits[0, tokens], states=2)
    np.testing.assert_allclose(single[0], FIRST[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chains.stationary(np.ones((2, 2))), "expected rows of probabilities"),
        (lambda: markov.mixture_loss(np.eye(3)[None], 4), r"expected chains of two states \(C, 2, 2\), found \(1, 3, 3\)"),
        (lambda: markov.mixture_loss(FIRST, 1), "expected at least 2 tokens, found 1"),
        (lambda: markov.match_chains(FIRST[:1], FIRST), "expected at least 2 matrices, found 1"),
        (lambda: mixtures.first_token_law(FIRST, "zero"), "expected one of stationary, uniform, found 'zero'"),
    ],
)
def test_what_markov_chains_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()
