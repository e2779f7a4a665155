"""VGGish: embeddings of 0.96 s of sound, as they were published with AudioSet and OpenMIC-2018.

S. Hershey et al., "CNN architectures for large-scale audio classification", ICASSP 2017; released as `research/audioset/vggish`
of tensorflow/models, and for torch as harritaylor/torchvggish.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.features import Feature
from toolkit.blocks.kaldi_mel import mel_banks

SAMPLE_RATE = 16000
WINDOW, HOP, N_FFT = 400, 160, 512  # samples
BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0  # Hz
FLOOR = 0.01  # added before the logarithm
PATCH = 96  # frames
SECONDS = PATCH * HOP / SAMPLE_RATE
DIMENSION = 128
# Of means, deviations and rises in music: how many coefficients, middle and deviation of the first; those after it are smaller.
RANGES = ((64, -9.0, 10.0), (32, 7.5, 3.5), (32, 1.3, 0.5))


def log_mel_patches(waveforms: Tensor) -> Tensor:
    """VGGish's input: magnitudes under a periodic Hann window in mel bands whose triangles are straight in mel, not in Hz.

    Only whole patches count; a recording that is shorter than one (0.975 s) is filled up with silence.

    Args:
        waveforms: (B, T) at 16 kHz, between -1 and 1.

    Returns:
        (B, L, 96, 64): L patches of 96 frames (0.96 s) of 64 bands, in the precision of the waveforms.
    """
    shortest = (PATCH - 1) * HOP + WINDOW
    waveforms = F.pad(waveforms, (0, max(0, shortest - waveforms.shape[-1])))
    window = torch.hann_window(WINDOW, dtype=waveforms.dtype, device=waveforms.device)
    frames = waveforms.unfold(-1, WINDOW, HOP)
    frames = frames[:, : frames.shape[1] // PATCH * PATCH]
    magnitudes = torch.fft.rfft(frames * window, N_FFT).abs()
    limits = torch.tensor([[LOWEST], [HIGHEST]], dtype=torch.float64)
    bands = magnitudes @ mel_banks(BANDS, N_FFT, SAMPLE_RATE, *limits)[0].T.to(magnitudes)
    return torch.log(bands + FLOOR).unflatten(1, (-1, PATCH))


@cache
def cosines(values: int, number: int) -> Tensor:
    """Orthonormal discrete cosine transform (values, number), float64: its first `number` columns."""
    places = (torch.arange(values, dtype=torch.float64)[:, None] + 0.5) * torch.arange(number) * math.pi / values
    basis = math.sqrt(2 / values) * torch.cos(places)
    basis[:, 0] /= math.sqrt(2)
    return basis


class PatchProjection(Feature):
    """Stands in for VGGish where its weights are not at hand: the same framing and format, but nothing that was learned.

    It is no VGGish, and its numbers mean something else.  Of each patch of VGGish's input: the spectrum's shape (64 cosine
    coefficients of the bands' means over the patch), how much it changes (32 of their deviations) and how suddenly (32 of the
    mean rise from frame to frame), brought to 0 … 255.  That is enough to tell instruments apart, so that the mini corpora and
    any recording go the same way as the published features.
    """

    dtype = torch.uint8
    sample_rate = SAMPLE_RATE
    frame_rate = 1 / SECONDS

    @property
    def name(self) -> str:
        """``patch_projection``."""
        return "patch_projection"

    def compute(self, waveforms: Tensor) -> Tensor:
        """Map (B, T) to (B, L, 128), L = 10 for 10 s."""
        patches = log_mel_patches(waveforms)
        rise = patches.diff(dim=2).clamp(min=0).mean(2)
        parts = []
        for values, (number, middle, spread) in zip((patches.mean(2), patches.std(2), rise), RANGES, strict=True):
            coefficients = values @ cosines(BANDS, number).to(values)
            coefficients[..., 0] -= middle
            falling = torch.arange(1, number + 1, device=values.device, dtype=values.dtype) ** -0.9
            parts.append(coefficients / (spread * falling))
        return (127.5 + 42.5 * torch.cat(parts, -1)).round().clamp(0, 255).to(torch.uint8)  # three deviations each way
