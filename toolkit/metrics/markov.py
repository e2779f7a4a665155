"""What a next-token model can reach on mixtures of Markov chains: entropy rates, optima, and the matrices that it has learned.

A mixture draws one of C chains over V states for a whole sequence, all chains alike (Letzelter et al. 2025, "LoRA-MCL", the
toy experiment).  A model of one hypothesis can at best infer the chain from what it has read; with a hypothesis a chain, the
winner of a sequence need not infer anything.  All losses are in nats a predicted token, that is, divided by T - 1: the first
token of a sequence is read and not predicted.  Where a function is told `joint`, the first token's entropy is counted too,
still over T - 1.

Letters of the shapes: C chains, V states, T tokens of a sequence, K hypotheses, N sequences.  A chain is a matrix (V, V) whose
row i holds the probabilities of what follows state i; `initial` holds the probabilities of the first tokens, (C, V).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaln, logsumexp, xlogy
from torch import Tensor

from toolkit.dsp.chains import Floats, stationary


def entropy_rate(transitions: Floats) -> Floats:
    """Entropy rates (...) of chains (..., V, V) that run in their stationary laws."""
    rows = -xlogy(transitions, transitions).sum(-1)
    rate: Floats = (stationary(transitions) * rows).sum(-1)
    return rate


def posterior_average(transitions: Floats, initial: Floats | None = None) -> Floats:
    """What one chain for all of the mixture looks like, (V, V): rows weighted by how often each chain is in their state.

    Args:
        transitions: (C, V, V).
        initial: (C, V), how often; the stationary laws if None.
    """
    weights = stationary(transitions) if initial is None else initial
    average: Floats = (weights[..., None] * transitions).sum(0) / weights.sum(0)[:, None]
    return average


class SequenceTypes(NamedTuple):
    """All sequences of two states, those with equally many of each transition taken together.

    Attributes:
        first: (N,), their first token.
        transitions: (N, 2, 2), how often which token follows which.
        log_count: (N,), the logarithm of how many sequences there are of each type.
    """

    first: NDArray[np.int64]
    transitions: NDArray[np.int64]
    log_count: Floats

    def losses(self, transitions: Floats) -> Floats:
        """Negative log-likelihoods (N, C) under chains (C, 2, 2), given the first token."""
        nll: Floats = -xlogy(self.transitions[:, None], transitions).sum((-1, -2))
        return nll


@functools.lru_cache(maxsize=8)
def sequence_types(length: int) -> SequenceTypes:
    """The types of the 2^T sequences of T tokens: about T² of them, so that sums over all sequences are exact and quick.

    A sequence that begins with a, has r_a runs of a and r_b of b, is any of C(n_a - 1, r_a - 1) · C(n_b - 1, r_b - 1).

    Raises:
        ValueError: there is no token.
    """
    if length < 1:
        raise ValueError(f"length: expected at least 1, found {length}")
    first, transitions, log_count = [], [], []
    for begin, switches in itertools.product((0, 1), range(length)):
        runs, others = switches // 2 + 1, (switches + 1) // 2
        for tokens in range(runs, length - others + 1) if others else (length,):
            rest = length - tokens
            moves = np.zeros((2, 2), dtype=np.int64)
            moves[begin, begin], moves[begin, 1 - begin] = tokens - runs, others
            moves[1 - begin, 1 - begin], moves[1 - begin, begin] = rest - others, runs - 1
            first.append(begin)
            transitions.append(moves)
            log_count.append(_log_choose(tokens - 1, runs - 1) + (_log_choose(rest - 1, others - 1) if others else 0.0))
    return SequenceTypes(np.array(first), np.stack(transitions), np.array(log_count))


def mixture_loss(transitions: Floats, length: int, initial: Floats | None = None, joint: bool = False) -> float:
    """The least loss of one next-token model that reads all of the past: the entropy of the mixture, exactly.

    Args:
        transitions: (C, 2, 2), chains of two states; for others see `mixture_losses`.
        length: T.
        initial: (C, 2); the stationary laws if None.
        joint: whether the entropy of the first token is counted.
    """
    types, logs, first = _types(transitions, length, initial)
    surprise = -logsumexp(logs, axis=1) + np.log(len(transitions))
    if not joint:
        surprise = surprise + np.log(first.mean(0))[types.first]
    return float((_mass(types, logs) * surprise).sum() / (length - 1))


def winner_loss(transitions: Floats, length: int, initial: Floats | None = None) -> float:
    """The loss of the true chains when the better one of a sequence takes it, exactly.

    Args:
        transitions: (C, 2, 2), chains of two states; for others see `chain_losses`.
        length: T.
        initial: (C, 2); the stationary laws if None.
    """
    types, logs, _ = _types(transitions, length, initial)
    return float((_mass(types, logs) * types.losses(transitions).min(1)).sum() / (length - 1))


def choice_band(transitions: Floats, length: int, initial: Floats | None = None, joint: bool = False) -> tuple[float, float]:
    """Between what the optimum of winner-takes-all lies, with a hypothesis a chain.

    From (H(x) - ln C) / (T - 1), as naming the winner takes at most ln C nats, up to the mean entropy rate, which the true
    chains have under their own labels.

    Args:
        transitions: (C, 2, 2).
        length: T.
        initial: (C, 2); the stationary laws if None.
        joint: whether H counts the first token.
    """
    lower = mixture_loss(transitions, length, initial, joint) - np.log(len(transitions)) / (length - 1)
    return float(lower), float(entropy_rate(transitions).mean())


def windowed_loss(transitions: Floats, length: int, sight: int, initial: Floats | None = None) -> float:
    """The least loss of a next-token model that knows where in the sequence it is and reads the last `sight` tokens only.

    Attention over a window of w tokens in each of n layers sees 1 + n (w - 1) of them.

    Args:
        transitions: (C, V, V), of any number of states; V^(sight + 1) terms are summed.
        length: T.
        sight: tokens, at least 1.
        initial: (C, V); the stationary laws if None.
    """
    transitions = np.asarray(transitions, dtype=np.float64)
    chains, states, _ = transitions.shape
    law = stationary(transitions) if initial is None else np.asarray(initial, dtype=np.float64)
    total = 0.0
    for place in range(1, length):
        if place > sight:
            law = np.einsum("cv,cvw->cw", law, transitions)
        joint = law  # (C, ..., V): of the tokens in sight and then of the next one too
        for _ in range(min(place, sight)):
            joint = joint[..., None] * transitions.reshape(chains, *[1] * (joint.ndim - 2), states, states)
        total += _conditional_entropy(joint.mean(0).reshape(-1, states))
    return total / (length - 1)


def chain_losses(tokens: NDArray[Any], transitions: Floats) -> Floats:
    """Losses (N, C) of each chain on sequences (N, T), given the first token; their minimum is what winner-takes-all sees."""
    with np.errstate(divide="ignore"):
        logs = np.log(np.asarray(transitions, dtype=np.float64))
    nll: Floats = -logs[:, tokens[:, :-1], tokens[:, 1:]].sum(-1).T
    return nll / (tokens.shape[1] - 1)


def mixture_losses(tokens: NDArray[Any], transitions: Floats, initial: Floats | None = None, joint: bool = False) -> Floats:
    """Losses (N) of the true mixture on sequences (N, T): their mean is what the best model of one hypothesis has on these.

    Args:
        tokens: (N, T), states.
        transitions: (C, V, V), of any number of states.
        initial: (C, V); the stationary laws if None.
        joint: whether the first token counts.
    """
    predicted = tokens.shape[1] - 1
    first = np.log(stationary(transitions) if initial is None else initial)[:, tokens[:, 0]].T
    surprise = -logsumexp(first - chain_losses(tokens, transitions) * predicted, axis=1)
    surprise = surprise + (np.log(len(transitions)) if joint else logsumexp(first, axis=1))
    losses: Floats = surprise / predicted
    return losses


def recover_transitions(predict: Callable[[Tensor], Tensor], states: int, device: torch.device | str = "cpu") -> Floats:
    """The matrices (K, V, V) that a next-token model holds, read off what it says after each state alone.

    So does the released code.  Where a model reads more than one token, `average_predictions` says what it does in sequences,
    and may be nearer to the chains: a hypothesis sees few sequences that begin as the other's do.

    Args:
        predict: maps tokens (V, 1) to logits (V, 1, V), or (V, K, 1, V) of K hypotheses.
        states: V.
        device: where the tokens are put.
    """
    with torch.no_grad():
        logits = predict(torch.arange(states, device=device)[:, None])
    logits = logits[:, None] if logits.ndim == 3 else logits
    matrices: Floats = logits[:, :, -1].double().softmax(-1).transpose(0, 1).cpu().numpy()
    return matrices


def average_predictions(logits: Tensor, tokens: Tensor) -> Floats:
    """The matrices (K, V, V) of what a model says after each state on the average of sequences.

    Args:
        logits: (B, L, V), or (B, K, L, V) of K hypotheses.
        tokens: (B, L), what it had read last.
    """
    logits = logits[:, None] if logits.ndim == 3 else logits
    after = torch.nn.functional.one_hot(tokens, logits.shape[-1]).double()
    sums = torch.einsum("bls,bklv->ksv", after, logits.double().softmax(-1))
    matrices: Floats = (sums / after.sum((0, 1))[:, None]).cpu().numpy()
    return matrices


def match_chains(recovered: Floats, transitions: Floats) -> tuple[list[int], float]:
    """Which recovered matrix stands for which chain, and how far they are apart.

    Args:
        recovered: (K, V, V), K at least C.
        transitions: (C, V, V).

    Returns:
        For each chain the hypothesis that is given to it, each at most once, and the mean absolute error of the entries.

    Raises:
        ValueError: there are fewer matrices than chains.
    """
    if len(recovered) < len(transitions):
        raise ValueError(f"recovered: expected at least {len(transitions)} matrices, found {len(recovered)}")
    apart = np.abs(np.asarray(transitions)[:, None] - recovered).mean((-1, -2))
    chains, hypotheses = linear_sum_assignment(apart)
    return hypotheses.tolist(), float(apart[chains, hypotheses].mean())


def _types(transitions: Floats, length: int, initial: Floats | None) -> tuple[SequenceTypes, Floats, Floats]:
    """Types of the sequences, log-probabilities (N, C) of one of each under the chains, and the laws of the first token."""
    transitions = np.asarray(transitions, dtype=np.float64)
    if transitions.shape[1:] != (2, 2):
        raise ValueError(f"transitions: expected chains of two states (C, 2, 2), found {transitions.shape}")
    if length < 2:
        raise ValueError(f"length: expected at least 2 tokens, found {length}")
    first = stationary(transitions) if initial is None else np.asarray(initial, dtype=np.float64)
    types = sequence_types(length)
    with np.errstate(divide="ignore"):
        return types, np.log(first)[:, types.first].T - types.losses(transitions), first


def _mass(types: SequenceTypes, logs: Floats) -> Floats:
    """Probabilities (N) of the types under the mixture."""
    mass: Floats = np.exp(types.log_count + logsumexp(logs, axis=1) - np.log(logs.shape[1]))
    return mass


def _conditional_entropy(joint: Floats) -> float:
    """Entropy of the column given the row, of probabilities (rows, V)."""
    return float(xlogy(joint.sum(1), joint.sum(1)).sum() - xlogy(joint, joint).sum())


def _log_choose(n: int, k: int) -> float:
    return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
