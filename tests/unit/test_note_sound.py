"""Scores are heard: the notes' pitches, at the notes' times."""

import numpy as np
import pytest

from toolkit.dsp.note_sound import PITCHED, play_notes
from toolkit.dsp.notes import NoteEvent, midi_to_hz

RATE = 16000
TEMPO = 120.0  # half a second a quarter note, 24 steps a second


def strength(sound: np.ndarray, frequency: float) -> float:
    """Of a tone in a sound (time,)."""
    phase = 2 * np.pi * frequency * np.arange(len(sound)) / RATE
    return float(np.abs((sound * np.hanning(len(sound)) * np.exp(-1j * phase)).sum()))


def heard(sound: np.ndarray, candidates: range) -> int:
    """The candidate (MIDI) whose first three harmonics are strongest, within a third of a semitone."""
    places = {pitch: [midi_to_hz(pitch + off) for off in (-0.3, -0.15, 0, 0.15, 0.3)] for pitch in candidates}
    return max(places, key=lambda pitch: max(sum(strength(sound, n * f) for n in (1, 2, 3)) for f in places[pitch]))


MELODY = [NoteEvent(0, 12, 67), NoteEvent(12, 6, 71), NoteEvent(18, 6, 74), NoteEvent(36, 12, 69)]


class TestPlayedNotes:
    @pytest.mark.parametrize("instrument", ["piano", "guitar", "violin", "flute", "voice"])
    def test_the_pitches_of_the_score(self, instrument: str) -> None:
        sound = play_notes(MELODY, RATE, TEMPO, instrument)
        assert sound.shape == (round((48 / 24 + 0.5) * RATE),)
        assert sound.dtype == np.float32
        assert np.abs(sound).max() == pytest.approx(0.5, rel=1e-3)
        for note in MELODY:
            begin, end = round((note.onset / 24 + 0.05) * RATE), round((note.end / 24 - 0.02) * RATE)
            assert heard(sound[begin:end], range(note.pitch - 5, note.pitch + 6)) == note.pitch
        rest = np.abs(sound[round(1.2 * RATE) : round(1.45 * RATE)])
        assert rest.max() < 0.1 * np.abs(sound[: RATE // 2]).max()

    def test_chords(self) -> None:
        chord = play_notes([NoteEvent(0, 24, pitch) for pitch in (60, 64, 67)], RATE, TEMPO, "clarinet")[2000:14000]
        inside = min(strength(chord, midi_to_hz(pitch)) for pitch in (60, 64, 67))
        assert inside > 5 * max(strength(chord, midi_to_hz(pitch)) for pitch in (61.5, 65.5, 69))

    def test_length_and_silence(self) -> None:
        assert play_notes(MELODY, RATE, TEMPO, steps=96).shape == (round(4.5 * RATE),)
        assert not play_notes([], RATE, TEMPO, steps=24).any()

    def test_of_a_seed(self) -> None:
        assert (play_notes(MELODY, RATE, seed=1) == play_notes(MELODY, RATE, seed=1)).all()
        assert (play_notes(MELODY, RATE, seed=1) != play_notes(MELODY, RATE, seed=2)).any()

    def test_drums_have_no_pitch(self) -> None:
        assert "drums" not in PITCHED
        with pytest.raises(ValueError, match="no instrument of pitch 'drums'"):
            play_notes(MELODY, RATE, instrument="drums")
