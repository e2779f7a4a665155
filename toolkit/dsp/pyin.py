"""pYIN: the pitch of a voice, from YIN with a distribution of thresholds and a hidden Markov model.

M. Mauch and S. Dixon, "pYIN: a fundamental frequency estimator using probabilistic threshold distributions", ICASSP 2014; YIN
is A. de Cheveigné and H. Kawahara, JASA 2002.  Where the authors' software and librosa depart from the paper (smaller periods
are likelier by a Boltzmann distribution, unvoiced states stand for pitches too), this does as they do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import scipy
import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.dsp.stft import power
from toolkit.dsp.viterbi import triangle, viterbi

THRESHOLDS = 100  # of the distribution
BETA = 2.0, 18.0  # its shape; the mean is 0.1
BOLTZMANN = 2.0  # how much likelier the first of the troughs below a threshold is
NO_TROUGH = 0.01  # share of the thresholds without a trough that goes to the deepest one
BINS = 10  # of a semitone
FASTEST = 35.92  # octaves a second
SWITCH = 0.01  # probability to become unvoiced, or voiced
FRAMES_AT_ONCE = 512  # of all recordings together


class VoicedPitch(NamedTuple):
    """Pitch curves of B recordings, frames centred at every hop.

    Attributes:
        hertz: (B, L), in unvoiced frames what it would be.
        voiced: (B, L), whether there is a pitch.
        probability: (B, L), of a pitch, by the frame alone.
    """

    hertz: Tensor
    voiced: Tensor
    probability: Tensor


class _Grid(NamedTuple):
    """Periods `shortest` to `longest` in samples; `bins` pitches from `f_min` Hz up."""

    sample_rate: int
    f_min: float
    shortest: int
    longest: int
    bins: int


def pyin(
    waveforms: Tensor,
    sample_rate: int,
    hop_length: int,
    f_min: float = 50.0,
    f_max: float = 2000.0,
    frame_length: int = 2048,
) -> VoicedPitch:
    """Track the pitch of recordings, equal to `librosa.pyin` with its defaults.

    Pitches are multiples of 10 cents over `f_min`.

    Args:
        waveforms: (B, T), on any device.
        sample_rate: Hz.
        hop_length: samples between frames.
        f_min: Hz.
        f_max: Hz.
        frame_length: samples; zeros stand around the recordings.

    Returns:
        L = 1 + ⌊T / hop_length⌋ frames, on the device of the waveforms.

    Raises:
        ValueError: 0 < f_min < f_max ≤ sample_rate / 2 is not so, or a frame is shorter than a period.
    """
    if not 0 < f_min < f_max <= sample_rate / 2:
        raise ValueError(f"expected 0 < f_min < f_max <= {sample_rate / 2:g} Hz, found {f_min:g} and {f_max:g}")
    if frame_length - 1 <= sample_rate / f_min:
        raise ValueError(f"expected frames of more than {sample_rate / f_min + 1:.0f} samples, found {frame_length}")
    bins = math.floor(12 * BINS * math.log2(f_max / f_min)) + 1
    grid = _Grid(sample_rate, f_min, math.floor(sample_rate / f_max), math.ceil(sample_rate / f_min), bins)
    frames = F.pad(waveforms, (frame_length // 2, frame_length // 2)).unfold(-1, frame_length, hop_length)
    probabilities: list[Tensor] = []

    def observed() -> Iterator[Tensor]:
        for piece in frames.split(max(1, FRAMES_AT_ONCE // max(1, len(waveforms))), dim=1):
            voiced = _observe(piece.flatten(0, 1), grid).view(*piece.shape[:2], bins)
            probability = voiced.sum(-1).clamp(max=1)
            probabilities.append(probability)
            yield torch.stack([voiced, ((1 - probability) / bins)[..., None].expand_as(voiced)], dim=2)

    semitones = max(1, round(FASTEST * 12 * hop_length / sample_rate))
    switch = torch.tensor([[1 - SWITCH, SWITCH], [SWITCH, 1 - SWITCH]], dtype=torch.float64)
    states = viterbi(observed(), triangle(bins, semitones * BINS // 2), switch).to(waveforms.device)
    hertz = f_min * 2 ** ((states % bins).to(waveforms.dtype) / (12 * BINS))
    return VoicedPitch(hertz, states < bins, torch.cat(probabilities, 1))


def normalized_difference(frames: Tensor, shortest: int, longest: int) -> Tensor:
    """YIN's d' (its equation 8) of frames (R, W), zeros standing behind them, for lags of `shortest` to `longest`: (R, P)."""
    length = 1 << (frames.shape[-1] + longest).bit_length()
    correlation = torch.fft.irfft(power(torch.fft.rfft(frames, length)), length)[:, : longest + 1]
    head = frames[:, :longest].square().cumsum(-1)
    difference = 2 * (correlation[:, :1] - correlation[:, 1:]) - head
    lags = torch.arange(1, longest + 1, dtype=frames.dtype, device=frames.device)
    mean = difference.cumsum(-1) / lags
    return (difference / (mean + torch.finfo(frames.dtype).tiny))[:, shortest - 1 :]


def _observe(frames: Tensor, grid: _Grid) -> Tensor:
    """How probable each pitch is in frames (R, W): (R, N), which adds up to at most 1."""
    difference = normalized_difference(frames, grid.shortest, grid.longest)
    heights, periods = _troughs(difference)
    hertz = grid.sample_rate / (grid.shortest + periods)
    bins = (12 * BINS * torch.log2(hertz / grid.f_min)).round().clamp(0, grid.bins).long()  # the last is too high: dropped
    observed = difference.new_zeros(len(frames), grid.bins + 1)
    return observed.scatter_add_(1, bins, _trough_probabilities(heights))[:, :-1]


def _troughs(difference: Tensor) -> tuple[Tensor, Tensor]:
    """Heights and places, refined by parabolas, of the minima in (R, P), at most M; infinity and 0 where they are fewer."""
    before, after = difference[:, :-1], difference[:, 1:]
    falls, rises = after < before, after >= before
    ends = torch.ones_like(falls[:, :1])
    lowest = torch.cat([after[:, :1] > before[:, :1], falls], 1) & torch.cat([rises, ends], 1)
    most = max(1, int(lowest.sum(-1).max()))
    slot = torch.where(lowest, lowest.cumsum(-1) - 1, most)
    places = torch.arange(difference.shape[1], device=difference.device) + _shifts(difference)
    found = [
        torch.full((len(difference), most + 1), empty, dtype=difference.dtype, device=difference.device)
        for empty in (torch.inf, 0.0)
    ]
    heights, refined = (
        out.scatter_(1, slot, values)[:, :most] for out, values in zip(found, (difference, places), strict=True)
    )
    return heights, refined


def _shifts(difference: Tensor) -> Tensor:
    """How far the minimum of the parabola through three neighbours is from the middle one; 0 where it is not between them."""
    before, middle, after = difference[:, :-2], difference[:, 1:-1], difference[:, 2:]
    curvature, slope = after + before - 2 * middle, (after - before) / 2
    outside = slope.abs() >= curvature.abs()
    return F.pad(torch.where(outside, 0.0, -slope / torch.where(outside, 1.0, curvature)), (1, 1))


def _trough_probabilities(heights: Tensor) -> Tensor:
    """How probable each of the troughs (R, M), by rising period, is the one: the rest of 1 is that none is."""
    thresholds = torch.linspace(0, 1, THRESHOLDS + 1, dtype=torch.float64)
    cumulative = torch.from_numpy(scipy.special.betainc(*BETA, thresholds.numpy()))
    weights, limits = cumulative.diff().to(heights), thresholds[1:].to(heights)
    below = heights[..., None] < limits
    rank, count = below.cumsum(1).to(heights) - 1, below.sum(1, keepdim=True).to(heights)
    prior = (-BOLTZMANN * rank).exp() * (1 - math.exp(-BOLTZMANN)) / (1 - (-BOLTZMANN * count.clamp(min=1)).exp())
    probabilities = (prior * below) @ weights
    deepest = heights.argmin(1, keepdim=True)
    none_below = (~below.any(1)).to(weights) @ weights
    there = heights.gather(1, deepest) < torch.inf
    return probabilities.scatter_add(1, deepest, NO_TROUGH * none_below[:, None] * there)
