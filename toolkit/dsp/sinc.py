"""Change of the sample rate by windowed sinc interpolation, within a network: on any device, with gradients."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.dsp.precision import full_precision

ZEROS, ROLLOFF = 24, 0.945  # zero crossings of the sinc to each side; its cut-off as a share of the lower Nyquist frequency
BLOCK = 32  # periods computed by one row of the matrix product: more waste work on zeros, fewer make small products


class SincResample(nn.Module):
    """Resampling by `up` / `down` (J. O. Smith, "Digital Audio Resampling"), as `julius.resample_frac` does it.

    The sinc is windowed by a squared cosine; each of the filters sums to one, and the ends of the signal are held.  All filters
    of a block of samples make one matrix, which is quicker than a convolution.

    Args:
        up: new rate, over the common divisor.
        down: old rate, over the common divisor.
    """

    matrix: Tensor

    def __init__(self, up: int, down: int) -> None:
        super().__init__()
        self.up, self.down = up, down
        filters = _filters(up, down)
        taps = filters.shape[-1]
        self.reach = (taps - down) // 2
        matrix = torch.zeros(BLOCK, up, taps + (BLOCK - 1) * down)
        for period in range(BLOCK):
            matrix[period, :, period * down : period * down + taps] = filters
        self.register_buffer("matrix", matrix.flatten(0, 1).T.contiguous(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Resample (..., T) to (..., floor(T · up / down)), in float32 also under autocast."""
        *batch, length = waveform.shape
        hop = BLOCK * self.down
        blocks = math.ceil(length / hop)
        filler = blocks * hop - length
        rows = waveform.reshape(-1, 1, length).to(self.matrix.dtype)
        padded = F.pad(rows, (self.reach, self.reach + filler), mode="replicate")
        with full_precision(waveform):
            resampled = padded.unfold(-1, len(self.matrix), hop) @ self.matrix
        return resampled.reshape(*batch, -1)[..., : length * self.up // self.down]


def _filters(up: int, down: int) -> Tensor:
    """A filter for each of the `up` samples of a period, (up, taps), over 2 · reach + down samples of the input."""
    cutoff = ROLLOFF * min(up, down)
    reach = math.ceil(ZEROS * down / cutoff)
    inputs = torch.arange(-reach, reach + down) / down
    outputs = torch.arange(up)[:, None] / up
    crossings = ((inputs - outputs) * cutoff).clamp(-ZEROS, ZEROS)
    filters = torch.sinc(crossings) * torch.cos(crossings * math.pi / (2 * ZEROS)).square()
    return filters / filters.sum(-1, keepdim=True)
