"""How much of melodies and pictures comes back from their codes."""

from __future__ import annotations

from torch import Tensor


def token_accuracy(logits: Tensor, tokens: Tensor) -> Tensor:
    """Share of the tokens of each melody that are the most probable ones: logits (B, T, V) and tokens (B, T) to (B)."""
    return (logits.argmax(-1) == tokens).float().mean(-1)


def pixel_accuracy(logits: Tensor, pictures: Tensor) -> Tensor:
    """Share of the pixels of each picture that are on the right side of one half: both (B, …), the pictures 0 to 1, to (B)."""
    return ((logits >= 0) == (pictures >= 0.5)).flatten(1).float().mean(-1)
