"""Augmentations of waveforms: references in, changed references out; the mixture is their sum afterwards."""

from abc import ABC, abstractmethod
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from toolkit.dsp.resample import resample


class Augmentation(ABC):
    """A random change of the references of one example.

    Attributes:
        stretch: how many times as long the input has to be for an output of a wanted length.
    """

    stretch: float = 1.0

    @abstractmethod
    def __call__(self, references: Tensor, rng: np.random.Generator) -> Tensor:
        """Change references (sources, channels, time); all that is random comes from `rng`."""


class Gain(Augmentation):
    """Each reference becomes louder or softer.

    Args:
        low: smallest factor.
        high: largest factor.
    """

    def __init__(self, low: float = 0.25, high: float = 1.25) -> None:
        self.low, self.high = low, high

    def __call__(self, references: Tensor, rng: np.random.Generator) -> Tensor:
        factors = rng.uniform(self.low, self.high, len(references))
        return references * torch.as_tensor(factors, dtype=references.dtype)[:, None, None]


class SignFlip(Augmentation):
    """Each reference changes its sign or not, with equal chances."""

    def __call__(self, references: Tensor, rng: np.random.Generator) -> Tensor:
        signs = rng.choice([-1.0, 1.0], len(references))
        return references * torch.as_tensor(signs, dtype=references.dtype)[:, None, None]


class ChannelSwap(Augmentation):
    """Each reference has its channels in reverse order or not, with equal chances: left and right of a stereo recording."""

    def __call__(self, references: Tensor, rng: np.random.Generator) -> Tensor:
        return torch.stack([r.flip(0) if rng.random() < 0.5 else r for r in references])


class SpeedPerturb(Augmentation):
    """Each reference runs faster or slower, its pitch with it; all are cut to the shortest (T. Ko et al., Interspeech 2015).

    Args:
        factors: speeds to choose from; above 1 is faster.
    """

    def __init__(self, factors: tuple[float, ...] = (0.95, 1.0, 1.05)) -> None:
        self.factors = factors
        self.stretch = max(factors)

    def __call__(self, references: Tensor, rng: np.random.Generator) -> Tensor:
        changed = [change_speed(r, rng.choice(self.factors)) for r in references]
        shortest = min(r.shape[-1] for r in changed)
        return torch.stack([r[..., :shortest] for r in changed])


def change_speed(waveform: Tensor, factor: float) -> Tensor:
    """Play (..., time) `factor` times as fast (to 1/100): resampled to ceil(time / factor) samples."""
    ratio = Fraction(factor).limit_denominator(100)
    return torch.from_numpy(resample(waveform.numpy(), ratio.numerator, ratio.denominator))
