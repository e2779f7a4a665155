"""Stored constant-Q spectra with their phases: those of a voice and of its accompaniment may still be mixed at any level."""

import torch
from torch import Tensor

from toolkit.blocks.features import StoredSpectrum
from toolkit.blocks.pitch import LogCQT
from toolkit.dsp.precision import full_precision


class ComplexSpectrum(StoredSpectrum):
    """The transform of a `LogCQT` before it is brought to decibels, in half precision.

    Args:
        frontend: whose transform it is.
    """

    def __init__(self, frontend: LogCQT) -> None:
        self.transform = transform = frontend.transform
        super().__init__(frontend, int(transform.sample_rate), transform.sample_rate / transform.hop_length)

    @property
    def name(self) -> str:
        """``complex_spectrum/LogCQT-0123456789ab``."""
        return f"complex_{super().name}"

    def compute(self, waveforms: Tensor) -> Tensor:
        """Real and imaginary parts, (B, L, F, 2)."""
        with full_precision(waveforms):
            spectrum: Tensor = self.transform.to(waveforms.device)(waveforms)
        return torch.view_as_real(spectrum.transpose(1, 2)).to(torch.float16)


class AccompanimentSpectrum(ComplexSpectrum):
    """The `ComplexSpectrum` of what is played with the recording."""

    role = "accompaniment"

    @property
    def name(self) -> str:
        """``accompaniment/complex_spectrum/LogCQT-0123456789ab``."""
        return f"accompaniment/{super().name}"
