"""A trained tagger as its user sees it: a waveform in, probabilities of tags out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toolkit import files, progress
from toolkit.audio import Recording
from toolkit.blocks.features import Feature, Published
from toolkit.dsp.resample import resample_blocks
from toolkit.infer.trained import given
from toolkit.infer.use import Usable, Use
from toolkit.log import UserError
from toolkit.tasks.experiment import load_as
from toolkit.tasks.tagging import TAGS, Tagging

WHOLE = 30.0  # seconds up to which a recording is heard as the clips of a corpus are
WINDOW = 10.0  # seconds of a longer one that are heard at once, if the configuration does not say
SHORTEST = 1.0  # seconds; what is shorter is filled up with silence
BATCH = 60.0  # seconds heard at once in all


class TrainedTagger(Usable):
    """What `toolkit.load` gives of a model that tags.

    A recording is heard as one channel, the mean of its own.  Up to half a minute of it is tagged as the stage `infer` tags a
    clip; of a longer one windows are tagged, and the mean of their probabilities counts.  Memory does not grow with its length.

    Attributes:
        tags: their names, in the model's order.
        window: seconds of a window: what the model was trained on or is asked with, if that is not whole clips.
    """

    kept = (TAGS,)

    def __init__(self, path: Path | str) -> None:
        """Open an experiment's folder or a pack; nothing in it is executed or unpickled.

        Raises:
            UserError: there is no trained tagger in it, or its configuration names what is not the toolkit's.
        """
        self.task = task = load_as(Path(path), Tagging, "tags")
        self.tags = _names(Path(path) / TAGS, task.model.tags)
        self._path = path
        self._segment = task.config.infer.chunk or task.config.data.segment
        self.window = self._segment or WINDOW

    @property
    def use(self) -> Use:
        """What a model card says of it."""
        return Use(
            f"probabilities of {len(self.tags)} tags: {', '.join(self.tags)}",
            f"recordings of any rate and length as one channel, the mean of theirs, {_read_as(self.task.config.data.input)}; "
            f"long ones in windows of {self.window:g} s",
            "tag song.mp3 --model {}",
            "probabilities = model.tag(wave, sample_rate)  # name to probability\n"
            "vector = model.embed(wave, sample_rate)  # (C,)",
        )

    def tag(self, wave: Tensor | np.ndarray, sample_rate: int) -> dict[str, float]:
        """Probabilities of all tags.

        Args:
            wave: (channels, time) or (time,), of any rate and number of channels, in [-1, 1].
            sample_rate: its rate in Hz.

        Returns:
            Name of a tag to its probability.

        Raises:
            ValueError: as of `toolkit.infer.trained.given`.
            UserError: what the model reads cannot be computed here.
        """
        return self.tag_recording(given(wave, sample_rate))

    def activity(self, wave: Tensor | np.ndarray, sample_rate: int, every: float = 1.0) -> tuple[Tensor, Tensor]:
        """Probabilities over time.

        Each is that of a window around the middle of its time: of `window` seconds where the model is bound to such, else as
        long as the time, but of one second at least.  At both ends windows stay inside the recording.

        Args:
            wave: as of `tag`.
            sample_rate: its rate in Hz.
            every: seconds from one to the next.

        Returns:
            Seconds (W,) at which each begins, and probabilities (K, W).

        Raises:
            ValueError: as `tag`, or `every` is not above 0.
            UserError: as `tag`.
        """
        return self.activity_of_recording(given(wave, sample_rate), every)

    def embed(self, wave: Tensor | np.ndarray, sample_rate: int) -> Tensor:
        """What the tags are told from: one vector (C,), the mean over the windows of a long recording.

        Args:
            wave: as of `tag`.
            sample_rate: its rate in Hz.

        Raises:
            ValueError: as `tag`.
            UserError: as `tag`.
        """
        recording = given(wave, sample_rate)
        chunk = self.task.config.infer.chunk
        starts, length = self._pieces(recording, whole=0.0 if chunk else WHOLE)
        shortest = round((chunk or 0.0) * self.sample_rate)
        return self._hear(recording, starts, length, self.task.model.embed, shortest).mean(0)

    def tag_recording(self, recording: Recording) -> dict[str, float]:
        """As `tag`, of a recording of any length, e.g. ``Recording.of_file(path)``, in bounded memory."""
        starts, length = self._pieces(recording, WHOLE)
        found = self._hear(recording, starts, length, self._probabilities).mean(0)
        return dict(zip(self.tags, found.tolist(), strict=True))

    def activity_of_recording(self, recording: Recording, every: float = 1.0) -> tuple[Tensor, Tensor]:
        """As `activity`, of a recording of any length, in bounded memory.

        Raises:
            ValueError: `every` is not above 0.
        """
        if not 0 < every < math.inf:
            raise ValueError(f"every: expected seconds above 0, found {every}")
        rate, total = self.sample_rate, self._samples(recording)
        length = min(total, round(rate * (self._segment or max(every, SHORTEST))))
        times = every * torch.arange(max(1, math.ceil(round(total / rate / every, 6))), dtype=torch.float64)
        starts = ((times + every / 2) * rate - length / 2).round().long().clamp(0, total - length)
        different, place = starts.unique(return_inverse=True)
        found = self._hear(recording, different.tolist(), length, self._probabilities)
        return times.float(), found[place].T

    @property
    def sample_rate(self) -> int:
        """Hz at which recordings are heard.

        Raises:
            UserError: the model reads features that were published, and nothing computes them of other recordings.
        """
        feature = self.task.config.data.input
        if isinstance(feature, Published) and feature.same_as is None:
            raise UserError(
                f"{self._path}: it reads {feature.name}, which comes with a corpus; nothing computes that of other recordings. "
                "Next: train with a `same_as` in its data.input, or on another data.input"
            )
        return feature.sample_rate

    def check(self) -> None:
        """See, by a second of silence, that what the model reads can be computed here.

        Raises:
            UserError: weights or a package are missing, or nothing computes it.
        """
        self._features(torch.zeros(1, self.sample_rate))

    def _pieces(self, recording: Recording, whole: float) -> tuple[list[int], int]:
        """Where windows begin and how long they are, in samples of the model's rate; one for all up to `whole` seconds."""
        total, length = self._samples(recording), round(self.window * self.sample_rate)
        if total <= max(length, whole * self.sample_rate):
            return [0], total
        count = math.ceil(total / length)
        return [round(number * (total - length) / (count - 1)) for number in range(count)], length

    def _samples(self, recording: Recording) -> int:
        """How many samples a recording has at the model's rate."""
        return -(-recording.frames * self.sample_rate // recording.sample_rate)

    @torch.inference_mode()
    def _hear(
        self,
        recording: Recording,
        starts: Sequence[int],
        length: int,
        function: Callable[[Tensor], Tensor],
        shortest: int = 0,
    ) -> Tensor:
        """What `function` makes of the features of each window, (W, …)."""
        shortest = max(shortest, round(SHORTEST * self.sample_rate))
        mono = (block.mean(0).cpu().numpy() for block in recording.blocks())
        windows = cut(resample_blocks(mono, recording.sample_rate, self.sample_rate), starts, length, shortest)
        at_once = max(1, round(BATCH * self.sample_rate) // max(length, shortest))
        batches = progress.track(_batches(windows, at_once), "tagging, windows", len(starts), len)
        return torch.cat([function(self._features(batch)).float().cpu() for batch in batches])

    def _features(self, waveforms: Tensor) -> Tensor:
        feature = self.task.config.data.input
        return feature.compute(waveforms.to(self.device)).float() * feature.scale

    def _probabilities(self, features: Tensor) -> Tensor:
        return self.task.probabilities(self.task.model, features)


def cut(blocks: Iterable[np.ndarray], starts: Iterable[int], length: int, shortest: int = 0) -> Iterator[np.ndarray]:
    """Windows of a signal that comes in blocks, no more of which is held than a window and a block.

    Args:
        blocks: (time,), one after the other.
        starts: samples at which windows begin, ascending.
        length: samples of a window.
        shortest: what is shorter is filled up with zeros.

    Yields:
        (max(length, shortest),).
    """
    blocks = iter(blocks)
    held, begin = np.empty(0, np.float32), 0
    for start in starts:
        while True:
            dropped = min(len(held), start - begin)
            held, begin = held[dropped:], begin + dropped
            if begin + len(held) >= start + length:
                break
            held = np.concatenate([held, next(blocks)])
        yield np.pad(held[:length], (0, max(0, shortest - length)))


def _batches(windows: Iterable[np.ndarray], size: int) -> Iterator[Tensor]:
    batch: list[np.ndarray] = []
    for window in windows:
        batch.append(window)
        if len(batch) == size:
            yield torch.from_numpy(np.stack(batch))
            batch = []
    if batch:
        yield torch.from_numpy(np.stack(batch))


def _names(path: Path, expected: int) -> list[str]:
    if not path.is_file():
        raise UserError(f"no names of the tags at {path}. Next: run the stage `train`")
    names: list[str] = files.read_json(path, list[str])
    if len(names) != expected:
        raise UserError(f"{path}: expected the names of the model's {expected} tags. Next: {files.AGAIN}")
    return names


def _read_as(feature: Feature) -> str:
    if not isinstance(feature, Published):
        return f"read as `{type(feature).__name__}`"
    if feature.same_as is None:
        return f"read as `{feature.name}`, which comes with the corpus: nothing computes it of other recordings"
    return f"read as `{feature.name}`, computed by `{type(feature.same_as).__name__}`"
