"""Loudness against pyloudnorm, with which LibriMix was made."""

import numpy as np
import pytest

from toolkit.dsp.loudness import integrated_loudness

pyloudnorm = pytest.importorskip("pyloudnorm")


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("seconds", [0.4, 0.43, 0.449, 0.451, 0.5, 1.37, 6.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_equals_pyloudnorm(rate: int, seconds: float, channels: int) -> None:
    rng = np.random.default_rng(0)
    time = int(seconds * rate)
    envelope = np.repeat(rng.random(time // 4000 + 1) ** 3, 4000)[:time]
    waveform = 0.1 * envelope * rng.standard_normal((channels, time))
    expected = pyloudnorm.Meter(rate).integrated_loudness(waveform.T)
    assert integrated_loudness(waveform, rate) == pytest.approx(expected, abs=1e-6)


def test_quiet_speech_below_the_gate() -> None:
    waveform = 1e-5 * np.random.default_rng(0).standard_normal(16000)
    assert integrated_loudness(waveform, 16000) == pyloudnorm.Meter(16000).integrated_loudness(waveform) == -np.inf
