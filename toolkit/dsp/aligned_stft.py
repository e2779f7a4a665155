"""A short-time Fourier transform with as many frames as there are hops, to stand beside strided convolutions."""

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.dsp.stft import STFT, overlap_add

HANN_OVERLAP = 1.5  # the squares of Hann windows, a quarter of a window apart, add up to this everywhere


class AlignedSTFT(STFT):
    """Frame l is centred on sample (l + ½) · hop_length, as is the output of a convolution of that stride (Hybrid Demucs).

    A waveform of T samples has L = ⌈T / hop_length⌉ frames of F = n_fft / 2 + 1 bins; it is mirrored at its ends.

    Args:
        n_fft: samples of a frame, a multiple of 8; hops are a quarter of it.

    Raises:
        ValueError: `n_fft` is no multiple of 8.
    """

    def __init__(self, n_fft: int = 4096) -> None:
        super().__init__(n_fft)
        if n_fft % 8:
            raise ValueError(f"n_fft: expected a multiple of 8, found {n_fft}")
        self.margin = 3 * self.hop_length // 2  # half a frame less half a hop

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform (*, T), T at least 1, into the complex spectrogram (*, F, L)."""
        if waveform.ndim == 1:
            return self(waveform[None])[0]
        length = waveform.shape[-1]
        before, after = self.margin, self.margin + -length % self.hop_length
        flat = waveform.reshape(-1, length)
        missing = max(0, after + 1 - length)  # zeros, where there is too little to mirror
        padded = F.pad(F.pad(flat, (0, missing)), (before, after - missing), mode="reflect")
        window = self.window.to(flat.dtype)
        spectrum = torch.stft(padded, self.n_fft, self.hop_length, window=window, center=False, return_complex=True)
        return spectrum.unflatten(0, waveform.shape[:-1])

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """The waveform (*, length) of (*, F, L); frames beyond the ends count as silent, so one and a half hops fade there."""
        frames = torch.fft.irfft(spectrum.mT)
        frames = frames * (self.window / HANN_OVERLAP).to(frames.dtype)
        if torch.compiler.is_exporting():  # in operations that other formats know
            return overlap_add(frames, self.hop_length)[..., self.margin : self.margin + length]
        size = [*frames.shape[:-2], (frames.shape[-2] + 3) * self.hop_length]
        added = torch.ops.aten.unfold_backward(frames, size, len(size) - 1, self.n_fft, self.hop_length)
        return added[..., self.margin : self.margin + length]
