"""Augmentations of waveforms: references in, changed references out; the mixture is their sum afterwards."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from toolkit.dsp.resample import resample
from toolkit.dsp.stretch import change_tempo


class Augmentation(ABC):
    """A random change of the references of one example.

    Attributes:
        stretch: how many times as long the input has to be for an output of a wanted length.
    """

    stretch: float = 1.0

    @abstractmethod
    def __call__(self, references: Tensor, rng: np.random.Generator) -> Tensor:
        """Change references (sources, channels, time); all that is random comes from `rng`."""


class Rescaling(Augmentation):
    """A factor for each reference, its channels in reverse order or not: what costs nothing when it is done in reading."""

    @abstractmethod
    def draw(self, references: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Factors (references,), and whether the channels change their order (references,)."""

    def __call__(self, references: Tensor, rng: np.random.Generator) -> Tensor:
        factors, reverse = self.draw(len(references), rng)
        changed = references * torch.as_tensor(factors, dtype=references.dtype)[:, None, None]
        changed[reverse] = changed[reverse].flip(1)
        return changed


class Gain(Rescaling):
    """Each reference becomes louder or softer (S. Uhlich et al., ICASSP 2017: 0.25 to 1.25; Wave-U-Net, ISMIR 2018: 0.7 to 1).

    Args:
        low: smallest factor.
        high: largest factor.
        together: numbers of references that share one factor, such as the stems of an accompaniment.
    """

    def __init__(self, low: float = 0.25, high: float = 1.25, together: Sequence[int] = ()) -> None:
        self.low, self.high, self.together = low, high, list(together)

    def draw(self, references: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        factors = rng.uniform(self.low, self.high, references)
        factors[self.together[1:]] = factors[self.together[:1]]
        return factors, np.zeros(references, bool)


class SignFlip(Rescaling):
    """Each reference changes its sign or not, with equal chances."""

    def draw(self, references: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return rng.choice([-1.0, 1.0], references), np.zeros(references, bool)


class ChannelSwap(Rescaling):
    """Each reference has its channels in reverse order or not, with equal chances: left and right of a stereo recording."""

    def draw(self, references: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(references), rng.random(references) < 0.5


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


class PitchTempo(Augmentation):
    """Some examples are played higher or lower and, apart from that, faster or slower; all references of an example alike.

    As version 2 of Demucs does by the program `soundstretch` (A. Défossez et al., arXiv 1911.13254), which treats vocals by
    settings of its own; here all are treated as music.  A changed example costs about 0.2 s of one CPU core for four stereo
    references of 10 s at 44.1 kHz.

    Args:
        probability: share of the examples that are changed.
        max_pitch: semitones up or down; whole numbers, all equally likely.
        max_tempo: percent faster or slower at most.
        tempo_std: standard deviation (percent) of the normal distribution that the tempo is drawn from.
        sample_rate: Hz.
    """

    def __init__(
        self,
        probability: float = 0.2,
        max_pitch: int = 2,
        max_tempo: float = 12.0,
        tempo_std: float = 5.0,
        sample_rate: int = 44100,
    ) -> None:
        self.probability, self.max_pitch, self.sample_rate = probability, max_pitch, sample_rate
        self.max_tempo, self.tempo_std = max_tempo, tempo_std
        self.stretch = 1 + max_tempo / 100

    def __call__(self, references: Tensor, rng: np.random.Generator) -> Tensor:
        if rng.random() >= self.probability:
            return references
        pitch = 2 ** (int(rng.integers(-self.max_pitch, self.max_pitch + 1)) / 12)
        tempo = 1 + float(np.clip(rng.normal(0, self.tempo_std), -self.max_tempo, self.max_tempo)) / 100
        moved = change_speed(references, pitch).numpy()
        factor = tempo * moved.shape[-1] / references.shape[-1]
        return torch.from_numpy(np.stack([change_tempo(reference, factor, self.sample_rate) for reference in moved]))


def change_speed(waveform: Tensor, factor: float) -> Tensor:
    """Play (..., time) `factor` times as fast (to 1/100): resampled to ceil(time / factor) samples."""
    ratio = Fraction(factor).limit_denominator(100)
    return torch.from_numpy(resample(waveform.numpy(), ratio.numerator, ratio.denominator))
