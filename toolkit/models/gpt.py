"""A small causal transformer over tokens, from embedding to logits on one page (Radford et al. 2019; Karpathy's nanoGPT)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks.low_rank import LowRankAdapters
from toolkit.models.language_model import LanguageModel

Past = tuple[Tensor, Tensor]  # keys and values, (N, heads, S, C / heads)


class GPTState(NamedTuple):
    """What is kept of the tokens read so far.

    Attributes:
        position: how many they are.
        layers: keys and values of each layer, of those tokens that a later one can see.
    """

    position: int
    layers: list[Past]


class GPT(LanguageModel):
    """Embedding → layers of attention and a two-layer perceptron, both after a norm and around a residual → norm → logits.

    Defaults: the toy of LoRA-MCL (Letzelter et al. 2025, released code), a GPT-Neo whose base stays as it was drawn while
    adapters of rank 64 learn in the four projections of its attention.  There, all layers look at a window, and the scores
    are not divided by √(C / heads): `scaled: false`.

    Args:
        vocabulary: V, tokens that there are.
        context: the longest sequence, in tokens, each place having an embedding of its own.
        layers: how many.
        heads: of each layer's attention.
        channels: C, a multiple of `heads`.
        window: tokens in each layer's sight, the present one among them; all if null.  With n layers, a prediction rests on the
            last 1 + n (window - 1) tokens.
        scaled: whether attention divides its scores by √(C / heads).
        dropout: share of values left out while training: of the embeddings, attention weights and both branches.
        tied: whether the logits' matrix is that of the embedding.
        spread: standard deviation of the first weights; √(2 layers) times less where a branch ends, as in GPT-2.
        adapters: low-rank adapters of K hypotheses; without them there is one opinion, and no axis for it.

    Raises:
        ValueError: the heads cannot share the channels, or nothing is in sight.
    """

    def __init__(
        self,
        vocabulary: int,
        context: int = 1024,
        layers: int = 2,
        heads: int = 2,
        channels: int = 64,
        window: int | None = None,
        scaled: bool = True,
        dropout: float = 0.0,
        tied: bool = True,
        spread: float = 0.02,
        adapters: LowRankAdapters | None = None,
    ) -> None:
        super().__init__()
        self.vocabulary, self.context = vocabulary, context
        self.sight = None if window is None else 1 + layers * (window - 1)
        self.tokens = nn.Embedding(vocabulary, channels)
        self.places = nn.Embedding(context, channels)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(channels, heads, window, scaled, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(channels)
        self.head = None if tied else nn.Linear(channels, vocabulary, bias=False)
        self._draw_weights(spread, layers)
        if adapters is not None:
            adapters.put_into(self)
            self.hypotheses = adapters.hypotheses

    def step(self, tokens: Tensor, state: GPTState | None = None) -> tuple[Tensor, GPTState]:
        """Map the next tokens (N, L) to logits (N, L, V); the state is None at the start.

        Raises:
            ValueError: the sequence is longer than the context.
        """
        begin = 0 if state is None else state.position
        end = begin + tokens.shape[1]
        if end > self.context:
            raise ValueError(f"tokens: expected at most context = {self.context} of a sequence, found {end}")
        x = self.dropout(self.tokens(tokens) + self.places(torch.arange(begin, end, device=tokens.device)))
        pasts = []
        for number, block in enumerate(self.blocks):
            x, past = block(x, None if state is None else state.layers[number])
            pasts.append(past)
        x = self.norm(x)
        return F.linear(x, self.tokens.weight) if self.head is None else self.head(x), GPTState(end, pasts)

    def _draw_weights(self, spread: float, layers: int) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith(("output.weight", "contract.weight")):
                nn.init.normal_(parameter, std=spread / math.sqrt(2 * layers))
            elif parameter.ndim > 1:
                nn.init.normal_(parameter, std=spread)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)


class Block(nn.Module):
    """One layer of the transformer."""

    def __init__(self, channels: int, heads: int, window: int | None, scaled: bool, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(channels)
        self.attention = CausalAttention(channels, heads, window, scaled, dropout)
        self.perceptron_norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, 4 * channels)
        self.contract = nn.Linear(4 * channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, past: Past | None = None) -> tuple[Tensor, Past]:
        """Map (N, L, C), and the keys and values of tokens before it, to (N, L, C) and those that later tokens can see."""
        found, past = self.attention(self.attention_norm(x), past)
        x = x + self.dropout(found)
        wide = F.gelu(self.expand(self.perceptron_norm(x)), approximate="tanh")
        return x + self.dropout(self.contract(wide)), past


class CausalAttention(nn.Module):
    """Attention of each token to itself and those before it, all of them or the last few.

    Args:
        channels: C.
        heads: they share the channels evenly.
        window: how many tokens each hears, itself among them; all of them if None.
        scaled: whether products are divided by the root of a head's channels, as in GPT-2.
        dropout: share of the attention left out while training.

    Raises:
        ValueError: the channels are no multiple of the heads, or the window is below 1.
    """

    def __init__(self, channels: int, heads: int, window: int | None, scaled: bool, dropout: float) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels: expected a multiple of heads = {heads}, found {channels}")
        if window is not None and window < 1:
            raise ValueError(f"window: expected at least 1 token, the present one, found {window}")
        self.heads, self.window, self.share = heads, window, dropout
        self.scale = None if scaled else 1.0  # None: torch's own, 1 / √(C / heads)
        self.query, self.key, self.value, self.output = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x: Tensor, past: Past | None = None) -> tuple[Tensor, Past]:
        """Map (N, L, C) to the same shape, and keep the keys and values that later tokens can see."""
        query, key, value = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        seen = _sight(query.shape[2], key.shape[2], self.window, x.device)
        share = self.share if self.training else 0.0
        found = F.scaled_dot_product_attention(query, key, value, seen, share, scale=self.scale)
        kept = 0 if self.window is None else max(0, key.shape[2] - self.window + 1)
        return self.output(found.transpose(1, 2).flatten(2)), (key[:, :, kept:], value[:, :, kept:])


def _sight(queries: int, keys: int, window: int | None, device: torch.device) -> Tensor:
    """Whether each of the last `queries` tokens of `keys` sees each, (queries, keys)."""
    places = torch.arange(keys, device=device)
    back = places[keys - queries :, None] - places
    return (back >= 0) if window is None else (back >= 0) & (back < window)
