"""Splitting at silence against librosa, and the random split against torch's own."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.corpora import _urmp_blocks

librosa = pytest.importorskip("librosa")


def bursts(seed: int, time: int) -> np.ndarray:
    """Noise whose level jumps between loud, faint and nothing."""
    rng = np.random.default_rng(seed)
    levels = 10.0 ** rng.uniform(-4, 0, 1 + time // 3000) * (rng.random(1 + time // 3000) < 0.7)
    return (rng.standard_normal(time) * np.repeat(levels, 3000)[:time]).astype(np.float32)


@given(seed=st.integers(0, 1 << 20), time=st.sampled_from([1, 511, 512, 2048, 16000, 50001]))
def test_stretches_that_are_not_silent(seed: int, time: int) -> None:
    samples = bursts(seed, time)
    expected = [(int(begin), int(end)) for begin, end in librosa.effects.split(samples, top_db=40)]
    assert _urmp_blocks.non_silent(samples) == expected


def test_silence_throughout() -> None:
    samples = np.zeros(5000, np.float32)
    assert _urmp_blocks.non_silent(samples) == [tuple(row) for row in librosa.effects.split(samples, top_db=40).tolist()]


@pytest.mark.parametrize("count", [5, 6, 40, 301])
def test_the_random_split(count: int) -> None:
    train = int(0.75 * count)
    test = (count - train) // 2
    torch.manual_seed(1234)
    parts = torch.utils.data.random_split(range(count), [train, count - train - test, test])
    expected = dict(zip(("train", "valid", "test"), (list(part.indices) for part in parts), strict=True))
    assert _urmp_blocks.random_split(count) == expected
