"""The best, the median and the worst clip of a split, to be heard and seen with the probabilities of its tags."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from toolkit import audio
from toolkit.data import records
from toolkit.data.manifest import Item
from toolkit.log import UserError
from toolkit.report import figures, sound, spectrograms
from toolkit.report.examples import choose
from toolkit.report.scored import BUDGET, Scored

SECONDS = 30.0  # of a clip that can be heard, at most
PICTURE = 250_000  # bytes of a picture, at most
MOST_BARS = 12  # tags of a clip that are shown, at most
MOST_TRACKS = 3  # tags whose attention is drawn, at most
TRACKS = ("attention", "activity")  # what is drawn below a spectrogram where it is stored
EPS = 1e-7  # probabilities stay so far from 0 and 1 in the cross-entropy
LOSS = "cross_entropy"


@dataclass(frozen=True)
class Bar:
    """A labelled tag of a clip, with its probability."""

    tag: str
    probability: float
    there: bool


@dataclass(frozen=True)
class Example:
    """One clip.

    Attributes:
        place: `best`, `median` or `worst`.
        id: of the clip.
        loss: mean cross-entropy over its labelled tags.
        seconds: its whole duration.
        audio: data address of a FLAC or MP3 file.
        picture: SVG of its spectrogram, with what is attended to where that is known.
        tracks: `attention`, `activity`: what is drawn below the spectrogram.
        bars: its labelled tags, the most probable first.
        left_out: labelled tags that are not shown.
    """

    place: str
    id: str
    loss: float
    seconds: float
    audio: str
    picture: str
    tracks: list[str]
    bars: list[Bar]
    left_out: int


def examples(scored: Scored, missing: list[str]) -> list[Example]:
    """The clips that have the least, the middle and the largest loss, as far as their sound is there."""
    rows = [{**row, "metrics": {LOSS: -loss}} for row in scored.rows if (loss := cross_entropy(row)) is not None]
    chosen = choose(rows, LOSS)
    manifest = scored.manifest_of_predictions(missing) if chosen else None
    if manifest is None:
        return []
    wanted = {row["id"] for row in chosen.values()}
    items = {item.id: item for item in manifest if item.id in wanted}
    stored = records.predictions(scored.run.folder / "predictions" / scored.split)
    heard: dict[str, tuple[Tensor, int]] = {}
    for clip in sorted(wanted):
        try:
            heard[clip] = audio.read(manifest.path_of(items[clip], "recording")), items[clip].sample_rate
        except (KeyError, UserError):
            missing.append(f"examples: the recording of {clip} was not found")
    if not heard:
        return []
    seconds, encoded = sound.fitting(list(heard.values()), BUDGET - PICTURE * len(heard), SECONDS)
    sounds = dict(zip(heard, encoded, strict=True))
    return [
        _example(place, row, items[row["id"]], heard[row["id"]][0], seconds, sounds[row["id"]], stored.get(row["id"], {}))
        for place, row in chosen.items()
        if row["id"] in heard
    ]


def _example(
    place: str, row: dict[str, Any], item: Item, waveform: Tensor, seconds: float, encoded: bytes, stored: dict[str, Any]
) -> Example:
    rate = item.sample_rate
    shown = waveform[:, : max(1, int(seconds * rate))].mean(0)
    kinds = [kind for kind in TRACKS if kind in stored]
    picture = spectrograms.listening(shown, rate, _tracks(row, stored, kinds, item.seconds))
    shown_bars, left_out = bars(row)
    heard = sound.address(encoded, rate)
    return Example(place, row["id"], -row["metrics"][LOSS], item.seconds, heard, picture, kinds, shown_bars, left_out)


def _tracks(row: dict[str, Any], stored: dict[str, Any], kinds: list[str], seconds: float) -> dict[str, list[figures.Curve]]:
    """Attention, and activity where it is known, of the most probable tags over seconds; the largest attention is 1."""
    tags = sorted(range(len(row["tags"])), key=lambda tag: -row["probabilities"][tag])[:MOST_TRACKS] if kinds else []
    tracks: dict[str, list[figures.Curve]] = {}
    for tag in tags:
        curves = tracks.setdefault(f"{row['tags'][tag]} ({row['probabilities'][tag]:.3f})", [])
        for kind in kinds:
            values = stored[kind][tag]
            largest = max(max(stored[kind][shown]) for shown in tags) if kind == "attention" else 1.0
            times = [frame * seconds / len(values) for frame in range(len(values) + 1)]
            curves.append((times, [value / max(largest, EPS) for value in [*values, values[-1]]]))
    return tracks


def bars(row: dict[str, Any]) -> tuple[list[Bar], int]:
    """The labelled tags by falling probability, and how many are left out: the least probable that are not there."""
    labelled = [
        Bar(tag, probability, label == 1)
        for tag, probability, label in zip(row["tags"], row["probabilities"], row["labels"], strict=True)
        if label is not None
    ]
    kept = sorted(labelled, key=lambda bar: (not bar.there, -bar.probability))[:MOST_BARS]
    return sorted(kept, key=lambda bar: -bar.probability), len(labelled) - len(kept)


def cross_entropy(row: dict[str, Any]) -> float | None:
    """Mean binary cross-entropy over the labelled tags of a clip; None if none is, or a probability is no number."""
    losses = [
        -math.log(min(max(probability if label else 1 - probability, EPS), 1))
        for probability, label in zip(row["probabilities"], row["labels"], strict=True)
        if label is not None
    ]
    loss = statistics.fmean(losses) if losses else math.nan
    return loss if math.isfinite(loss) else None
