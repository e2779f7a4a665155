"""A model of pitch that this collection has trained, as a tracker for others."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from toolkit.dsp.resample import resample
from toolkit.tasks.trained_feature import TrainedFeature

if TYPE_CHECKING:
    from toolkit.tasks.pitch import PitchTracking


class PESTOPitch(TrainedFeature):
    """The pitch that a trained experiment of the task pitch hears (Hz, 0 where it is not sure enough).

    Frame l stands at l · hop_length / sample_rate seconds.  Between the frames of the experiment the pitch moves along a line
    of cents and the confidence along a line; behind the last one they stay.

    Args:
        exp: folder of the trained experiment, or a pack of one, e.g. ``../pesto/exp/paper``.
        sample_rate: Hz.
        hop_length: samples between frames.
        least_confidence: frames below it are unvoiced.
    """

    def __init__(self, exp: str, sample_rate: int, hop_length: int, least_confidence: float = 0.5) -> None:
        super().__init__(exp)
        self.sample_rate, self.hop_length, self.least_confidence = sample_rate, hop_length, least_confidence
        self.frame_rate = sample_rate / hop_length

    @cached_property
    def name(self) -> str:
        """``pesto_pitch/0123456789ab``: another one for other weights or options.

        Raises:
            UserError: the experiment is not trained.
        """
        return f"pesto_pitch/{self.made_with(self.sample_rate, self.hop_length, self.least_confidence)}"

    def compute(self, waveforms: Tensor) -> Tensor:
        """Map (B, T) to (B, L) Hz, L = ⌈T / hop_length⌉.

        Raises:
            UserError: the experiment is not trained, or is none of pitch.
        """
        model = self._task.model.to(waveforms.device)
        heard = torch.from_numpy(resample(waveforms.float().cpu().numpy(), self.sample_rate, model.sample_rate))
        with torch.no_grad():
            found = model.track(heard.to(waveforms.device))
        frames = -(-waveforms.shape[-1] // self.hop_length)
        ratio = self.hop_length / self.sample_rate * model.sample_rate / model.hop_length
        places = torch.arange(frames, dtype=torch.float64, device=waveforms.device) * ratio
        octaves, confidence = (between(curve, places) for curve in (found.hertz.log2(), found.confidence))
        return torch.where(confidence >= self.least_confidence, 2**octaves, 0.0)

    @cached_property
    def _task(self) -> PitchTracking:
        from toolkit.tasks.pitch import PitchTracking

        return self.opened(PitchTracking, "tracks pitch")


def between(values: Tensor, places: Tensor) -> Tensor:
    """Values (B, L) at places (N,) in units of their frames, on the line between neighbours: (B, N)."""
    last = values.shape[-1] - 1
    places = places.clamp(0, last)
    before = places.long()
    share = (places - before).to(values.dtype)
    return torch.lerp(values[:, before], values[:, (before + 1).clamp(max=last)], share)
