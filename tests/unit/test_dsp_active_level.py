"""Active speech level (ITU-T P.56)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from toolkit.dsp.active_level import active_level

RATE = 8000
# The prototype high-pass that the Recommendation's mask is met with: zeros and poles in s for an edge of 1 rad/s.
ZEROS = np.array([0, 0.37843443673309j, -0.37843443673309j, 0.23388534441447j, -0.23388534441447j])
POLES = np.array([-0.66793268833792, -0.20640255179496 + 0.73942185906851j, -0.54036889596392 + 0.45698784092898j])
POLES = np.concatenate([POLES, POLES[1:].conj()])


def plain_active_level(speech: np.ndarray, rate: int) -> float:
    """The algorithm sample by sample, thresholds one after the other."""
    x = np.concatenate([speech, np.zeros(int(np.ceil(0.35 * rate)))])
    warp = np.tan(200 * np.pi / rate)
    b, a = (np.poly(2 / (1 - roots * warp) - 1).real for roots in (ZEROS, POLES))
    x = signal.lfilter(b * np.polyval(a, -1) / np.polyval(b, -1), a, x)
    if rate >= 12100:
        warp = np.tan(5500 * np.pi / rate)
        b, a = (np.poly(2 / (roots / warp - 1) + 1).real for roots in (ZEROS, POLES))
        x = signal.lfilter(b * a.sum() / b.sum(), a, x)
    g = np.exp(-1 / (0.03 * rate))
    p = q = 0.0
    envelope = []
    for sample in np.abs(x):
        p = g * p + (1 - g) * sample
        q = g * q + (1 - g) * p
        envelope.append(q)
    top = np.floor(np.log2(max(envelope) ** 2)) + 1
    hangover = int(np.ceil(0.2 * rate)) + 1
    previous = None
    for j in range(1, 21):
        threshold = 2.0 ** (top - j) if j < 20 else 0.0  # the last bin takes all that is left
        since, active = hangover, 0
        for value in envelope:
            since = 0 if value**2 >= threshold else since + 1
            active += since < hangover
        level = 10 * np.log10((x**2).sum() / active)
        excess = level - 10 * np.log10(2) * (top - j) - 15.9
        if previous and previous[1] < 0 <= excess:
            share = previous[1] / (previous[1] - excess)
            return 10 ** ((previous[0] + share * (level - previous[0])) / 10)
        previous = (level, excess)
    return 10 ** (level / 10)


def tone_with_pauses(rate: int = RATE, seconds: float = 4.0, power: float = 0.02) -> np.ndarray:
    """1 s of a 1 kHz tone, 1 s of silence, and so on."""
    time = np.arange(int(seconds * rate)) / rate
    return np.sqrt(2 * power) * np.sin(2 * np.pi * 1000 * time) * (time % 2 < 1)


def test_pauses_do_not_count() -> None:
    assert 10 * np.log10(active_level(tone_with_pauses(), RATE)) == pytest.approx(10 * np.log10(0.02), abs=1.5)  # hang-over
    assert 10 * np.log10(np.mean(tone_with_pauses() ** 2)) == pytest.approx(10 * np.log10(0.01), abs=0.01)


def test_a_steady_tone_has_its_own_power() -> None:
    steady = np.sin(2 * np.pi * 1000 * np.arange(20 * RATE) / RATE)
    assert active_level(steady, RATE) == pytest.approx(0.5, rel=0.03)


def test_a_hum_below_the_pass_band_does_not_count() -> None:
    hum = 0.5 * np.sin(2 * np.pi * 50 * np.arange(4 * RATE) / RATE)
    assert active_level(tone_with_pauses() + hum, RATE) == pytest.approx(active_level(tone_with_pauses(), RATE), rel=0.01)


@pytest.mark.parametrize("rate", [8000, 16000, 11025])
def test_agrees_with_the_plain_algorithm(rate: int) -> None:
    rng = np.random.default_rng(rate)
    noise = rng.standard_normal(rate) * np.repeat(rng.random(rate // 500 + 1) ** 4, 500)[:rate]
    for speech in (noise, tone_with_pauses(rate, 1.5), 1e-4 * noise[:300]):
        assert active_level(speech, rate) == pytest.approx(plain_active_level(speech, rate), rel=1e-8)


@given(exponent=st.integers(-12, 4), gain=st.floats(0.01, 2.0))
@settings(max_examples=20, deadline=None)
def test_twice_the_signal_is_four_times_the_level(exponent: int, gain: float) -> None:
    speech = tone_with_pauses(seconds=2.0) + 1e-3 * np.random.default_rng(0).standard_normal(2 * RATE)
    level = active_level(speech, RATE)
    assert active_level(speech * 2.0**exponent, RATE) == pytest.approx(level * 4.0**exponent, rel=1e-12)  # bins move along
    assert 10 * np.log10(active_level(speech * gain, RATE) / level) == pytest.approx(20 * np.log10(gain), abs=0.3)


def test_silence_has_no_level() -> None:
    assert active_level(np.zeros(4000), RATE) == 0
    assert active_level(np.zeros(0), RATE) == 0
