"""A trained model of synthesis as its user sees it: a recording in, the same music by another instrument out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.audio import Recording
from toolkit.blocks.features import LabelFeature
from toolkit.blocks.pitch_trackers import PYINPitch
from toolkit.blocks.synthesis import State
from toolkit.data.examples import to_device
from toolkit.data.performances import Performance
from toolkit.dsp.resample import resample_blocks
from toolkit.infer.tracker import pieces
from toolkit.infer.trained import given
from toolkit.infer.use import Usable, Use
from toolkit.log import UserError
from toolkit.models.base import SynthesisModel
from toolkit.tasks.experiment import load_as
from toolkit.tasks.synthesis import Synthesis

Tracker = Callable[[Tensor], Tensor]
Curve = Tensor | np.ndarray | Sequence[float]

AT_ONCE = 4.0  # seconds that are rendered at once, where the model can
MOST = 48.0  # semitones that are transposed by
HEARD_AT_ONCE, MARGIN = 60.0, 1.0  # seconds whose pitch and loudness are told at once, and more of them on either side


class TrainedSynthesis(Usable):
    """What `toolkit.load` gives of a model that plays music again.

    A recording is heard as one channel, the mean of its own, and scaled to a peak of 1, as the recordings of the corpora are;
    what is rendered is as loud as the recording again.

    Attributes:
        sample_rate: Hz of what is rendered.
        hop_length: samples of a frame.
        tracker: maps waveforms (B, T) at that rate to the pitch of the frames (B, L) in Hz; may be replaced.  At first what the
            model was trained with, or pYIN where that was annotated.
    """

    def __init__(self, path: Path | str) -> None:
        """Open an experiment's folder or a pack; nothing in it is executed or unpickled.

        Raises:
            UserError: there is no trained model of synthesis in it, or its configuration names what is not the toolkit's.
        """
        self.task = task = load_as(Path(path), Synthesis, "synthesizes")
        self.model: SynthesisModel = task.model
        self.sample_rate, self.hop_length = self.model.sample_rate, self.model.hop_length
        trained_with = task.config.data.f0
        if trained_with is None or isinstance(trained_with, LabelFeature):
            trained_with = PYINPitch(self.sample_rate, self.hop_length)
        self.tracker: Tracker = trained_with.compute
        self.live = self._plays()

    @property
    def use(self) -> Use:
        """What a model card says of it."""
        reads = " and ".join({"f0": "pitch", "waveform": "sound"}.get(name, name) for name in sorted(self.model.reads))
        live = "" if "waveform" in self.model.reads else "\nsound = model.player().play(f0, loudness)  # (frames,) to (time,)"
        return Use(
            f"the same music, rendered at {self.sample_rate} Hz",
            f"{reads} of recordings of any rate and length as one channel, the mean of theirs, in frames of {self.hop_length} "
            f"samples at {self.sample_rate} Hz",
            "resynth solo.wav --model {}",
            f"played = model.resynthesize(wave, sample_rate)  # (time,){live}",
        )

    def resynthesize(self, wave: Tensor | np.ndarray, sample_rate: int, transpose: float = 0.0) -> Tensor:
        """Play a recording again.

        Args:
            wave: (channels, time) or (time,), of any rate and number of channels, in [-1, 1].
            sample_rate: its rate in Hz.
            transpose: semitones upwards.

        Returns:
            (time,), as long as `wave` and of the same rate; what the model renders reaches up to half its own rate.

        Raises:
            ValueError: as of `toolkit.infer.trained.given`, or more semitones than `MOST`.
            UserError: the model cannot transpose, or what it reads cannot be computed here.
        """
        recording = given(wave, sample_rate)
        return torch.cat(list(self.stream(recording, transpose)))

    def stream(self, recording: Recording, transpose: float = 0.0) -> Iterator[Tensor]:
        """As `resynthesize`, of a recording, e.g. ``Recording.of_file(path)``, one block of samples (time,) after the other.

        Raises:
            ValueError: it would be transposed too far.
        """
        if not -MOST <= transpose <= MOST:
            raise ValueError(f"transpose: expected {-MOST:g} to {MOST:g} semitones, found {transpose:g}")
        performance, peak = self.performance(recording)
        rendered = (peak * block.numpy() for block in self.render(performance, transpose))
        missing = recording.frames
        for block in resample_blocks(rendered, self.sample_rate, recording.sample_rate):
            yield torch.from_numpy(block[:missing])
            missing = max(0, missing - len(block))

    @torch.inference_mode()
    def performance(self, recording: Recording) -> tuple[Performance, float]:
        """What the model reads of a recording, zeros behind it up to a whole frame, and the recording's peak.

        Raises:
            UserError: what the model reads cannot be computed here.
        """
        waveform = torch.cat(list(pieces(recording, self.sample_rate, recording.frames)))
        peak = float(waveform.abs().max())
        waveform = waveform / peak if peak else waveform
        frames = -(-len(waveform) // self.hop_length)
        f0, loudness = (
            self._curve(name, function, waveform, frames)
            for name, function in (("f0", self.tracker), ("loudness", self._loudness))
        )
        heard = F.pad(waveform, (0, frames * self.hop_length - len(waveform)))
        return Performance(heard[None], f0, loudness, torch.tensor([len(waveform)]), [""]), peak

    def render(self, performance: Performance, transpose: float = 0.0) -> Iterator[Tensor]:
        """Render a performance: its samples (time,), one block after the other where the model can, else all at once.

        Raises:
            UserError: the model cannot transpose.
        """
        blocks = self._played(performance, transpose) if self.live else self._whole(performance, transpose)
        wanted = int(performance.lengths[0])
        for block in blocks:
            yield block[:wanted]
            wanted -= len(block[:wanted])

    def player(self) -> Player:
        """What plays frames of pitch and loudness as they come, any number at a time.

        Raises:
            UserError: the model needs the whole performance at once, or reads its sound.
        """
        if not self.live:
            raise UserError(f"{type(self.model).__name__} does not play while it is told what. Next: resynthesize()")
        return Player(self.model, self.device)

    def _plays(self) -> bool:
        """Whether the model can render frame by frame from curves alone."""
        if "waveform" in self.model.reads:
            return False
        try:
            Player(self.model, self.device).play([440.0], [0.0])
        except ValueError:
            return False
        return True

    def _played(self, performance: Performance, transpose: float) -> Iterator[Tensor]:
        player, late = self.player(), self.model.latency
        frames = max(1, round(AT_ONCE * self.sample_rate / self.hop_length))
        hertz = performance.f0[0] * 2 ** (transpose / 12)
        for f0, loudness in zip(hertz.split(frames), performance.loudness[0].split(frames), strict=True):
            block = player.play(f0, loudness)
            yield block[late:]
            late = max(0, late - len(block))
        yield player.rest()[late:]

    @torch.inference_mode()
    def _whole(self, performance: Performance, transpose: float) -> Iterator[Tensor]:
        moved = to_device(performance, self.device)
        try:
            audio = self.model.transposed(moved, transpose) if transpose else self.model(moved)
        except ValueError as error:
            raise UserError(str(error)) from error
        yield audio[0].float().cpu()

    def _loudness(self, waveforms: Tensor) -> Tensor:
        feature = self.task.config.data.loudness
        assert feature is not None  # or the task would have refused the configuration
        return feature.compute(waveforms) * feature.scale

    def _curve(self, name: str, function: Tracker, waveform: Tensor, frames: int) -> Tensor:
        """What the model reads of each frame of a waveform (T,): (1, L), or (1, 0) where it does not.

        Of a long recording minutes are heard one by one, each with a second of its neighbours.
        """
        if name not in self.model.reads:
            return torch.zeros(1, 0)
        length, more = (math.ceil(seconds * self.sample_rate / self.hop_length) for seconds in (HEARD_AT_ONCE, MARGIN))
        parts = []
        for begin in range(0, frames, length):
            first, end = max(0, begin - more), min(frames, begin + length)
            heard = waveform[first * self.hop_length : (end + more) * self.hop_length]
            curve = function(heard[None].to(self.device)).float().cpu()[:, begin - first : end - first]
            parts.append(F.pad(curve, (0, end - begin - curve.shape[1]), mode="replicate"))
        return torch.cat(parts, 1)


class Player:
    """Plays while it is told what: pitch and loudness of any number of frames, each `hop_length` samples of sound.

    All that is played, what `rest` gives included, is what the model makes of all frames at once, `latency` samples late.

    Args:
        model: trained.
        device: where it is.

    Attributes:
        latency: samples.
    """

    def __init__(self, model: SynthesisModel, device: torch.device) -> None:
        self.model, self.device, self.latency = model, device, model.latency
        self._state: State | None = None

    def play(self, f0: Curve, loudness: Curve) -> Tensor:
        """Play the next frames.

        Args:
            f0: (L,) Hz, 0 where there is no pitch.
            loudness: (L,) dB, as the feature has it that the model was trained with.

        Returns:
            (L · hop_length,).

        Raises:
            ValueError: one is longer than the other.
        """
        hertz, decibels = (torch.as_tensor(curve, dtype=torch.float32) for curve in (f0, loudness))
        if hertz.ndim != 1 or hertz.shape != decibels.shape:
            raise ValueError(f"expected f0 and loudness of one length, found {tuple(hertz.shape)} and {tuple(decibels.shape)}")
        if not len(hertz):
            return torch.zeros(0)
        return self._step(hertz, decibels)

    @torch.inference_mode()
    def rest(self) -> Tensor:
        """The last `latency` samples, to be asked for once, at the end."""
        if self._state is None or not self.latency:
            return torch.zeros(0)
        return self.model.finish(self._state)[0].float().cpu()

    @torch.inference_mode()
    def _step(self, hertz: Tensor, decibels: Tensor) -> Tensor:
        samples = torch.tensor([len(hertz) * self.model.hop_length])
        frames = Performance(torch.zeros(1, 0), hertz[None], decibels[None], samples, [""])
        audio, self._state = self.model.step(to_device(frames, self.device), self._state)
        return audio[0].float().cpu()
