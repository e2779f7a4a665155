"""A trained model of pitch as its user sees it: a waveform in, its pitch curve out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from toolkit.audio import Recording
from toolkit.blocks.synthesis import State
from toolkit.dsp.resample import resample_blocks
from toolkit.infer.trained import given
from toolkit.infer.use import Usable, Use
from toolkit.models.base import PitchModel
from toolkit.tasks.experiment import load_as
from toolkit.tasks.pitch import PitchTracking

AT_ONCE = 4.0  # seconds of a long recording


class PitchCurve(NamedTuple):
    """The pitch of L frames.

    Attributes:
        seconds: (L,), where each has its centre, float64.
        hertz: (L,).
        confidence: (L,), 0 to 1, how sure it is that there is a pitch, and this one.
    """

    seconds: Tensor
    hertz: Tensor
    confidence: Tensor

    def voiced(self, threshold: float) -> PitchCurve:
        """The same with 0 Hz where the confidence is below a threshold."""
        return self._replace(hertz=torch.where(self.confidence >= threshold, self.hertz, 0))


class TrainedPitch(Usable):
    """What `toolkit.load` gives of a model that tracks pitch.

    A recording is heard as one channel, the mean of its own.

    Attributes:
        sample_rate: Hz at which recordings are heard.
        hop_length: samples from frame to frame, at that rate.
        voiced: confidence from which on a frame counted as voiced when the model was scored.
    """

    def __init__(self, path: Path | str) -> None:
        """Open an experiment's folder or a pack; nothing in it is executed or unpickled.

        Raises:
            UserError: there is no trained model of pitch in it, or its configuration names what is not the toolkit's.
        """
        self.task = task = load_as(Path(path), PitchTracking, "tracks pitch")
        self.model: PitchModel = task.model
        self.voiced = task.config.score.voiced
        self.sample_rate, self.hop_length = self.model.sample_rate, self.model.hop_length

    @property
    def use(self) -> Use:
        """What a model card says of it."""
        milliseconds = 1000 * self.hop_length / self.sample_rate
        return Use(
            f"the pitch (Hz) and its confidence, every {milliseconds:.4g} ms",
            f"recordings of any rate and length as one channel, the mean of theirs, at {self.sample_rate} Hz",
            "pitch solo.wav --model {}",
            "curve = model.pitch(wave, sample_rate)  # curve.seconds, curve.hertz, curve.confidence: (frames,)",
        )

    def pitch(self, wave: Tensor | np.ndarray, sample_rate: int) -> PitchCurve:
        """The pitch of a waveform: L = 1 + ⌊T / hop_length⌋ frames, T being its samples at the model's rate.

        Args:
            wave: (channels, time) or (time,), of any rate and number of channels, in [-1, 1].
            sample_rate: its rate in Hz.

        Raises:
            ValueError: as of `toolkit.infer.trained.given`.
        """
        return joined(self.stream(given(wave, sample_rate)))

    def stream(self, recording: Recording) -> Iterator[PitchCurve]:
        """The pitch of a recording of any length, in bounded memory.

        Args:
            recording: e.g. ``Recording.of_file(path)``.

        Yields:
            The next frames.
        """
        listener = self.listener()
        for samples in pieces(recording, self.sample_rate, round(AT_ONCE * self.sample_rate)):
            yield listener.hear(samples)
        yield listener.rest()

    def listener(self) -> Listener:
        """What hears a sound as it comes in, any number of samples at a time."""
        return Listener(self.model, self.device)


class Listener:
    """The pitch of a sound that is not over yet.

    A frame is told as soon as the model has all it needs of what follows it.

    Args:
        model: trained.
        device: where it is.
    """

    def __init__(self, model: PitchModel, device: torch.device) -> None:
        self.model, self.device = model, device
        self._state: State | None = None
        self._heard, self._told = 0, 0

    def hear(self, samples: Tensor | np.ndarray) -> PitchCurve:
        """The frames that are complete with the next samples.

        Args:
            samples: (time,) at the model's rate, in [-1, 1]; any number.

        Raises:
            ValueError: they have channels, or are whole numbers.
        """
        next_ones = torch.as_tensor(samples)
        if next_ones.ndim != 1 or not next_ones.is_floating_point():
            told = f"found {tuple(next_ones.shape)} of {next_ones.dtype}"
            raise ValueError(f"samples: expected (time,), floating point numbers in [-1, 1], {told}")
        next_ones = next_ones.float()
        self._heard += len(next_ones)
        return self._step(next_ones)

    def rest(self) -> PitchCurve:
        """The frames that are still missing when no more samples come; silence is taken to follow."""
        wanted = 1 + self._heard // self.model.hop_length if self._heard else 0
        found = [PitchCurve(torch.zeros(0, dtype=torch.float64), torch.zeros(0), torch.zeros(0))]
        while self._told < wanted:
            found.append(self._step(torch.zeros(self.model.sample_rate)))
        whole, beyond = joined(found), self._told - wanted
        self._told = wanted
        return PitchCurve(*(values[: len(values) - beyond] for values in whole))

    @torch.inference_mode()
    def _step(self, samples: Tensor) -> PitchCurve:
        pitch, self._state = self.model.step(samples[None].to(self.device), self._state)
        count = pitch.hertz.shape[1]
        numbers = torch.arange(self._told, self._told + count, dtype=torch.float64)
        self._told += count
        seconds = numbers * self.model.hop_length / self.model.sample_rate
        return PitchCurve(seconds, pitch.hertz[0].float().cpu(), pitch.confidence[0].float().cpu())


def joined(curves: Iterable[PitchCurve]) -> PitchCurve:
    """Several curves, one after the other."""
    return PitchCurve(*(torch.cat(parts) for parts in zip(*curves, strict=True)))


def pieces(recording: Recording, sample_rate: int, longest: int) -> Iterator[Tensor]:
    """A recording as one channel, the mean of its own, at another rate: (time,), at most `longest` samples at a time."""
    mono = (block.mean(0).cpu().numpy() for block in recording.blocks())
    for block in resample_blocks(mono, recording.sample_rate, sample_rate):
        yield from torch.from_numpy(block).split(longest)
