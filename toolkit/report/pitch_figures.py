"""Pictures of pitch curves: over the spectrogram they were heard in, and how far they lie apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from torch import Tensor

from toolkit.report import spectrograms
from toolkit.report.figures import HEIGHT, INK, SERIES, STYLE, WIDTH, Curve, panel, svg
from toolkit.report.spectrograms import LOWEST

HIGHEST = 4186.0  # Hz: where there is no curve to say it
TRUE, FOUND = "#ffffff", "#38e1ff"  # of curves on a spectrogram, which is dark on every page
SURE = (0.25, 0.5, 0.75, 1.0)  # opacities of a curve, one for each quarter of confidence
NEAR = 100.0  # cents: errors that are drawn at their place; larger ones stand at the edge
RIGHT = 50.0  # cents, marked
FAR = 2500.0  # cents that a histogram reaches to both sides; larger errors stand in its outer bins
OCTAVE = 1200  # cents


@rc_context(STYLE)
def tracked(waveform: Tensor, sample_rate: int, start: float, true: Curve, found: Curve, confidence: Sequence[float]) -> str:
    """Annotated and estimated pitch over a spectrogram of logarithmic frequency, and the confidence below it.

    Args:
        waveform: (T,), what is shown.
        sample_rate: Hz.
        start: seconds at which the waveform begins.
        true: seconds and Hz of the annotation, nan where there is no pitch.
        found: the same of the estimate.
        confidence: from 0 to 1, of each point of the estimate; the curve is as opaque.
    """
    figure = Figure(figsize=(4.4, 3.6), layout="constrained")
    top, strip = figure.subplots(2, sharex=True, height_ratios=(6, 1))
    low, high = _range(true[1], found[1], sample_rate)
    axis, seconds = spectrograms.octaves(low, high), len(waveform) / sample_rate
    spectrograms.draw(top, spectrograms.levels(waveform, sample_rate, axis), axis, start, seconds)
    top.plot(true[0], np.log2(true[1]), color=TRUE, linewidth=3.6, alpha=0.6)
    quarter = np.clip((np.asarray(confidence) * len(SURE)).astype(int), 0, len(SURE) - 1)
    for place, opacity in enumerate(SURE):
        shown = np.where(quarter == place, np.log2(found[1]), np.nan)
        if np.isfinite(shown).any():
            top.plot(*_dashes(found[0], shown), color=FOUND, alpha=opacity, linewidth=1.8)
    strip.fill_between(found[0], confidence, step="mid", color=SERIES[0], alpha=0.65, linewidth=0)
    strip.set(ylim=(0, 1.05), yticks=[0, 1], xlabel="time (s)", xlim=(start, start + seconds))
    strip.grid(visible=False)
    strip.set_title("confidence", loc="left", fontsize=10, pad=2)
    return svg(figure, "Spectrogram with the annotated and the estimated pitch; below it the confidence")


@rc_context(STYLE)
def errors_over_time(times: Sequence[float], cents: Sequence[float], limits: tuple[float, float]) -> str:
    """Errors of the voiced frames: dots within 100 cents, triangles at the edge beyond.

    Args:
        times: seconds.
        cents: of the estimate over the annotation.
        limits: of time.
    """
    figure, axes = panel(4.4, 3.6)
    at, errors = np.asarray(times), np.asarray(cents)
    near = np.abs(errors) <= NEAR
    axes.axhspan(-RIGHT, RIGHT, color=SERIES[0], alpha=0.1, linewidth=0)
    axes.axhline(0, color=INK, linewidth=0.8, alpha=0.6)
    axes.plot(*_dashes(at[near], errors[near]), color=SERIES[0], linewidth=2.6, solid_capstyle="round")
    for sign, marker in ((1, "^"), (-1, "v")):
        beyond = ~near & (np.sign(errors) == sign)
        edge = np.full(int(beyond.sum()), sign * (NEAR + 8))
        axes.plot(at[beyond], edge, color=SERIES[1], linestyle="", marker=marker, markersize=4.5)
    axes.set(xlabel="time (s)", ylabel="error (cents)", xlim=limits, ylim=(-NEAR - 15, NEAR + 15))
    axes.set_yticks(range(-100, 101, 50))
    return svg(
        figure, f"Error in cents over time of {len(at)} voiced frames, {int((~near).sum())} of them beyond {NEAR:g} cents"
    )


@rc_context(STYLE)
def errors_in_all(cents: np.ndarray) -> str:
    """How the errors (frames,) of all voiced frames, in cents, are spread; the logarithmic scale shows octave errors."""
    figure, axes = panel(WIDTH, HEIGHT)
    counts, edges = np.histogram(np.clip(cents, -FAR + 1, FAR - 1), bins=np.arange(-FAR, FAR + 1, 25))
    share = 100 * counts / max(1, len(cents))
    for octave in (-2, -1, 1, 2):
        axes.axvline(octave * OCTAVE, color=SERIES[1], linewidth=1.2, alpha=0.8, linestyle=(0, (4, 3)))
    axes.stairs(
        np.maximum(share, _floor(len(cents))), edges, baseline=_floor(len(cents)), fill=True, color=SERIES[0], alpha=0.75
    )
    axes.set(yscale="log", ylim=(_floor(len(cents)), 150), xlim=(-FAR, FAR), xlabel="error (cents)", ylabel="voiced frames (%)")
    axes.set_xticks(range(-2 * OCTAVE, 2 * OCTAVE + 1, OCTAVE))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    return svg(figure, f"Histogram of the errors of {len(cents)} voiced frames in cents, up to two octaves")


@rc_context(STYLE)
def small_errors(cents: np.ndarray) -> str:
    """How those of the errors (frames,), in cents, that are within 100 cents are spread."""
    figure, axes = panel(WIDTH, HEIGHT)
    counts, edges = np.histogram(cents, bins=np.arange(-NEAR, NEAR + 1, 5))
    axes.axvspan(-RIGHT, RIGHT, color=SERIES[0], alpha=0.1, linewidth=0)
    axes.stairs(100 * counts / max(1, len(cents)), edges, fill=True, color=SERIES[0], alpha=0.75)
    within = cents[np.abs(cents) <= NEAR]
    if len(within):
        axes.axvline(float(np.median(within)), color=SERIES[1], linewidth=2)
    axes.set(xlim=(-NEAR, NEAR), xlabel="error (cents)", ylabel="voiced frames (%)")
    return svg(figure, f"Histogram of those of {len(cents)} voiced frames' errors that are within {NEAR:g} cents")


def _dashes(times: Sequence[float], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A dash for each point, not joined to the next, as one line: a picture of markers would take five times the room."""
    at = np.asarray(times)
    half = float(np.diff(at).min()) / 2 if len(at) > 1 else 0.005
    x = np.stack([at - half, at + half, at], -1)
    y = np.stack([values, values, np.full(len(at), np.nan)], -1)
    return x.ravel(), y.ravel()


def _floor(frames: int) -> float:
    """Percent of the voiced frames that a histogram begins at: less than one frame."""
    return 60 / max(1, frames)


def _range(true: Sequence[float], found: Sequence[float], sample_rate: int) -> tuple[float, float]:
    """Hz that are shown: an octave below the annotation to two octaves above, or what the estimate says."""
    known = np.asarray([value for value in true if math.isfinite(value)] or [value for value in found if math.isfinite(value)])
    top = min(HIGHEST * 2, sample_rate / 2)
    if not len(known):
        return LOWEST, min(HIGHEST, top)
    return max(LOWEST / 2, float(known.min()) / 2.2), min(top, float(known.max()) * 4.4)
