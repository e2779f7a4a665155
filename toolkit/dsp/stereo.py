"""Where a sound stands between two loudspeakers, and the room around it."""

from __future__ import annotations

import numpy as np
import scipy


def pan(sound: np.ndarray, position: float) -> np.ndarray:
    """Place a sound (time,) from -1 (left) over 0 to 1 (right) with constant power.

    Returns:
        (2, time).
    """
    angle = (position + 1) * np.pi / 4
    return np.stack([np.cos(angle) * sound, np.sin(angle) * sound])


def reverberate(
    sound: np.ndarray, sample_rate: int, rng: np.random.Generator, seconds: float = 0.4, wet: float = 0.15
) -> np.ndarray:
    """Add a diffuse room: convolution with noise that decays exponentially, another for each channel.

    Args:
        sound: (channels, time).
        sample_rate: Hz.
        rng: of the noise.
        seconds: until the room has fallen by 60 dB.
        wet: power of the room's answer over that of the sound, about.

    Returns:
        (channels, time).
    """
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    room = rng.standard_normal((len(sound), len(time))) * 10.0 ** (-3 * time / seconds)
    room *= np.sqrt(wet / np.sum(room**2, axis=1, keepdims=True))
    return sound + scipy.signal.oaconvolve(sound, room, axes=-1)[:, : sound.shape[1]]
