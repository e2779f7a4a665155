"""Change of the sample rate with MATLAB's filter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from toolkit.dsp.resample import resample, resample_blocks


def matlab_resample(x: np.ndarray, p: int, q: int) -> np.ndarray:
    """The steps of MATLAB's resample.m (p and q in lowest terms), filter design by least squares included."""
    half = 10 * max(p, q)
    n = np.arange(-half, half + 1)
    h = np.sinc(n / max(p, q)) / max(p, q) * np.kaiser(2 * half + 1, 5)  # firls without a transition band is the cut sinc
    h = p * h / h.sum()
    zeros = q - half % q  # so that one of the kept outputs falls on the filter's centre
    y = signal.upfirdn(np.concatenate([np.zeros(zeros), h]), np.append(x, np.zeros(q)), p, q)
    delay = (half + zeros) // q
    return y[delay : delay + -(-len(x) * p // q)]


@pytest.mark.parametrize(("rate", "new_rate"), [(16000, 8000), (44100, 16000), (8000, 16000), (48000, 44100)])
@pytest.mark.parametrize("time", [1, 160, 4001, 200_003])
def test_equals_the_steps_of_matlab(rate: int, new_rate: int, time: int) -> None:
    x = np.random.default_rng(0).standard_normal(time)
    divisor = np.gcd(rate, new_rate)
    expected = matlab_resample(x, new_rate // divisor, rate // divisor)
    np.testing.assert_allclose(resample(x, rate, new_rate), expected, atol=1e-12)


def test_length_is_rounded_up_and_a_tone_keeps_its_phase() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(8001) / 16000)
    half = resample(tone, 16000, 8000)
    assert half.shape == (4001,)
    np.testing.assert_allclose(half[100:-100], tone[::2][100:-100], atol=2e-3)


def test_the_type_is_kept_and_channels_are_independent() -> None:
    stereo = np.random.default_rng(0).standard_normal((2, 1000)).astype(np.float32)
    resampled = resample(stereo, 16000, 8000)
    assert resampled.dtype == np.float32
    np.testing.assert_array_equal(resampled[1], resample(stereo[1], 16000, 8000))
    assert resample(stereo, 16000, 16000) is stereo


@pytest.mark.parametrize(("rate", "new_rate"), [(16000, 8000), (44100, 48000), (48000, 44100), (8000, 44100), (8000, 8000)])
@settings(max_examples=15)
@given(lengths=st.lists(st.integers(0, 700), min_size=1, max_size=8))
def test_blocks_give_what_the_whole_gives(rate: int, new_rate: int, lengths: list[int]) -> None:
    whole = np.random.default_rng(0).standard_normal((2, sum(lengths) + 1)).astype(np.float32)
    blocks = np.split(whole, np.cumsum(lengths), axis=-1)
    made = np.concatenate(list(resample_blocks(blocks, rate, new_rate)), axis=-1)
    np.testing.assert_allclose(made, resample(whole, rate, new_rate), atol=1e-5)


def test_of_blocks_no_more_is_held_than_one_and_the_filter_s_reach() -> None:
    blocks = (np.zeros(1000, np.float32) for _ in range(50))
    assert max(block.size for block in resample_blocks(blocks, 48000, 44100)) <= 2 * 1000
