"""Embeddings that need no weights: what Fréchet distances may be taken in where a trained network's are not at hand."""

import torch
from torch import Tensor

from toolkit.blocks.features import Feature
from toolkit.blocks.mel import MelSpectrogram

FLOOR = -6.0  # bels, below which nothing is told apart


class LogMel(Feature):
    """Mel spectra in bels (10 dB), a frame an embedding: they know timbre and level, and nothing that has to be learned.

    A Fréchet distance in this space is none of VGGish's ("FAD"), and not comparable with one.

    Args:
        sample_rate: Hz.
        n_fft: samples of a frame.
        hop_length: samples between frames.
        bands: D.
    """

    def __init__(self, sample_rate: int, n_fft: int = 1024, hop_length: int = 512, bands: int = 40) -> None:
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.frame_rate = sample_rate / hop_length
        self.mel = MelSpectrogram(sample_rate, n_fft, hop_length, bands).eval()
        self._name = f"log_mel/{sample_rate}-{n_fft}-{hop_length}-{bands}"

    @property
    def name(self) -> str:
        """``log_mel/16000-1024-512-40``."""
        return self._name

    def compute(self, waveforms: Tensor) -> Tensor:
        """Map (B, T) to (B, L, D) bels, L = 1 + ⌊T / hop_length⌋."""
        with torch.no_grad():
            return (self.mel.to(waveforms.device)(waveforms.float())[:, 0].mT / 10).clamp(min=FLOOR)
