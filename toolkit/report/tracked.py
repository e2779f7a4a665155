"""Estimated pitch held against its annotation: errors of all recordings, and those to be heard and seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from toolkit import audio
from toolkit.data.annotations import F0
from toolkit.data.manifest import Item
from toolkit.log import UserError
from toolkit.metrics import melody
from toolkit.report import pitch_figures, sound
from toolkit.report.examples import choose
from toolkit.report.scored import BUDGET, Scored
from toolkit.report.spread import Picture

SECONDS = 20.0  # of a recording that can be heard, at most
BEFORE = 0.5  # seconds that are heard before the first pitch
PICTURE = 600_000  # bytes of the pictures of a recording, at most
ROLE = "recording"  # of the manifest's audio


@dataclass(frozen=True)
class Track:
    """One recording: its annotated and its estimated pitch.

    Attributes:
        item: in the manifest.
        times: (N), seconds of the annotations.
        annotated: (N), Hz, 0 where unvoiced.
        at: (L), seconds of the estimates.
        estimated: (L), Hz.
        confidence: (L), 0 to 1.
        errors: (N), cents of the estimate over the annotation; nan where either has no pitch.
    """

    item: Item
    times: np.ndarray
    annotated: np.ndarray
    at: np.ndarray
    estimated: np.ndarray
    confidence: np.ndarray
    errors: np.ndarray

    @classmethod
    def of(cls, item: Item, stored: dict[str, Any]) -> Track | None:
        """Hold a stored prediction against an item's annotation; None where it has none."""
        label = item.labels.get("f0")
        if label is None or not label["hz"] or not stored["hertz"]:
            return None
        annotated, estimated = (np.asarray(values, np.float64) for values in (label["hz"], stored["hertz"]))
        times = F0(**label).times
        at = stored["hop_seconds"] * np.arange(len(estimated))
        curves = melody.align(times, annotated, at, estimated)
        both = (curves.voicing > 0) & (curves.cents != 0) & (curves.estimated_cents != 0)
        apart = np.where(both, curves.estimated_cents - curves.cents, np.nan)[-len(times) :]
        return cls(item, times, annotated, at, estimated, np.asarray(stored["confidence"], np.float64), apart)

    @property
    def begin(self) -> float:
        """Seconds at which it begins to be heard: a little before its first pitch."""
        voiced = self.times[self.annotated > 0]
        return max(0.0, float(voiced[0]) - BEFORE) if len(voiced) else 0.0


@dataclass(frozen=True)
class Example:
    """One recording to be heard and seen.

    Attributes:
        place: `best`, `median` or `worst`.
        id: of the recording.
        value: the metric that it was chosen by.
        begin: seconds at which it is heard from.
        seconds: its whole duration.
        audio: data address of a FLAC or MP3 file.
        pictures: (caption, SVG).
        scores: its figures.
    """

    place: str
    id: str
    value: float
    begin: float
    seconds: float
    audio: str
    pictures: list[Picture]
    scores: dict[str, float]


def examples(scored: Scored, tracks: dict[str, Track], metric: str, missing: list[str]) -> list[Example]:
    """The recordings that are best, median and worst in `metric`, as far as their sound is there."""
    chosen = choose([row for row in scored.rows if row["id"] in tracks], metric)
    if scored.manifest is None or not chosen:
        return []
    heard: dict[str, tuple[Tensor, int]] = {}
    for identity in sorted({row["id"] for row in chosen.values()}):
        track = tracks[identity]
        try:
            waveform = audio.read(scored.manifest.path_of(track.item, ROLE))
        except (KeyError, UserError):
            missing.append(f"examples: the recording of {identity} was not found")
            continue
        heard[identity] = waveform[:, int(track.begin * track.item.sample_rate) :], track.item.sample_rate
    if not heard:
        return []
    seconds, encoded = sound.fitting(list(heard.values()), BUDGET - PICTURE * len(heard), SECONDS)
    sounds = {identity: sound.address(part, heard[identity][1]) for identity, part in zip(heard, encoded, strict=True)}
    return [
        _example(place, row, metric, tracks[row["id"]], *heard[row["id"]], seconds, sounds[row["id"]])
        for place, row in chosen.items()
        if row["id"] in heard
    ]


def _example(
    place: str,
    row: dict[str, Any],
    metric: str,
    track: Track,
    waveform: Tensor,
    sample_rate: int,
    seconds: float,
    address: str,
) -> Example:
    shown = waveform[:, : max(1, int(seconds * sample_rate))].mean(0)
    begin, end = track.begin, track.begin + len(shown) / sample_rate
    marks, frames = ((values >= begin) & (values <= end) for values in (track.times, track.at))
    true = track.times[marks].tolist(), _gaps(track.annotated[marks])
    found = track.at[frames].tolist(), _gaps(np.abs(track.estimated[frames]))
    known = marks & np.isfinite(track.errors)
    pictures = [
        (
            "Annotated pitch (wide, white) and estimate (narrow, blue, the more opaque the surer) over the spectrogram.",
            pitch_figures.tracked(shown, sample_rate, begin, true, found, track.confidence[frames].tolist()),
        ),
        (
            f"Error of voiced frames; {pitch_figures.RIGHT:g} cents are shaded, triangles lie beyond {pitch_figures.NEAR:g}.",
            pitch_figures.errors_over_time(track.times[known].tolist(), track.errors[known].tolist(), (begin, end)),
        ),
    ]
    return Example(place, row["id"], row["metrics"][metric], begin, track.item.seconds, address, pictures, row["metrics"])


def _gaps(hertz: np.ndarray) -> list[float]:
    return np.where(hertz > 0, hertz, np.nan).tolist()
