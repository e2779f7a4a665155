"""What the page of a pitch experiment shows: its figures, errors in cents, recordings and instruments, some to be heard."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from toolkit.data import records
from toolkit.data.manifest import Item, Manifest
from toolkit.report import display, pitch_figures, tracked
from toolkit.report.scored import Scored
from toolkit.report.sources import metrics_table
from toolkit.report.spread import Picture, by_label, label_of, spread, values_of
from toolkit.report.table import NOTHING, Table
from toolkit.report.tracked import Track

AT_ONCE = 25  # recordings whose table is shown at once; a longer one unfolds
INSTRUMENT = "instrument"  # label of a manifest's items


@dataclass(frozen=True)
class View:
    """The parts of the page.

    Attributes:
        metric: by which recordings are chosen.
        figures: every figure of the experiment.
        instruments: the mean over the recordings of each; None where it is not known what was played.
        recordings: every figure of each.
        folded: whether that table is long.
        distributions: (caption, SVG) of that metric over the recordings, by instrument where there are several of one.
        errors: (caption, SVG) of histograms.
        examples: best, median and worst recording.
        template: what draws them.
        seconds: of a recording that can be heard, at most.
    """

    template: ClassVar[str] = "pitch.html"
    seconds: ClassVar[float] = tracked.SECONDS

    metric: str
    figures: Table
    instruments: Table | None
    recordings: Table
    folded: bool
    distributions: list[Picture]
    errors: list[Picture]
    examples: list[tracked.Example]


def view(scored: Scored, missing: list[str]) -> View:
    """Put the parts together; what is not there is added to `missing`."""
    names, metric = scored.metrics, scored.chosen_by
    manifest = scored.manifest_of_predictions(missing)
    items = scored.items
    tracks = {} if manifest is None else _tracks(scored, manifest)
    values = {name: values_of(members, metric) for name, members in by_label(scored.rows, items, INSTRUMENT).items()}
    if manifest is not None and not tracks:
        missing.append(f"errors in cents: no recording of {manifest.path.name} has an annotation and a stored prediction")
    return View(
        metric,
        metrics_table(scored.summary),
        _by_instrument(scored.rows, items, names),
        _by_recording(scored.rows, items, names),
        len(scored.rows) > AT_ONCE,
        spread(values, metric, "recordings", INSTRUMENT),
        _errors(list(tracks.values())),
        tracked.examples(scored, tracks, metric, missing),
    )


def _tracks(scored: Scored, manifest: Manifest) -> dict[str, Track]:
    """The recordings that have an annotation and a prediction."""
    stored = records.predictions(scored.run.folder / "predictions" / scored.split)
    found = {item.id: Track.of(item, stored[item.id]) for item in manifest if item.id in stored}
    return {identity: track for identity, track in found.items() if track is not None}


def _errors(tracks: list[Track]) -> list[Picture]:
    """(caption, SVG): all errors, then the small ones."""
    cents = np.concatenate([track.errors for track in tracks]) if tracks else np.empty(0)
    cents = cents[np.isfinite(cents)]
    if not len(cents):
        return []
    wrong = np.abs(cents) >= pitch_figures.RIGHT
    away = cents - pitch_figures.OCTAVE * np.round(cents / pitch_figures.OCTAVE)  # from the same tone in the nearest octave
    octaves = wrong & (np.abs(away) < pitch_figures.RIGHT)
    small = cents[np.abs(cents) <= pitch_figures.NEAR]
    everything = (
        f"Errors of the {len(cents):,} frames that are voiced and have an estimate, on a logarithmic scale. Dashed: octaves. "
        f"{100 * wrong.mean():.1f} % are off by {pitch_figures.RIGHT:g} cents or more, {100 * octaves.mean():.1f} % by octaves."
    )
    centre = f"; the line is their median, {np.median(small):+.1f} cents" if len(small) else ""
    near = f"Errors up to {pitch_figures.NEAR:g} cents; {pitch_figures.RIGHT:g} cents are shaded{centre}."
    return [
        (everything, pitch_figures.errors_in_all(cents)),
        (display.typographic(near), pitch_figures.small_errors(cents)),
    ]


def _by_instrument(rows: list[dict[str, Any]], items: dict[str, Item], names: list[str]) -> Table | None:
    """A line an instrument, in alphabetical order."""
    groups = by_label(rows, items, INSTRUMENT)
    if set(groups) <= {NOTHING}:
        return None
    lines = []
    for instrument, members in groups.items():
        lines.append([instrument, str(len(members)), *(_mean(members, name) for name in names)])
    headings = [display.metric(name).name for name in names]
    return Table(["Instrument", "Recordings", *headings], lines, ["Recordings", *headings])


def _by_recording(rows: list[dict[str, Any]], items: dict[str, Item], names: list[str]) -> Table:
    """A line a recording, in the order of the scores."""
    lines = []
    for row in rows:
        item = items.get(row["id"])
        seconds = NOTHING if item is None else f"{item.seconds:.1f}"
        values = [display.number(row["metrics"].get(name), name) for name in names]
        lines.append([row["id"], label_of(row, items, INSTRUMENT), seconds, *values])
    headings = [display.metric(name).name for name in names]
    optional = ["Instrument", "Seconds"]
    return Table(["Recording", *optional, *headings], lines, ["Seconds", *headings]).without_empty(optional)


def _mean(rows: list[dict[str, Any]], name: str) -> str:
    values = values_of(rows, name)
    return display.number(statistics.fmean(values), name) if values else NOTHING
