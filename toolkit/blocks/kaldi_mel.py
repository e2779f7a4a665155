"""Log-mel spectrograms as Kaldi makes them: pre-emphasis, power spectra, triangles on the mel scale."""

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Frontend
from toolkit.dsp.precision import full_precision
from toolkit.dsp.stft import power

FLOOR = 1e-5  # energy added under the logarithm


class KaldiMel(Frontend):
    """Log-mel energies of PaSST's and EAsT's front end (Koutini et al. 2022; Ding & Lerch 2023, released code).

    A waveform of T samples has L = 1 + ⌊(T - 1) / hop_length⌋ frames, centred on every hop.  While training, the lowest and the
    highest frequency of each example's bands may be moved at random, by whole Hz.

    Args:
        sample_rate: Hz.
        bins: F, triangles between the lowest and the highest frequency.
        n_fft: samples of a frame.
        hop_length: samples between frames.
        win_length: samples under the Hann window, in the middle of the frame.
        f_min: Hz where the first triangle begins.
        f_max: Hz where the last one ends; null for half the sample rate.
        f_min_jitter: while training, `f_min` is raised by less than this many Hz.
        f_max_jitter: while training, `f_max` is lowered by less than this many Hz.
        emphasis: share of the sample before that is taken off each sample.
        mean: taken off the logarithms.
        deviation: that they are divided by then.

    Raises:
        ValueError: the window is longer than the frame, or no band is left between the lowest and the highest frequency.
    """

    taper: Tensor
    banks: Tensor

    def __init__(
        self,
        sample_rate: int = 32000,
        bins: int = 128,
        n_fft: int = 1024,
        hop_length: int = 320,
        win_length: int = 800,
        f_min: float = 0.0,
        f_max: float | None = None,
        f_min_jitter: int = 0,
        f_max_jitter: int = 0,
        emphasis: float = 0.97,
        mean: float = -3.7,
        deviation: float = 3.1,
    ) -> None:
        super().__init__()
        self.bins, self.sample_rate, self.n_fft, self.hop_length = bins, sample_rate, n_fft, hop_length
        self.f_min, self.f_max = f_min, sample_rate / 2 if f_max is None else f_max
        self.f_min_jitter, self.f_max_jitter = f_min_jitter, f_max_jitter
        self.emphasis, self.mean, self.deviation = emphasis, mean, deviation
        if not 0 < win_length <= n_fft:
            raise ValueError(f"win_length: expected 1 to n_fft = {n_fft} samples, found {win_length}")
        if not 0 <= f_min < f_min + f_min_jitter + 1 <= self.f_max - f_max_jitter <= sample_rate / 2:
            raise ValueError(
                f"f_min, f_max: expected bands within 0 to {sample_rate / 2:g} Hz, found {f_min:g} (+{f_min_jitter}) to "
                f"{self.f_max:g} (-{f_max_jitter}) Hz"
            )
        taper = torch.hann_window(win_length, periodic=False, dtype=torch.float64)
        before = (n_fft - win_length) // 2
        self.register_buffer("taper", F.pad(taper, (before, n_fft - win_length - before)), persistent=False)
        edges = torch.tensor([[self.f_min], [self.f_max]], dtype=torch.float64)
        self.register_buffer("banks", mel_banks(bins, n_fft, sample_rate, *edges)[0], persistent=False)

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """Map waveforms (B, T) to spectrograms (B, 1, F, L), in single precision at least."""
        check_shape(inputs, "waveforms", batch=None, samples=None)
        with full_precision(inputs):
            waveforms = inputs.to(torch.promote_types(inputs.dtype, torch.float32))
            energies = self._banks(waveforms) @ self._powers(waveforms)
            return (((energies + FLOOR).log() - self.mean) / self.deviation)[:, None]

    def _powers(self, waveforms: Tensor) -> Tensor:
        """Power spectra (B, n_fft / 2 + 1, L) of what pre-emphasis leaves, mirrored at both ends."""
        emphasised = waveforms[:, 1:] - self.emphasis * waveforms[:, :-1]
        missing = self.n_fft // 2 + 1 - emphasised.shape[-1]
        if missing > 0:
            emphasised = F.pad(emphasised, (0, missing))  # there must be something to mirror
        taper = self.taper.to(waveforms.dtype)
        spectra = torch.stft(emphasised, self.n_fft, self.hop_length, window=taper, return_complex=True)
        return power(spectra)

    def _banks(self, waveforms: Tensor) -> Tensor:
        """Triangles (F, n_fft / 2 + 1), or (B, F, n_fft / 2 + 1) where each example has its own."""
        if not self.training or not (self.f_min_jitter or self.f_max_jitter):
            return self.banks.to(waveforms.dtype)
        lows, highs = (
            torch.randint(limit, (len(waveforms),), device="cpu") if limit else torch.zeros(len(waveforms), device="cpu")
            for limit in (self.f_min_jitter, self.f_max_jitter)
        )
        banks = mel_banks(self.bins, self.n_fft, self.sample_rate, self.f_min + lows.double(), self.f_max - highs.double())
        return banks.to(waveforms)


def mel_banks(bands: int, n_fft: int, sample_rate: int, lows: Tensor, highs: Tensor) -> Tensor:
    """Kaldi's triangles, evenly spaced and straight-sided on the mel scale; the highest bin belongs to none of them.

    Args:
        bands: F.
        n_fft: samples of a frame.
        sample_rate: Hz.
        lows: (N,), Hz where the first triangles begin.
        highs: (N,), Hz where the last ones end.

    Returns:
        (N, F, n_fft / 2 + 1).
    """
    bins = torch.arange(n_fft // 2, dtype=lows.dtype, device=lows.device) * (sample_rate / n_fft)
    low, high = hertz_to_mel(lows)[:, None], hertz_to_mel(highs)[:, None]
    width = (high - low) / (bands + 1)
    begin = low + torch.arange(bands, dtype=lows.dtype, device=lows.device) * width
    rise = (hertz_to_mel(bins) - begin[..., None]) / width[..., None]
    return F.pad(torch.minimum(rise, 2 - rise).clamp(min=0), (0, 1))


def hertz_to_mel(frequencies: Tensor) -> Tensor:
    """Mels, 1127 · ln(1 + f / 700), of frequencies in Hz; any shape."""
    return 1127 * torch.log1p(frequencies / 700)
