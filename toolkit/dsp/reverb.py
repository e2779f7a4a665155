"""Convolution with long impulse responses, in blocks of any size."""

import scipy
import torch
from torch import Tensor
from torch.nn import functional as F


def convolve(audio: Tensor, response: Tensor, past: Tensor) -> Tensor:
    """Convolve the next samples with a response.

    Args:
        audio: (B, T).
        response: (N).
        past: (B, N - 1), the samples before.

    Returns:
        (B, T).
    """
    seen = torch.cat([past, audio], 1)
    size = seen.shape[1]
    if not torch.compiler.is_exporting():  # what is exported is of any size
        size = scipy.fft.next_fast_len(size, real=True)
    wet = torch.fft.irfft(torch.fft.rfft(seen, size) * torch.fft.rfft(response, size), size)
    return wet[:, past.shape[1] : seen.shape[1]]


def parts_of(response: Tensor, samples: int) -> Tensor:
    """Spectra (K, samples + 1) of the parts of a response (N), each as long as a block that is to be convolved with it."""
    parts = -(-len(response) // samples)
    return torch.fft.rfft(F.pad(response, (0, parts * samples - len(response))).view(parts, samples), 2 * samples)


def blocks_of(past: Tensor, samples: int) -> Tensor:
    """Spectra (B, K - 1, samples + 1) of the blocks before (B, N - 1), the last one first, each with the one before it."""
    parts = past.shape[1] // samples + 1
    blocks = F.pad(past, (parts * samples - past.shape[1], 0)).unfold(1, 2 * samples, samples)
    return torch.fft.rfft(blocks).flip(1)


def convolve_block(audio: Tensor, before: Tensor, blocks: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
    """Convolve a short block with a long response, part by part (uniformly partitioned overlap-save).

    Args:
        audio: (B, T).
        before: (B, T), the block before.
        blocks: spectra of the blocks before, see `blocks_of`.
        parts: spectra of the response's parts, see `parts_of`.

    Returns:
        (B, T), and the spectra of blocks for the next one.
    """
    samples = audio.shape[1]
    now = torch.fft.rfft(torch.cat([before, audio], 1))
    blocks = torch.cat([now[:, None], blocks], 1)
    wet = torch.fft.irfft((blocks * parts).sum(1), 2 * samples)
    return wet[:, samples:], blocks[:, :-1]


def decaying_noise(noise: Tensor, decay: Tensor, wet: Tensor, sample_rate: int) -> Tensor:
    """A room's response (N): the sound itself, then noise that dies away (DDX7's released code).

    Args:
        noise: (N).
        decay: the higher, the slower; the rate is 500 · softplus(-decay) a second.
        wet: strength of the noise, sigmoid(wet).
        sample_rate: Hz.
    """
    seconds = torch.arange(len(noise), dtype=noise.dtype, device=noise.device) / sample_rate
    response = noise * torch.exp(-500 * F.softplus(-decay) * seconds) * wet.sigmoid()
    return torch.cat([torch.ones_like(response[:1]), response[1:]])
