"""A front end of band-pass filters at the harmonics of notes."""

import math

import torch
from torch import Tensor, nn

from toolkit.blocks.mel import FilteredSpectrogram
from toolkit.dsp.notes import midi_to_hz

LOWEST_NOTE = 24  # C1 in MIDI's numbers
ERB_SLOPE, ERB_AT_ZERO = 0.1079, 24.7  # the ear's filters are ERB_SLOPE · f + ERB_AT_ZERO Hz wide (Glasberg & Moore 1990)


class HarmonicFilters(FilteredSpectrogram):
    """Band-pass filters at the harmonics of notes, of a learned bandwidth (Won, Chun, Nieto & Serra 2020, "Data-driven harmonic
    filters for audio representation learning").

    Triangles whose width is that of the ear's filters divided by a learned Q.  The rows of the spectrogram are the notes'
    fundamentals, from C1 upwards, then their second harmonics, and so on; `HarmonicCNN` takes the harmonics as channels.

    Args:
        sample_rate: Hz.
        n_fft: samples of a frame.
        hop_length: samples between frames.
        harmonics: of each note; the notes end below the one whose last harmonic comes nearest to half the sample rate.
        per_semitone: notes in a semitone.

    Attributes:
        q: the learned Q, one for all filters.

    Raises:
        ValueError: the harmonics leave no room for notes.
    """

    frequencies: Tensor

    def __init__(
        self, sample_rate: int, n_fft: int = 512, hop_length: int = 256, harmonics: int = 6, per_semitone: int = 2
    ) -> None:
        highest = round(midi(sample_rate / (2 * harmonics)))
        notes = (highest - LOWEST_NOTE) * per_semitone
        if notes < 1:
            raise ValueError(f"harmonics: expected so few that a note above C1 has them below {sample_rate / 2:g} Hz")
        super().__init__(sample_rate, n_fft, hop_length, harmonics * notes, groups=harmonics)
        fundamentals = midi_to_hz(LOWEST_NOTE + torch.arange(notes) / per_semitone)
        frequencies = torch.arange(1, harmonics + 1)[:, None] * fundamentals
        self.register_buffer("frequencies", frequencies.flatten(), persistent=False)
        self.q = nn.Parameter(torch.ones(1))

    def filters(self) -> Tensor:
        """Triangles over the frequencies of the spectrogram, 1 at their centre."""
        centre = self.frequencies[:, None]
        width = (ERB_SLOPE * centre + ERB_AT_ZERO) / self.q
        bins = torch.linspace(0, self.sample_rate / 2, self.stft.bins, device=centre.device, dtype=centre.dtype)
        return (1 - 2 * (bins - centre).abs() / width).clamp(min=0)


def midi(hertz: float) -> float:
    """MIDI's number of a frequency: 69 at 440 Hz, 12 an octave."""
    return 69 + 12 * math.log2(hertz / 440)
