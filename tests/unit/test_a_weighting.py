"""A-weighted loudness of frames."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.dsp import a_weighting
from toolkit.dsp.a_weighting import a_weighted_loudness

RATE = 16000


def test_the_weights_of_the_standard() -> None:
    frequencies = torch.tensor(
        [0.0, *(10 ** (n / 10) for n in (15, 21, 30, 36, 42))]
    )  # IEC 61672, table 3: 31.5 Hz is 10^1.5 Hz
    expected = torch.tensor([-80.0, -39.4, -16.1, 0.0, 1.0, -6.6])
    torch.testing.assert_close(a_weighting.a_weighting(frequencies), expected, atol=0.06, rtol=0)


def test_silence_is_the_least_and_noise_of_amplitude_one_about_the_reference() -> None:
    assert (a_weighted_loudness(torch.zeros(2, 1000), RATE) == -80).all()
    noise = a_weighted_loudness(torch.randn(RATE), RATE)[:200]
    assert -8 < noise.mean() < 12


@given(time=st.integers(0, 5000), hop=st.sampled_from([64, 100, 256]))
def test_a_frame_begins_at_every_hop(time: int, hop: int) -> None:
    assert a_weighted_loudness(torch.ones(3, time), RATE, hop_length=hop).shape == (3, -(-time // hop))


def test_a_frame_sees_only_its_own_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    waveform = torch.randn(2, 6000, dtype=torch.float64)
    whole = a_weighted_loudness(waveform, RATE)
    begin = 640  # ten hops
    torch.testing.assert_close(a_weighted_loudness(waveform[:, begin:], RATE), whole[:, 10:])
    monkeypatch.setattr(a_weighting, "AT_ONCE", 1)  # frame by frame
    torch.testing.assert_close(a_weighted_loudness(waveform, RATE), whole)


def test_ten_times_the_amplitude_is_twenty_decibels() -> None:
    tone = torch.from_numpy(np.random.default_rng(0).standard_normal(4096)).float()
    quiet, loud = a_weighted_loudness(tone, RATE)[:8], a_weighted_loudness(10 * tone, RATE)[:8]
    torch.testing.assert_close(loud - quiet, torch.full((8,), 20.0), atol=0.5, rtol=0)  # 0 Hz stays at the least
    assert torch.isfinite(torch.autograd.grad(a_weighted_loudness(tone.requires_grad_(), RATE).sum(), tone)[0]).all()
