"""Harmonic sounds: banks of oscillators at the multiples of a fundamental, and pulse trains."""

import math
from typing import Any

import torch
from torch import Tensor

from toolkit.dsp.control_rate import Curve, audible, transition
from toolkit.dsp.sine import cosine, sine


def normalise_below_nyquist(amplitudes: Tensor, f0: Tensor, sample_rate: int) -> Tensor:
    """Shares (B, L, K) of the harmonics that add up to 1 over those below half the sample rate; the others have none.

    Args:
        amplitudes: (B, L, K), none negative.
        f0: (B, L), Hz.
        sample_rate: Hz.
    """
    harmonics = torch.arange(1, amplitudes.shape[-1] + 1, dtype=f0.dtype, device=f0.device)
    kept = amplitudes * audible(f0[..., None] * harmonics, sample_rate).to(amplitudes.dtype)
    return kept / kept.sum(-1, keepdim=True).clamp(min=torch.finfo(kept.dtype).tiny)


def oscillator_bank(phases: Tensor, amplitudes: Tensor, previous: Tensor, curve: Curve = "hann") -> Tensor:
    """Sines at the multiples of a fundamental, added.

    Each frame's sines are multiplied by the amplitudes before and by its own and the two sums blended, which is the same as
    interpolating every amplitude to samples in a fraction of the memory.

    Args:
        phases: (B, L · hop_length) of the fundamental, cycles.
        amplitudes: (B, L, K).
        previous: (B, K), those of the frame before.
        curve: the way from one frame to the next.

    Returns:
        (B, L · hop_length).
    """
    cut = phases.unflatten(-1, (amplitudes.shape[1], -1))
    before = torch.cat([previous[:, None], amplitudes[:, :-1]], 1)
    sums = _Sines.apply(cut, torch.stack([before, amplitudes], -2))
    return torch.lerp(sums[..., 0, :], sums[..., 1, :], transition(cut.shape[-1], curve, sums)).flatten(1)


class _Sines(torch.autograd.Function):
    """Sums (B, L, S, hop_length) of K sines of phases (B, L, hop_length), with S sets of weights (B, L, S, K).

    What has the size of all sines is the most of a synthesizer's work.  Here the sines alone are kept for the gradient, and
    harmonics are summed before anything else is multiplied with them.
    """

    @staticmethod
    def forward(ctx: Any, phases: Tensor, weights: Tensor) -> Tensor:
        sines = phases[..., None, :] * _radians(weights.shape[-1], phases)[:, None]  # (B, L, K, hop_length)
        sine(sines, out=sines)
        to_phases, to_weights = ctx.needs_input_grad
        ctx.save_for_backward(*((phases, weights) if to_phases else (None, None)), sines if to_weights else None)
        return weights @ sines

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        phases, weights, sines = ctx.saved_tensors
        of_phases = of_weights = None
        if phases is not None:
            radians = _radians(weights.shape[-1], phases)
            cosines = phases[..., None, :] * radians[:, None]
            cosine(cosines, out=cosines)
            of_phases = ((weights * radians) @ cosines).mul_(gradients[0]).sum(-2)
        if sines is not None:
            of_weights = gradients[0].to(sines.dtype) @ sines.mT
        return of_phases, of_weights


def _radians(count: int, like: Tensor) -> Tensor:
    """What a cycle of the fundamental is for each harmonic (K)."""
    return 2 * math.pi * torch.arange(1, count + 1, dtype=like.dtype, device=like.device)


def pulse_train(phases: Tensor, f0: Tensor, sample_rate: int) -> Tensor:
    """Cosines of equal strength at all multiples of a fundamental below half the sample rate, of power 1 together.

    Their sum is known in closed form, sin((H + 1/2) φ) / (2 sin(φ / 2)) - 1/2 (J. A. Moorer, "The synthesis of complex audio
    spectra by means of discrete summation formulas", JAES 24(9), 1976); the highest harmonic fades in and out as the
    fundamental moves, so that nothing clicks.

    Args:
        phases: (B, T) of the fundamental, cycles.
        f0: (B, T), Hz; 0, or too high for a single harmonic, is silence.
        sample_rate: Hz.

    Returns:
        (B, T).
    """
    voiced = (f0 > 0) & (f0 < sample_rate / 2)
    room = sample_rate / 2 / torch.where(voiced, f0, torch.full_like(f0, sample_rate / 4))
    highest = (room - 1).clamp(min=0)  # whole harmonics, and the share of one that fades
    count = highest.detach().floor()
    angle = 2 * math.pi * (phases - phases.detach().round())  # around 0, where the closed form divides by little
    half = torch.sin(angle / 2)
    near = half.abs() < 1e-4
    closed = torch.sin((count + 0.5) * angle) / torch.where(near, torch.ones_like(half), 2 * half) - 0.5
    total = torch.where(near, count, closed) + (highest - count) * torch.cos((count + 1) * angle)
    power = (count + (highest - count).square()) / 2
    loud = voiced & (power > 0)
    return torch.where(loud, total * torch.where(loud, power, torch.ones_like(power)).rsqrt(), torch.zeros_like(total))
