"""What a model of token sequences promises: logits of every next token, a state to go on from, and sequences of its own."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from toolkit.models.base import Model


class LanguageModel(Model):
    """Tokens to what may come next, perhaps by several hypotheses.

    Letters: B sequences, L tokens, V tokens that there are, K hypotheses.  A model of hypotheses works on N = B · K rows, row
    b · K + k being sequence b as hypothesis k continues it.

    Attributes:
        vocabulary: V.
        context: the longest sequence, in tokens.
        hypotheses: K; None for a model that has one opinion, and no axis for it.
        sight: how many of the last tokens a prediction rests on; None for all of them.
    """

    vocabulary: int
    context: int
    hypotheses: int | None = None
    sight: int | None = None

    @abstractmethod
    def step(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Map the next tokens (N, L) to logits (N, L, V) of what follows each; the state is None at the start.

        Raises:
            ValueError: the sequence grows longer than `context`.
        """

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, L) to logits (B, L, V), or (B, K, L, V) of hypotheses."""
        if self.hypotheses is None:
            return self.step(tokens)[0]
        return self.step(tokens.repeat_interleave(self.hypotheses, 0))[0].unflatten(0, (-1, self.hypotheses))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What is trained: matrices, and without weight decay vectors."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [parameter for parameter in trained if parameter.ndim > 1]},
            {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]

    @torch.no_grad()
    def generate(
        self,
        prompt: Tensor,
        length: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        stop: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Continue sequences.

        Args:
            prompt: (B, P), P at least 1.
            length: tokens to add.
            temperature: what the logits are divided by; 0 takes the likeliest token.
            top_k: how many of the likeliest tokens are drawn from; all if None.
            stop: the token that ends a sequence, and fills it up.
            generator: of the random numbers.

        Returns:
            (B, P + length), or (B, K, P + length), each hypothesis going its own way.
        """
        training = self.training
        self.eval()
        tokens = prompt if self.hypotheses is None else prompt.repeat_interleave(self.hypotheses, 0)
        ended = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
        state, heard = None, tokens
        for _ in range(length):
            logits, state = self.step(heard, state)
            drawn = sample(logits[:, -1], temperature, top_k, generator)
            if stop is not None:
                drawn = drawn.masked_fill(ended, stop)
                ended = ended | (drawn == stop)
            heard = drawn[:, None]
            tokens = torch.cat([tokens, heard], dim=1)
        self.train(training)
        return tokens if self.hypotheses is None else tokens.unflatten(0, (-1, self.hypotheses))


def sample(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """Draw a token (N) from logits (N, V), see `LanguageModel.generate`.

    Raises:
        ValueError: the temperature is negative, or nothing is to be drawn from.
    """
    if temperature < 0 or (top_k is not None and top_k < 1):
        raise ValueError(f"expected a temperature of 0 or more and top_k of 1 or more, found {temperature:g} and {top_k}")
    if temperature == 0:
        return logits.argmax(-1)
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
