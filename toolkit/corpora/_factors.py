"""Corpora that hold every combination of some factors of variation: an element's number has its factors as digits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray


def digits(numbers: ArrayLike, factors: Mapping[str, int], elements: str) -> NDArray[np.uint8]:
    """Factors (N, F) of elements (N).

    Args:
        numbers: of the elements, from 0.
        factors: how many values each has, up to 256; the last one changes fastest.
        elements: what they are, for the error.

    Raises:
        ValueError: there is no element of such a number.
    """
    found, count = np.asarray(numbers, np.int64).reshape(-1), math.prod(factors.values())
    if found.size and not 0 <= found.min() <= found.max() < count:
        raise ValueError(f"{elements}: expected numbers from 0 to {count - 1}, found {found.min()} to {found.max()}")
    return np.stack(np.unravel_index(found, tuple(factors.values())), axis=1).astype(np.uint8)
