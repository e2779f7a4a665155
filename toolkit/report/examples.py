"""The best, the median and the worst item of a split, to be heard and seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolkit import audio, config
from toolkit.data import records
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.report import display, sound, spectrograms

SECONDS = 10.0  # of an item that can be heard, at most
SOURCES = 5  # of an item that are shown, at most
PICTURE = 80_000  # bytes of a spectrogram, at most
LOUDEST = 0.99  # peak above which an item's signals are all turned down

Signals = dict[str, Tensor]


@dataclass(frozen=True)
class Clip:
    """One signal of an item.

    Attributes:
        title: `mixture`, `s1, reference`, `s1, estimate`.
        audio: data address of a FLAC or MP3 file.
        picture: SVG of its spectrogram.
        scores: its own figures, where it is an estimate.
    """

    title: str
    audio: str
    picture: str
    scores: dict[str, float]


@dataclass(frozen=True)
class Example:
    """One item.

    Attributes:
        place: `best`, `median` or `worst`.
        id: of the item.
        value: its headline metric.
        seconds: its whole duration.
        clips: mixture, then each source's reference and estimate.
    """

    place: str
    id: str
    value: float
    seconds: float
    clips: list[Clip]


def choose(rows: list[dict[str, Any]], metric: str) -> dict[str, dict[str, Any]]:
    """The lines of `scores/<split>.jsonl` that are best, median and worst in a metric, as far as they are different ones."""
    known = [row for row in rows if math.isfinite(row["metrics"].get(metric, math.nan))]
    ranked = sorted(known, key=lambda row: (display.merit(row["metrics"][metric], metric), row["id"]))
    if len(ranked) < 3:
        return dict(zip(("best", "worst"), reversed(ranked), strict=False))
    return {"best": ranked[-1], "median": ranked[(len(ranked) - 1) // 2], "worst": ranked[0]}


def load(
    exp: Path,
    split: str,
    manifest: Manifest,
    chosen: dict[str, dict[str, Any]],
    metric: str,
    budget: int,
    missing: list[str],
) -> list[Example]:
    """Make examples that take about `budget` bytes of a page; all are cut equally short for that.

    Args:
        exp: the experiment's folder.
        split: of its predictions.
        manifest: the split's, with mixtures and references.
        chosen: what `choose` gave.
        metric: the headline metric.
        budget: bytes.
        missing: is told of items that are left out, as a signal of theirs cannot be read.
    """
    folder = exp / "predictions" / split
    stored = {name: row["audio"] for name, row in records.predictions(folder).items()}
    wanted = {row["id"] for row in chosen.values()}
    items = {item.id: item for item in manifest if item.id in wanted}
    groups = _groups(exp)
    signals: dict[str, Signals] = {}
    for row in chosen.values():
        identity = row["id"]
        try:
            paths = {role: folder / path for role, path in stored[identity].items()}
            signals[identity] = _signals(manifest, items[identity], row, paths, groups)
        except (KeyError, UserError) as error:
            missing.append(f"examples: the sound of {identity} was not found ({error})")
    heard = [(wave, items[identity].sample_rate) for identity, waves in signals.items() for wave in waves.values()]
    seconds, encoded = sound.fitting(heard, budget - PICTURE * len(heard), SECONDS)
    sounds = iter(encoded)
    return [
        Example(
            place,
            row["id"],
            row["metrics"][metric],
            items[row["id"]].seconds,
            list(_clips(signals[row["id"]], items[row["id"]].sample_rate, seconds, sounds, row.get("sources", {}))),
        )
        for place, row in chosen.items()
        if row["id"] in signals
    ]


def _groups(exp: Path) -> dict[str, list[str]]:
    """The sources' names with the stems that are summed for each, as the configuration has them; empty if it names none."""
    path = exp / "config.yaml"
    sources = config.read(path).get("data", {}).get("sources") if path.is_file() else None
    return sources if isinstance(sources, dict) else {name: [name] for name in sources or []}


def _signals(
    manifest: Manifest, item: Item, row: dict[str, Any], predictions: dict[str, Path], groups: dict[str, list[str]]
) -> Signals:
    """Everything to be heard of an item (C, T): a reference, then the estimate scored against it, made equally loud."""
    signals = {"mixture": audio.read(manifest.path_of(item, "mixture"))}
    assignment = row.get("assignment", list(predictions))
    named = groups or {role: [role] for role in item.sources}
    for (role, stems), chosen in list(zip(named.items(), assignment, strict=False))[:SOURCES]:
        reference = torch.stack([audio.read(manifest.path_of(item, stem)) for stem in stems]).sum(0)
        estimate = audio.read(predictions[chosen])
        gain = reference.square().mean().sqrt() / estimate.square().mean().sqrt().clamp(min=1e-8)
        signals |= {f"{role}, reference": reference, f"{role}, estimate": estimate * gain}
    peak = max(float(signal.abs().max()) for signal in signals.values())
    return {title: signal * min(1.0, LOUDEST / max(peak, 1e-8)) for title, signal in signals.items()}


def _clips(
    signals: Signals, sample_rate: int, seconds: float, sounds: Iterator[bytes], scores: dict[str, dict[str, float]]
) -> Iterator[Clip]:
    shown = {title: signal[:, : max(1, int(seconds * sample_rate))].mean(0) for title, signal in signals.items()}
    loudest = spectrograms.loudest_point(shown["mixture"], sample_rate)
    for title in signals:
        role, _, kind = title.partition(", ")
        address = sound.address(next(sounds), sample_rate)
        picture = spectrograms.spectrogram(shown[title], sample_rate, loudest)
        yield Clip(title, address, picture, scores.get(role, {}) if kind == "estimate" else {})
