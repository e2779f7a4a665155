"""What the sequences of one item cost, and how far what was learned of a mixture of Markov chains is from it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolkit.metrics import markov

WINNER, MIXTURE, EACH = "winner", "mixture", "each"  # whose loss: the best one's, all together as equals, each by itself


def of_all(nll: Tensor) -> dict[str, Tensor]:
    """Negative log-likelihoods (N) by whose they are, given those of K hypotheses (N, K)."""
    mixture = math.log(nll.shape[1]) - torch.logsumexp(-nll, 1)
    return {WINNER: nll.min(1).values, MIXTURE: mixture, EACH: nll.mean(1)}


def yardsticks(labels: dict[str, Any], tokens: np.ndarray, sight: int | None) -> dict[str, float]:
    """What can be reached on a mixture of Markov chains, in nats a predicted token.

    Args:
        labels: of the item: `transitions`, `initial`, `length`.
        tokens: (N, T), its sequences.
        sight: how many of the last tokens the model sees; all if None.

    Returns:
        By `given_first` and `joint`, the two conventions of the first token (it is read alone, or its entropy counts too):
        `mle_line`, the entropy of the mixture, and `band_low`.  `band_high/entropy_rate` is the mean entropy rate.
        `mle_line/in_sight` is the best that a model of that sight can do, `…/on_these` what the truth has on these sequences,
        `true_chains` the better one of the true chains for each sequence.
    """
    transitions, initial = np.array(labels["transitions"]), np.array(labels["initial"])
    length = int(labels["length"])
    figures: dict[str, float] = {}
    for way, joint in (("given_first", False), ("joint", True)):
        figures[f"mle_line/{way}"] = markov.mixture_loss(transitions, length, initial, joint)
        figures[f"band_low/{way}"], figures["band_high/entropy_rate"] = markov.choice_band(transitions, length, initial, joint)
    if sight is not None:
        figures["mle_line/in_sight"] = markov.windowed_loss(transitions, length, sight, initial)
    figures["mle_line/on_these"] = float(markov.mixture_losses(tokens, transitions, initial).mean())
    figures["true_chains/given_first"] = markov.winner_loss(transitions, length, initial)
    figures["true_chains/on_these"] = float(markov.chain_losses(tokens, transitions).min(1).mean())
    return figures


def transition_errors(labels: dict[str, Any], stored: dict[str, Any]) -> dict[str, float]:
    """Mean absolute errors of the learned matrices: of one, from the chains' average; of more, from the chains.

    Args:
        labels: of the item: `transitions`, (C, V, V).
        stored: what was predicted of it: `alone` and `in_sequences`, (K, V, V).
    """
    truth = np.array(labels["transitions"])
    found: dict[str, float] = {}
    for way in ("alone", "in_sequences"):
        learned = np.array(stored[way])
        single = len(learned) < len(truth)
        apart = (
            np.abs(learned[0] - markov.posterior_average(truth)).mean() if single else markov.match_chains(learned, truth)[1]
        )
        found[f"transition_error/{way}"] = float(apart)
    return found
