"""A corpus's own file, or a WAV file of it at another rate."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from toolkit import audio
from toolkit.dsp.resample import resample
from toolkit.log import UserError


class Resampling(NamedTuple):
    """A file as it is and as it is to be, perhaps the same."""

    source: Path
    target: Path
    sample_rate: int


def at_rate(work: Resampling) -> dict[str, int]:
    """Write a file at another rate, its channels averaged, or look whether it may be used as it is: `frames`.

    Raises:
        UserError: it cannot be read, is empty, or is to be used as it is and is not mono at that rate.
    """
    info = audio.info(work.source)
    if not info.frames:
        raise UserError(f"expected some samples, found none: {work.source}")
    if work.source == work.target:
        if (info.channels, info.sample_rate) != (1, work.sample_rate):
            found = f"{info.channels} channels at {info.sample_rate} Hz"
            raise UserError(f"expected 1 channel at {work.sample_rate} Hz, found {found}: {work.source}")
        return {"frames": info.frames}
    samples = audio.read_array(work.source).mean(axis=0, keepdims=True)
    samples = resample(samples, info.sample_rate, work.sample_rate)
    audio.write(work.target, samples, work.sample_rate, "FLOAT")  # PCM might clip
    return {"frames": samples.shape[1]}
