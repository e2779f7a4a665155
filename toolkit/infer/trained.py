"""A trained model of separation as its user sees it: a waveform in, its sources out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toolkit.audio import Recording
from toolkit.infer.use import Usable, Use
from toolkit.tasks.experiment import load_as
from toolkit.tasks.options import InferOptions
from toolkit.tasks.separation import Separation

CHUNK = 30.0  # seconds at once where the configuration takes recordings whole, which a long one need not fit into memory
MOST_CHANNELS = 64  # a first dimension beyond this is taken for time


class TrainedSeparation(Usable):
    """What `toolkit.load` gives of a model that separates.

    Attributes:
        sources: names of what comes out, in the model's order.
        sample_rate: Hz that the model was trained at; recordings of other rates are converted there and back.
        sums_to_mixture: whether the sources add up to the recording by construction (where its rate is the model's).
        options: chunk, overlap and shifts, as the experiment has them; may be replaced.
    """

    def __init__(self, path: Path | str) -> None:
        """Open an experiment's folder or a pack; nothing in it is executed or unpickled.

        Raises:
            UserError: there is no trained separation model in it, or its configuration names what is not the toolkit's.
        """
        self.task = load_as(Path(path), Separation, "separates")
        self.sources: list[str] = self.task.sources
        self.sample_rate: int = self.task.config.data.sample_rate
        self.sums_to_mixture: bool = self.task.model.sums_to_mixture
        infer = self.task.config.infer
        self.options: InferOptions = replace(infer, chunk=infer.chunk or CHUNK)

    @property
    def use(self) -> Use:
        """What a model card says of it."""
        channels = self.task.model.audio_channels
        whole = "" if self.task.config.infer.chunk else " (what it was scored on, it saw whole)"
        return Use(
            ", ".join(self.sources),
            f"{channels} channel{'s' * (channels > 1)} at {self.sample_rate} Hz, {self.options.chunk:g} s at once{whole}; "
            "recordings of other rates and numbers of channels are converted there and back",
            "separate song.mp3 --model {} -o separated",
            "stems = model.separate(wave, sample_rate)  # name to (channels, time)",
        )

    def separate(self, wave: Tensor | np.ndarray, sample_rate: int) -> dict[str, Tensor]:
        """Separate a waveform.

        Args:
            wave: (channels, time) or (time,), of any rate and number of channels, in [-1, 1].
            sample_rate: its rate in Hz.

        Returns:
            Name of a source to its waveform (channels, time), float32, at the same rate.

        Raises:
            ValueError: as of `given`.
        """
        blocks = list(self.stream(given(wave, sample_rate)))
        return {name: torch.cat([block[name] for block in blocks], dim=-1) for name in self.sources}

    def stream(self, recording: Recording, jobs: int = 1) -> Iterator[dict[str, Tensor]]:
        """Separate a recording of any length in bounded memory.

        Args:
            recording: e.g. ``Recording.of_file(path)``.
            jobs: chunks separated at a time.

        Yields:
            Name of a source to its next samples (channels, t); together as long as the recording.
        """
        for estimates in self.task.stream(self.task.model, recording, self.options, jobs):
            yield dict(zip(self.sources, estimates, strict=True))


def given(wave: Tensor | np.ndarray, sample_rate: int) -> Recording:
    """A waveform that may lack its channels, as a recording.

    Args:
        wave: (channels, time) or (time,).
        sample_rate: Hz.

    Raises:
        ValueError: another shape, whole numbers, no sample, one that is not finite, or a rate that is no whole number of Hz.
    """
    if not isinstance(sample_rate, int | np.integer) or sample_rate < 1:
        raise ValueError(f"sample_rate: expected a whole number of Hz, found {sample_rate!r}")
    try:
        tensor = torch.as_tensor(wave).detach()
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"wave: expected a tensor or an array, found {type(wave).__name__}") from error
    if not tensor.is_floating_point():
        raise ValueError(f"wave: expected floating point numbers in [-1, 1], found {tensor.dtype}")
    tensor = tensor.float().reshape(1, -1) if tensor.ndim == 1 else tensor.float()
    if tensor.ndim != 2 or not 1 <= len(tensor) <= MOST_CHANNELS or not tensor.shape[1]:
        raise ValueError(f"wave: expected (channels, time) or (time,), found {tuple(np.shape(wave))}")
    if not tensor.isfinite().all():
        raise ValueError(f"wave: expected finite samples, found {int((~tensor.isfinite()).sum())} others")
    return Recording.of_waveform(tensor, int(sample_rate))
