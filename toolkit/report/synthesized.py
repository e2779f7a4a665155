"""The best, the median and the worst recording of a split: the target, what was made of it, and what it was played with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolkit import audio, config
from toolkit.blocks.features import Feature
from toolkit.data import records, store
from toolkit.data.manifest import Item, Manifest
from toolkit.dsp.resample import resample
from toolkit.log import UserError
from toolkit.report import figures, sound, spectrograms
from toolkit.report.examples import LOUDEST, PICTURE, Clip, choose
from toolkit.report.scored import BUDGET, Scored
from toolkit.report.spread import Picture

SECONDS = 10.0  # of a recording that can be heard, at most
ROLE = "recording"  # of the manifest's audio that is played again
HEARD = {"estimate": "metrics", "untrained": "untrained"}  # stored sounds, and where a line of scores has their figures
TITLES = {"estimate": "trained", "untrained": "untrained"}
POINTS = 600  # of a curve that are drawn, at most


@dataclass
class Played:
    """The part of a configuration that says what a model is played with."""

    f0: Feature | None = None
    loudness: Feature | None = None


@dataclass(frozen=True)
class Example:
    """One recording.

    Attributes:
        place: `best`, `median` or `worst`.
        id: of the recording.
        value: the metric that it was chosen by, of the estimate.
        before: the same of what the untrained model made, where that was stored.
        seconds: its whole duration.
        clips: target, estimate, and what the untrained model made.
        curves: (caption, SVG) of pitch and loudness.
    """

    place: str
    id: str
    value: float
    before: float | None
    seconds: float
    clips: list[Clip]
    curves: list[Picture]


def examples(scored: Scored, metric: str, missing: list[str]) -> list[Example]:
    """The recordings that are best, median and worst in `metric`, as far as their sound is there."""
    chosen = choose(scored.rows, metric)
    manifest = scored.manifest_of_predictions(missing) if chosen else None
    if manifest is None:
        return []
    wanted = {row["id"] for row in chosen.values()}
    items = {item.id: item for item in manifest if item.id in wanted}
    folder = scored.run.folder / "predictions" / scored.split
    stored = records.predictions(folder)
    signals: dict[str, dict[str, Tensor]] = {}
    rates: dict[str, int] = {}
    for identity in sorted(wanted):
        try:
            signals[identity], rates[identity] = _signals(manifest, items[identity], stored[identity], folder)
        except (KeyError, UserError) as error:
            missing.append(f"examples: the sound of {identity} was not found ({error})")
    heard = [(wave[None], rates[identity]) for identity, waves in signals.items() for wave in waves.values()]
    if not heard:
        return []
    room = BUDGET - 2 * PICTURE * len(heard)  # as much for curves as for spectra
    seconds, encoded = sound.fitting(heard, room, SECONDS)
    sounds = iter(encoded)
    files_of = {identity: {name: next(sounds) for name in waves} for identity, waves in signals.items()}
    curves = _Curves(scored.run.folder, manifest, missing)
    return [
        Example(
            place,
            row["id"],
            row["metrics"][metric],
            row.get("untrained", {}).get(metric),
            items[row["id"]].seconds,
            _clips(signals[row["id"]], files_of[row["id"]], rates[row["id"]], seconds, row),
            curves.draw(items[row["id"]], stored[row["id"]], min(seconds, items[row["id"]].seconds)),
        )
        for place, row in chosen.items()
        if row["id"] in signals
    ]


def _signals(manifest: Manifest, item: Item, stored: dict[str, Any], folder: Path) -> tuple[dict[str, Tensor], int]:
    """Everything to be heard of a recording (T,) by its title, at the rate of the predictions, each below full scale."""
    paths = {TITLES[name]: folder / stored["audio"][name] for name in HEARD if name in stored["audio"]}
    rate = audio.info(paths[TITLES["estimate"]]).sample_rate
    target = audio.read(manifest.path_of(item, ROLE)).mean(0).numpy()
    signals = {"target": torch.from_numpy(resample(target, item.sample_rate, rate))}
    signals |= {title: audio.read(path).mean(0) for title, path in paths.items()}
    return {title: wave * min(1.0, LOUDEST / max(float(wave.abs().max()), 1e-8)) for title, wave in signals.items()}, rate


def _clips(
    signals: dict[str, Tensor], encoded: dict[str, bytes], sample_rate: int, seconds: float, row: dict[str, Any]
) -> list[Clip]:
    shown = {title: wave[: max(1, int(seconds * sample_rate))] for title, wave in signals.items()}
    loudest = spectrograms.loudest_point(shown["target"], sample_rate)
    scores = {TITLES[name]: row.get(key, {}) for name, key in HEARD.items()}
    return [
        Clip(
            title,
            sound.address(encoded[title], sample_rate),
            spectrograms.spectrogram(wave, sample_rate, loudest),
            scores.get(title, {}),
        )
        for title, wave in shown.items()
    ]


class _Curves:
    """Pitch and loudness as the stores have them, beside the pitch that a model told by itself.

    Args:
        exp: the experiment's folder, whose configuration names the features.
        manifest: of the recordings.
        missing: is told what is not stored.
    """

    played: Played
    stores: dict[str, store.Store]

    def __init__(self, exp: Path, manifest: Manifest, missing: list[str]) -> None:
        self.played, self.stores = Played(), {}
        try:
            self.played = _played(exp)
            for kind, feature in vars(self.played).items():
                if feature is not None:
                    self.stores[kind] = store.Store(store.folder_of(manifest.data, feature.name, manifest.name))
        except UserError as error:
            missing.append(f"curves of pitch and loudness: {error}")

    def draw(self, item: Item, stored: dict[str, Any], seconds: float) -> list[Picture]:
        """(caption, SVG) of each quantity that anything is known of."""
        pitch = self._stored("f0", "as played", item, seconds)
        label = item.labels.get("f0")
        if not pitch and label is not None and label["hz"]:
            pitch["annotated"] = _curve(label["hz"], 1 / label["step"], seconds, label["start"])
        hop_rate = None if self.played.f0 is None else self.played.f0.frame_rate
        for key, name in (("f0", "estimated"), ("untrained_f0", "untrained")):
            if stored.get(key):
                pitch[name] = _curve(stored[key], hop_rate or len(stored[key]) / item.seconds, seconds)
        loudness = self._stored("loudness", "as played", item, seconds)
        quantities = [("F0 (Hz)", pitch), ("loudness (dB)", loudness)]
        captions = {name: f"{name.partition(' ')[0].capitalize()} over time: {', '.join(lines)}." for name, lines in quantities}
        return [(captions[name], figures.curves(lines, name, "time (s)")) for name, lines in quantities if lines]

    def _stored(self, kind: str, name: str, item: Item, seconds: float) -> dict[str, figures.Curve]:
        found, feature = self.stores.get(kind), getattr(self.played, kind)
        if found is None or item.id not in found:
            return {}
        values = found.read(item.id).astype("float64").ravel() * feature.scale
        return {name: _curve(values, feature.frame_rate, seconds, keep_zeros=kind != "f0")}


def _played(exp: Path) -> Played:
    """What the experiment's configuration says that its model is played with."""
    path = exp / "config.yaml"
    data = config.read(path).get("data", {}) if path.is_file() else {}
    import toolkit.tasks.synthesis  # noqa: F401  (lets the configuration name its classes)

    tree = {name: data.get(name) for name in ("f0", "loudness")}
    config.refuse_foreign(tree, str(path))
    return config.Resolved(Played, tree, str(path)).build()


def _curve(values: Any, rate: float, seconds: float, start: float = 0.0, keep_zeros: bool = False) -> figures.Curve:
    """Values at a rate as they are drawn: no more points than can be seen, gaps where there is no pitch."""
    shown = np.asarray(values, dtype=np.float64)[: max(1, int((seconds - start) * rate))]
    every = max(1, -(-len(shown) // POINTS))
    points = shown[::every] if keep_zeros else np.where(shown > 0, shown, np.nan)[::every]
    return (start + np.arange(len(points)) * every / rate).tolist(), points.tolist()
