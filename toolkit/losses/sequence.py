"""Losses of next-token models: the negative log-likelihood of sequences, shared among hypotheses by multiple-choice learning.

A whole sequence is one reference; what competes for it are K hypotheses of all of its tokens (Letzelter et al. 2025,
"LoRA-MCL").  Who learns from it is said by the same classes as in separation (`toolkit/losses/multiple_choice.py`).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.losses.base import PairwiseLoss, WeightedPairs
from toolkit.losses.multiple_choice import MultipleChoice


class TokenLikelihood(NamedTuple):
    """How probable sequences are to a model, in nats.

    Attributes:
        nll: (B, K), negative log-likelihood of all tokens that count, under each hypothesis.
        tokens: (B), how many they are.
    """

    nll: Tensor
    tokens: Tensor

    @property
    def per_token(self) -> Tensor:
        """(B, K); 0 of a sequence in which no token counts."""
        return self.nll / self.tokens.clamp(min=1)[:, None]


def next_token_likelihood(logits: Tensor, tokens: Tensor, mask: Tensor | None = None) -> TokenLikelihood:
    """The likelihood of each token but the first, given those before it.

    Args:
        logits: (B, L, V), or (B, K, L, V) of hypotheses: at place l, what follows token l.
        tokens: (B, L), what was read.
        mask: (B, L), true for the tokens that count; all but the first if None.

    Raises:
        ValueError: the shapes do not fit.
    """
    logits = logits[:, None] if logits.ndim == 3 else logits
    if logits.shape[:1] + logits.shape[2:3] != tokens.shape or (mask is not None and mask.shape != tokens.shape):
        found = tuple(logits.shape), tuple(tokens.shape), None if mask is None else tuple(mask.shape)
        raise ValueError("expected logits (B, K, L, V), tokens (B, L) and a mask alike, found {}, {} and {}".format(*found))
    predicted, following = logits[:, :, :-1], tokens[:, None, 1:].expand(-1, logits.shape[1], -1)
    nll = F.cross_entropy(predicted.flatten(0, 2), following.flatten(), reduction="none").view_as(following)
    counted = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
    counted = counted[:, 1:]
    return TokenLikelihood(nll.masked_fill(~counted[:, None], 0).sum(-1), counted.sum(-1))


class GivenDistance(PairwiseLoss):
    """Distances that are known before: what comes as estimates, (B, K), are their distances from the one reference (B, 1)."""

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Map (B, K), and a reference (B, 1) that holds nothing, to (B, K, 1)."""
        return estimate[..., None]


class SequenceLikelihood(nn.Module):
    """Negative log-likelihood of sequences; of several hypotheses, as multiple-choice learning has it.

    Args:
        choice: who learns from a sequence; winner takes all if null.  `{class_path: RelaxedMultipleChoice, init_args: {eps:
            0.1}}` gives the losers a share too.
        per_token: whether a sequence counts by the mean over its tokens, as in the released code, and not by their sum.  It
            matters to a temperature, and where sequences are of different lengths.
    """

    def __init__(self, choice: Callable[[PairwiseLoss], WeightedPairs] | None = None, per_token: bool = True) -> None:
        super().__init__()
        self.choice = (choice or MultipleChoice)(GivenDistance())
        self.per_token = per_token

    def forward(self, logits: Tensor, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map logits (B, L, V) or (B, K, L, V), tokens (B, L) and a mask (B, L) of those that count to losses (B)."""
        losses = self._losses(logits, tokens, mask)
        return losses[:, 0] if losses.shape[1] == 1 else self.choice(losses, losses.new_zeros(len(losses), 1))

    def assign(self, logits: Tensor, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The hypothesis that serves each sequence, (B)."""
        losses = self._losses(logits, tokens, mask)
        return self.choice.assign(losses, losses.new_zeros(len(losses), 1))[:, 0]

    def start_epoch(self, epoch: int) -> None:
        """Told before each epoch, the first being 0."""
        self.choice.start_epoch(epoch)

    def _losses(self, logits: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        likelihood = next_token_likelihood(logits, tokens, mask)
        return likelihood.per_token if self.per_token else likelihood.nll
