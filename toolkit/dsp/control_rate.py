"""From frames to samples: controls interpolated, frequencies accumulated to phase, in blocks of any size."""

import math
from typing import Literal

import torch
from torch import Tensor

Curve = Literal["linear", "hann", "hold"]


def transition(hop_length: int, curve: Curve, like: Tensor) -> Tensor:
    """The way (hop_length) from the frame before, 0, to this one, 1.

    ``linear`` is that of `torch.nn.functional.interpolate` with its default corners, ``hold`` that of its nearest neighbour and
    ``hann`` that of overlapping Hann windows (DDSP's way with amplitudes), each ⌊hop_length / 2⌋ samples later, so that no
    frame is needed that has not come yet.

    Raises:
        ValueError: an unknown curve.
    """
    late = hop_length // 2
    position = torch.arange(hop_length, dtype=like.dtype, device=like.device)
    if curve == "hold":
        return (position >= late).to(like.dtype)
    way = (position + 0.5 + hop_length / 2 - late) / hop_length
    if curve == "linear":
        return way
    if curve == "hann":
        return 0.5 - 0.5 * (math.pi * way).cos()
    raise ValueError(f"curve: expected linear, hann or hold, found {curve!r}")


def upsample(frames: Tensor, hop_length: int, previous: Tensor, curve: Curve = "linear") -> Tensor:
    """Lead every control from its value in the frame before to its value in this one, see `transition`.

    Args:
        frames: (B, L, P).
        hop_length: samples of a frame.
        previous: (B, P), the frame before.
        curve: the way from one frame to the next.

    Returns:
        (B, P, L · hop_length).

    Raises:
        ValueError: an unknown curve.
    """
    steps = torch.cat([previous[:, None], frames], 1).transpose(1, 2)
    return torch.lerp(steps[..., :-1, None], steps[..., 1:, None], transition(hop_length, curve, frames)).flatten(2)


def silent_start(samples: Tensor, count: int) -> Tensor:
    """Zeros in place of the first `count` of (…, T): before them nothing has moved yet."""
    return torch.cat([torch.zeros_like(samples[..., :count]), samples[..., count:]], -1)


def delay(signal: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
    """What was held back (B, D) and then the signal (B, T), cut into the first T samples and the D held back next."""
    both = torch.cat([held, signal], -1)
    return both[:, : signal.shape[-1]], both[:, signal.shape[-1] :]


def accumulate_phase(f0: Tensor, ratios: Tensor, sample_rate: int, start: Tensor) -> tuple[Tensor, Tensor]:
    """Phases of oscillators, summed in double precision and wrapped, so that they stay exact however long the sound is.

    Args:
        f0: (B, T), Hz.
        ratios: (N), frequencies of the oscillators as multiples of f0.
        sample_rate: Hz.
        start: (B, N) in double precision, cycles: the phases before the first sample.

    Returns:
        Phases (B, N, T) in cycles, 0 to 1, in f0's precision, and those after the last sample (B, N), to start from.
    """
    cycles = (f0.double() / sample_rate).cumsum(-1)
    phases = start[..., None] + ratios.double()[:, None] * cycles[:, None]
    phases = phases - phases.detach().floor()
    return phases.to(f0.dtype), phases[..., -1].detach()


def audible(frequencies: Tensor, sample_rate: int) -> Tensor:
    """1 where an oscillator of this frequency (Hz, any shape) lies below half the sample rate, 0 where it would alias."""
    return (frequencies < sample_rate / 2).to(frequencies.dtype)
