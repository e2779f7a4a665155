"""Spectrograms as pictures: an image of few colours among axes that are laid out once for all that share them."""

from __future__ import annotations

import base64
import functools
import io
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from toolkit.dsp.stft import power
from toolkit.report.figures import SERIES, STYLE, Curve, panel, svg

Array = NDArray[np.floating]

DYNAMIC_RANGE = 60.0  # dB that are shown below the loudest point
LEVELS = 24  # of brightness
COLOURS = "magma"
ROWS, COLUMNS = 220, 360  # of an image at most: more would not be seen
SILENCE = 1e-12  # power that is taken for none
EVEN = 8000.0  # Hz up to which frequencies stand evenly; where more is heard, as they are heard
NAMED = (0, 500, 1000, 2000, 5000, 10000, 20000)  # Hz, of those that stand as they are heard
LOWEST = 27.5  # Hz, the A below all others that are named


class Axis(NamedTuple):
    """Frequencies from the bottom of a picture to its top.

    Attributes:
        edges: (rows + 1), Hz between which each row lies.
        ends: where the first and the last edge stand on a scale on which rows are equally high.
        marks: where frequencies that are named stand on it.
        names: what they are called.
        label: quantity and unit.
        window: seconds that each spectrum is taken of, about: its samples are a power of two.
    """

    edges: Array
    ends: tuple[float, float]
    marks: list[float]
    names: list[str]
    label: str
    window: float


def heard(sample_rate: int) -> Axis:
    """All of a signal: of speech as it stands, of music on the scale of mels, on which a bass is more than the lowest line.

    Args:
        sample_rate: Hz.
    """
    top = sample_rate / 2
    if top <= EVEN:
        edges = np.linspace(0, top, ROWS + 1)
        step = 1000 * 2 ** max(0, math.ceil(math.log2(top / 4500)))
        named: list[float] = [*np.arange(0, top + 1, step)]
        return Axis(edges, (0, top), named, [f"{hertz / 1000:g}" for hertz in named], "frequency (kHz)", 0.032)
    named = [hertz for hertz in NAMED if hertz <= top]
    end, *marks = (1127 * math.log1p(hertz / 700) for hertz in (top, *named))  # mels
    edges = 700 * np.expm1(np.linspace(0, end, ROWS + 1) / 1127)
    return Axis(edges, (0, end), marks, [f"{hertz / 1000:g}" for hertz in named], "frequency (kHz)", 0.064)


def octaves(low: float, high: float) -> Axis:
    """Equal intervals are equally high, every A is named.

    Args:
        low: Hz of the bottom.
        high: Hz of the top.
    """
    named = [LOWEST * 2**place for place in range(-1, 8) if low <= LOWEST * 2**place <= high]
    ends = math.log2(low), math.log2(high)
    edges = np.geomspace(low, high, ROWS + 1)
    return Axis(edges, ends, [math.log2(hertz) for hertz in named], [f"{hertz:g}" for hertz in named], "frequency (Hz)", 0.064)


def draw(axes: Axes, level: Array, axis: Axis, start: float, seconds: float) -> None:
    """Put a spectrogram into a picture.

    Args:
        axes: where.
        level: what `levels` gives.
        axis: its frequencies.
        start: seconds at which it begins.
        seconds: that it lasts.
    """
    extent = (start, start + seconds, *axis.ends)
    axes.imshow(level, origin="lower", aspect="auto", extent=extent, cmap=COLOURS, vmin=0, vmax=LEVELS, interpolation="none")
    axes.grid(visible=False)
    axes.set_yticks(axis.marks, axis.names)
    axes.set(ylabel=axis.label, ylim=axis.ends)


@rc_context(STYLE)
def spectrogram(waveform: Tensor, sample_rate: int, loudest: float) -> str:
    """Level over time and frequency, as SVG.

    Args:
        waveform: (time,).
        sample_rate: Hz.
        loudest: power that is shown brightest, the same for all pictures of an item.
    """
    level = levels(waveform, sample_rate, heard(sample_rate), loudest)
    return _png(level).join(_frame(len(waveform) / sample_rate, sample_rate, level.shape[1]))


