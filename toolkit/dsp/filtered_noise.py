"""White noise that can be asked for from any sample on, and filters that change from frame to frame."""

import scipy
import torch
from torch import Tensor

WORD = 0xFFFFFFFF


def white_noise(keys: Tensor, start: Tensor | int, samples: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Evenly distributed values from -1 to 1, each a hash of its position, so that blocks of any size give one noise.

    Args:
        keys: (B), integers; a key is a noise.
        start: position of the first sample.
        samples: T.
        dtype: of the result.

    Returns:
        (B, T).
    """
    positions = torch.arange(samples, dtype=torch.int64, device=keys.device) + start
    mixed = _hash(_hash(positions) ^ _hash(keys.to(torch.int64) + 1)[:, None])
    return mixed.to(torch.float64).sub(2**31).div(2**31).to(dtype)


def _hash(words: Tensor) -> Tensor:
    """Mix 32-bit words held in 64-bit integers (C. Wellons, "Prospecting for hash functions", 2018: lowbias32)."""
    words = words & WORD
    words = ((words ^ (words >> 16)) * 0x7FEB352D) & WORD
    words = ((words ^ (words >> 15)) * (0x846CA68B - 2**32)) & WORD  # the same modulo 2^32, within 63 bits
    return words ^ (words >> 16)


def frequency_sampling_filter(magnitudes: Tensor) -> Tensor:
    """Filters of linear phase from their magnitudes at evenly spaced frequencies (Engel et al. 2020, "DDSP", section 3.4).

    Args:
        magnitudes: (…, F), from 0 Hz to half the sample rate.

    Returns:
        Impulse responses (…, 2 (F - 1)) under a Hann window; their middle, tap F - 1, is time 0.
    """
    taps = 2 * (magnitudes.shape[-1] - 1)
    response = torch.fft.irfft(torch.complex(magnitudes, torch.zeros_like(magnitudes)), taps).roll(taps // 2, -1)
    return response * torch.hann_window(taps, dtype=magnitudes.dtype, device=magnitudes.device)


def filter_frames(pieces: Tensor, responses: Tensor) -> Tensor:
    """Convolve pieces (B, L, hop_length) with a response (B, L, N) each: (B, L, hop_length + N - 1)."""
    length = pieces.shape[-1] + responses.shape[-1] - 1
    size = scipy.fft.next_fast_len(length, real=True)
    return torch.fft.irfft(torch.fft.rfft(pieces, size) * torch.fft.rfft(responses, size), size)[..., :length]


def overlap_add(pieces: Tensor, hop_length: int, tail: Tensor) -> tuple[Tensor, Tensor]:
    """Add pieces (B, L, N) that begin every hop, and what rang on from those before.

    Args:
        pieces: (B, L, N), N at least hop_length.
        hop_length: samples from piece to piece.
        tail: (B, N - hop_length), what was left over before.

    Returns:
        (B, L · hop_length), and the tail (B, N - hop_length) left over.
    """
    frames, length = pieces.shape[1:]
    total = (frames - 1) * hop_length + length
    laid = torch.nn.functional.fold(pieces.transpose(1, 2), (1, total), (1, length), stride=(1, hop_length)).flatten(1)
    laid = torch.cat([laid[:, : tail.shape[-1]] + tail, laid[:, tail.shape[-1] :]], 1)
    return laid[:, : frames * hop_length], laid[:, frames * hop_length :]
