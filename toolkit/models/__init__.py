"""The architectures; configurations name them by their class names."""

from toolkit.models.base import SeparationModel
from toolkit.models.demucs import Demucs
from toolkit.models.masked_separator import MaskedSeparator, ScoredSeparator
from toolkit.models.oracle import Oracle
from toolkit.models.quantized import Quantized
from toolkit.models.spectrogram_separator import SpectrogramSeparator
from toolkit.models.taps import tap
from toolkit.models.wave_u_net import WaveUNet

__all__ = [
    "Demucs",
    "MaskedSeparator",
    "Oracle",
    "Quantized",
    "ScoredSeparator",
    "SeparationModel",
    "SpectrogramSeparator",
    "WaveUNet",
    "tap",
]