@rc_context(STYLE)
def listening(waveform: Tensor, sample_rate: int, tracks: Mapping[str, Sequence[Curve]]) -> str:
    """A spectrogram, and below it what goes on over the same time, as SVG.

    Args:
        waveform: (time,).
        sample_rate: Hz.
        tracks: name to one or two curves from 0 to 1 over seconds: the first is drawn as an area, the second as a line.
    """
    heights = [2.4, *[0.55] * len(tracks)]
    figure = Figure(figsize=(4.4, sum(heights) + 0.5), layout="constrained")
    panels = figure.subplots(len(heights), sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    axis, seconds = heard(sample_rate), len(waveform) / sample_rate
    draw(panels[0], levels(waveform, sample_rate, axis), axis, 0.0, seconds)
    for axes, (name, (area, *line)) in zip(panels[1:], tracks.items(), strict=True):
        axes.fill_between(*area, step="post", color=SERIES[1], alpha=0.55, linewidth=0)
        for x, y in line:
            axes.plot(x, y, drawstyle="steps-post", color=SERIES[0], linewidth=1.6)
        axes.set(ylim=(0, 1.05), yticks=[])
        axes.grid(visible=False)
        axes.set_title(name, loc="left", fontsize=11, pad=2)
    panels[-1].set(xlabel="time (s)", xlim=(0, seconds))
    return svg(figure, f"Spectrogram; below it, over time: {', '.join(tracks) or 'nothing'}")


def loudest_point(waveform: Tensor, sample_rate: int) -> float:
    """The largest power in the spectrogram of all of `waveform` (time,)."""
    return max(float(_power(waveform, sample_rate, heard(sample_rate).window).max()), SILENCE)


def levels(waveform: Tensor, sample_rate: int, axis: Axis, loudest: float | None = None) -> Array:
    """Brightness from 0 to `LEVELS`, in whole numbers (rows, columns).

    Args:
        waveform: (time,).
        sample_rate: Hz.
        axis: of what is shown.
        loudest: power that is shown brightest; without it the greatest of the whole signal.
    """
    levels = _power(waveform, sample_rate, axis.window)
    decibels = 10 * np.log10(np.maximum(levels / (loudest or max(float(levels.max()), SILENCE)), SILENCE))
    shown = _rows(decibels, axis.edges * (len(levels) - 1) / (sample_rate / 2))
    return np.round(LEVELS * np.clip(shown / DYNAMIC_RANGE + 1, 0, 1))


def _rows(values: Array, edges: Array) -> Array:
    """The greatest of the bins (bins, columns) within each row; rows that are finer than bins are interpolated between two.

    Args:
        values: of each bin.
        edges: (rows + 1), where rows begin and end, in bins.
    """
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.clip(middle.astype(int), 0, len(values) - 2)
    share = np.clip(middle - below, 0, 1)[:, None]
    between = (1 - share) * values[below] + share * values[below + 1]
    bins = np.minimum(np.ceil(edges), len(values)).astype(int)
    greatest = np.maximum.reduceat(values[: bins[-1]], np.minimum(bins[:-1], bins[-1] - 1))
    return np.where((bins[1:] > bins[:-1])[:, None], greatest, between)


def _power(waveform: Tensor, sample_rate: int, window: float) -> Array:
    """Power (bins, columns) in windows of about so many seconds; of neighbours in time the greatest where there are many."""
    n_fft = 2 ** math.ceil(math.log2(window * sample_rate) - 0.5)
    padded = torch.nn.functional.pad(waveform, (0, max(0, n_fft - len(waveform))))
    spectrum = torch.stft(padded, n_fft, n_fft // 4, window=torch.hann_window(n_fft), return_complex=True)
    levels = power(spectrum)
    return torch.nn.functional.adaptive_max_pool1d(levels, min(levels.shape[1], COLUMNS)).numpy()


@functools.lru_cache(maxsize=16)
def _frame(seconds: float, sample_rate: int, columns: int) -> tuple[str, str]:
    """What stands in the picture before and after the address of its image: matplotlib takes a hundred times as long for it."""
    figure, axes = panel(4.0, 2.4)
    draw(axes, np.zeros((ROWS, columns)), heard(sample_rate), 0.0, seconds)
    axes.set_xlabel("time (s)")
    before, _, after = svg(figure, "Spectrogram").partition("data:image/png;base64,")
    return before, after[after.index('"') :].replace("image-rendering:crisp-edges;image-rendering:pixelated", "", 1)


def _png(level: Array) -> str:
    """The address of an image (rows, columns)."""
    image = Image.fromarray(level.astype(np.uint8))
    image.putpalette((255 * colormaps[COLOURS](np.arange(LEVELS + 1) / LEVELS)[:, :3]).round().astype(np.uint8).tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
