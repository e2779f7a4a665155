"""Attributes of one-voiced bars in 4/4 as AR-VAE regularises them (Pati & Lerch 2020, arXiv 2004.05485, and its released code).

    rhythmic_complexity   sum of the weights of the ticks at which notes begin, over the sum of all weights
    pitch_range           semitones from the lowest to the highest note, over 26
    note_density          notes over ticks
    contour               semitones from the first to the last note, over 26: the sum of all intervals

Rests and what is held count for nothing; bars without two notes have no range and no contour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.dsp.notes import PITCHES

Floats = NDArray[np.float32]

LARGEST = 26  # semitones that count as 1
BEATS = (0.2, 0.67, 0.25, 0.67)  # weights of the four beats: the stronger one is, the less complex is a note on it
BETWEEN = (1.0, 2.0, 0.5, 2.0, 1.0)  # of the ticks after each beat: a sixteenth, a triplet, the eighth, a triplet, a sixteenth
WEIGHTS = np.array([weight for beat in BEATS for weight in (beat, *BETWEEN)])


def rhythmic_complexity(bars: ArrayLike) -> Floats:
    """Map bars (..., 24) of tokens to (...), 0 to 1.

    Raises:
        ValueError: bars have another number of ticks.
    """
    onsets = _onsets(bars)
    if onsets.shape[-1] != len(WEIGHTS):
        raise ValueError(f"rhythmic complexity: expected bars of {len(WEIGHTS)} ticks, found {onsets.shape[-1]}")
    return (onsets @ WEIGHTS / WEIGHTS.sum()).astype(np.float32)


def pitch_range(bars: ArrayLike) -> Floats:
    """Map bars (..., ticks) of tokens to (...), 0 and up."""
    tokens, onsets = np.asarray(bars).astype(np.int64), _onsets(bars)
    highest = np.where(onsets, tokens, -1).max(-1)
    lowest = np.where(onsets, tokens, PITCHES).min(-1)
    return (np.where(onsets.any(-1), highest - lowest, 0) / LARGEST).astype(np.float32)


def note_density(bars: ArrayLike) -> Floats:
    """Map bars (..., ticks) of tokens to (...), 0 to 1."""
    return _onsets(bars).mean(-1).astype(np.float32)


def contour(bars: ArrayLike) -> Floats:
    """Map bars (..., ticks) of tokens to (...), negative where the melody ends lower than it began."""
    tokens, onsets = np.asarray(bars).astype(np.int64), _onsets(bars)
    first, last = onsets.argmax(-1), onsets.shape[-1] - 1 - onsets[..., ::-1].argmax(-1)
    ends = [np.take_along_axis(tokens, place[..., None], -1)[..., 0] for place in (first, last)]
    return (np.where(onsets.any(-1), ends[1] - ends[0], 0) / LARGEST).astype(np.float32)


ATTRIBUTES: dict[str, Callable[[ArrayLike], Floats]] = {  # the order of AR-VAE's latent dimensions, from 0
    "rhythmic_complexity": rhythmic_complexity,
    "pitch_range": pitch_range,
    "note_density": note_density,
    "contour": contour,
}


def attributes(bars: ArrayLike, names: Sequence[str] = tuple(ATTRIBUTES)) -> Floats:
    """Map bars (..., ticks) of tokens as `toolkit.dsp.tick_grid` has them to attributes (..., names)."""
    return np.stack([ATTRIBUTES[name](bars) for name in names], axis=-1)


def _onsets(bars: ArrayLike) -> NDArray[np.bool_]:
    return np.asarray(bars) < PITCHES
