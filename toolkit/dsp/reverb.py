"""Convolution with long impulse responses, in blocks of any size."""

import torch
from scipy.fft import next_fast_len
from torch import Tensor


def convolve(audio: Tensor, response: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
    """Convolve the next samples with a response.

    Args:
        audio: (B, T).
        response: (N).
        tail: (B, N - 1), what rang on from the samples before.

    Returns:
        (B, T), and what rings on (B, N - 1).
    """
    samples, taps = audio.shape[-1], response.shape[-1]
    size = next_fast_len(samples + taps - 1, real=True)
    wet = torch.fft.irfft(torch.fft.rfft(audio, size) * torch.fft.rfft(response, size), size)[:, : samples + taps - 1]
    wet = torch.cat([wet[:, : taps - 1] + tail, wet[:, taps - 1 :]], 1)
    return wet[:, :samples], wet[:, samples:]


def decaying_noise(noise: Tensor, decay: Tensor, wet: Tensor, sample_rate: int) -> Tensor:
    """A room's response (N): the sound itself, then noise that dies away (DDX7's released code).

    Args:
        noise: (N).
        decay: the higher, the slower; the rate is 500 · softplus(-decay) a second.
        wet: strength of the noise, sigmoid(wet).
        sample_rate: Hz.
    """
    seconds = torch.arange(len(noise), dtype=noise.dtype, device=noise.device) / sample_rate
    response = noise * torch.exp(-500 * torch.nn.functional.softplus(-decay) * seconds) * wet.sigmoid()
    return torch.cat([torch.ones_like(response[:1]), response[1:]])
