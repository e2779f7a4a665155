"""Notes of a score as sound, played by the synthetic instruments of `ensemble.py`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.dsp.band import add
from toolkit.dsp.ensemble import INSTRUMENTS
from toolkit.dsp.notes import STEPS, NoteEvent, Notes, midi_to_hz, voices
from toolkit.dsp.timbres import Struck
from toolkit.dsp.voices import Note

PEAK = 0.5
TAIL = 0.5  # seconds after the last step, in which sounds die away
OPEN = 4  # the vowel that is sung, in `voices.VOWELS`
PITCHED = tuple(name for name, instrument in INSTRUMENTS.items() if not isinstance(instrument.timbre, Struck))


def play_notes(
    notes: Notes,
    sample_rate: int,
    tempo: float = 100.0,
    instrument: str = "piano",
    steps: int | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Play notes as they stand, chords by as many players as they have notes.

    Args:
        notes: in any order.
        sample_rate: Hz.
        tempo: quarter notes a minute.
        instrument: one of `PITCHED`.
        steps: length in twelfths of a quarter note; up to the last note's end if not given.
        seed: of how this instrument differs from others of its kind.

    Returns:
        (time,), half a second longer than the steps; its peak is 0.5; silence without notes.

    Raises:
        ValueError: there is no such instrument.
    """
    if instrument not in PITCHED:
        raise ValueError(f"no instrument of pitch {instrument!r}; known: {', '.join(sorted(PITCHED))}")
    step = 60.0 / tempo / STEPS  # seconds
    length = max((note.end for note in notes), default=0) if steps is None else steps
    seconds = length * step + TAIL
    sound = np.zeros(round(seconds * sample_rate))
    rng = np.random.default_rng([21, seed])
    for voice in voices(notes):
        line = [_timed(note, step) for note in voice]
        add(sound, INSTRUMENTS[instrument].timbre.sound([line], seconds, sample_rate, rng), 0.0, sample_rate)
    return (sound * (PEAK / (np.abs(sound).max(initial=0.0) + 1e-12))).astype(np.float32)


def _timed(note: NoteEvent, step: float) -> Note:
    return Note(note.onset * step, note.duration * step, midi_to_hz(note.pitch), OPEN)
