"""Harmonic signals of constant pitch and constant amplitudes, and how they are dealt out to the splits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

RATE = 16000  # Hz
SAMPLES = 4096
LOWEST, HIGHEST = 40.0, 1950.0  # Hz, of the fundamental
QUIETEST, LOUDEST = 0.4, 1.0  # amplitude of a harmonic that there is
HARMONICS = 8
SHARES = {"train": 0.7, "valid": 0.2, "test": 0.1}
BATCH = 256  # signals made at once


class Signals(NamedTuple):
    """What N signals are made of.

    Attributes:
        f0: (N), Hz.
        amplitudes: (N, HARMONICS), 0 from the first harmonic on that a signal lacks.
        splits: name of each one's split.
    """

    f0: Tensor
    amplitudes: Tensor
    splits: list[str]

    def labels(self, number: int, hop_length: int) -> dict[str, Any]:
        """What a manifest tells of a signal: its pitch every `hop_length` samples, and its amplitudes."""
        hertz = [round(float(self.f0[number]), 6)] * (SAMPLES // hop_length)
        return {
            "f0": {"start": 0.0, "step": hop_length / RATE, "hz": hertz},
            "amplitudes": [round(value, 6) for value in self.amplitudes[number].tolist()],
        }


def draw(count: int, seed: int) -> Signals:
    """Draw signals in the order in which the released code draws them: pitches, amplitudes, how many harmonics, splits.

    That code draws a number from 0 to 7 and keeps the harmonics whose number, counted from 0, is below it, besides the first:
    one harmonic in a quarter of the signals, two to seven in an eighth each, and never all eight.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    f0 = LOWEST + (HIGHEST - LOWEST) * torch.rand(count, generator=generator)
    amplitudes = QUIETEST + (LOUDEST - QUIETEST) * torch.rand(count, HARMONICS, generator=generator)
    drawn = torch.randint(0, HARMONICS, (count, 1), generator=generator)
    number = torch.arange(HARMONICS)
    order = torch.randperm(count, generator=generator)
    ends = [round(count * (SHARES["train"])), round(count * (SHARES["train"] + SHARES["valid"]))]
    splits = [""] * count
    for place, index in enumerate(order.tolist()):
        splits[index] = "train" if place < ends[0] else "valid" if place < ends[1] else "test"
    return Signals(f0, amplitudes * ((number < drawn) | (number == 0)), splits)


def render(signals: Signals, first: int, count: int) -> Tensor:
    """Signals (count, SAMPLES) from `first` on: sines that begin at phase 0, those above half the rate left out."""
    import torch

    f0 = signals.f0[first : first + count].double()
    frequencies = f0[:, None] * torch.arange(1, HARMONICS + 1)
    amplitudes = signals.amplitudes[first : first + count].double() * (frequencies < RATE / 2)
    cycles = frequencies[..., None] / RATE * torch.arange(1, SAMPLES + 1)  # the first sample is one step after phase 0
    return (amplitudes[..., None] * (2 * math.pi * cycles).sin()).sum(1).float()
