"""How much of melodies and pictures comes back from their codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

AT_ONCE = 4096  # pictures


def token_accuracy(logits: Tensor, tokens: Tensor) -> Tensor:
    """Share of the tokens of each melody that are the most probable ones: logits (B, T, V) and tokens (B, T) to (B)."""
    return (logits.argmax(-1) == tokens).float().mean(-1)


def pixel_accuracy(logits: Tensor, pictures: Tensor) -> Tensor:
    """Share of the pixels of each picture that are on the right side of one half: both (B, …), the pictures 0 to 1, to (B)."""
    return ((logits >= 0) == (pictures >= 0.5)).flatten(1).float().mean(-1)


def most_frequent_tokens(tokens: NDArray[np.integer]) -> float:
    """Share of tokens (N, T) that are right if all melodies have the most frequent one at each place."""
    return float(np.mean([np.bincount(column).max() for column in tokens.T]) / len(tokens))


def most_frequent_pixels(pictures: NDArray[np.uint8]) -> float:
    """The same of pictures of black and white (N, H, W / 8), eight pixels of a row in a byte."""
    white = np.zeros((pictures.shape[1], 8 * pictures.shape[2]))
    for first in range(0, len(pictures), AT_ONCE):
        white += np.unpackbits(pictures[first : first + AT_ONCE], axis=-1).sum(0)
    return float(np.maximum(white, len(pictures) - white).mean() / len(pictures))
