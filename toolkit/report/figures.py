"""Pictures of a report as SVG that takes its colours from the page, so that they suit a light and a dark one."""

from __future__ import annotations

import html
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

INK = "#010203"  # stands for the page's text colour
FAINT = "#040506"  # for its rules
SERIES = [f"#0a0b{number:02x}" for number in range(6)]  # for its palette `--series-0` ...
DASHES = ("-", "--", ":")  # of lines, once there are more than colours
MOST_INSIDE = 4  # lines whose names stand among them; more stand below
STEPS = (1, 2, 2.5, 5, 10)  # between the numbers below a picture, times a power of ten
DYNAMIC_RANGE = 60.0  # dB that a spectrogram shows below its loudest point
GRID = (257, 320)  # frequencies and frames of a spectrogram at most: more would not be seen
LEVELS = 24  # of brightness in a spectrogram
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reprise",
    "font.size": 11,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}

BOXES = "The box holds the middle half, the thick line is the median, whiskers reach 1.5 box lengths."
SIZE = 5 / 3  # CSS pixels that a point of a picture may become, at most: as 11-point letters are 18 pixels high
BROAD = 400.0  # points from which on a picture takes a page's whole width

Curve = tuple[Sequence[float], Sequence[float]]


@rc_context(STYLE)
def curves(lines: Mapping[str, Curve], ylabel: str, xlabel: str = "epoch") -> str:
    """Lines over epochs.

    Args:
        lines: name to x and y values; a single point is drawn as a dot.
        ylabel: quantity and unit.
        xlabel: quantity and unit.
    """
    figure, axes = panel(4.8, 2.9)
    looks = itertools.product(DASHES, SERIES)
    for (name, (x, y)), (dash, colour) in zip(lines.items(), itertools.cycle(looks)):
        size = 4 if len(x) < 15 else 0
        axes.plot(x, y, color=colour, linestyle=dash, label=name, linewidth=1.8, marker="o", markersize=size)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    whole = all(float(place).is_integer() for x, _ in lines.values() for place in x)
    axes.xaxis.set_major_locator(MaxNLocator(integer=whole, steps=STEPS))
    if len(lines) > MOST_INSIDE:
        figure.set_figheight(2.9 + 0.19 * -(-len(lines) // 2))
        figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    elif len(lines) > 1:
        axes.legend()
    return svg(figure, f"{ylabel} over {xlabel}: {', '.join(lines)}")


@rc_context(STYLE)
def distribution(values: Mapping[str, Sequence[float]], xlabel: str) -> str:
    """How a metric is spread over the items: a histogram for one set of values, a box each for several.

    Args:
        values: name of a set (`2 speakers`, `s1`) to its values.
        xlabel: metric and unit.
    """
    if len(values) == 1:
        return _histogram(next(iter(values.values())), xlabel)
    figure, axes = panel(4.8, 1.2 + 0.5 * len(values))
    line = {"color": SERIES[0], "linewidth": 1.5}
    axes.boxplot(
        list(values.values()),
        orientation="horizontal",
        widths=0.55,
        boxprops=line,
        whiskerprops=line,
        capprops=line,
        medianprops={"color": SERIES[1], "linewidth": 2.5},
        flierprops={"marker": "o", "markersize": 3, "markeredgecolor": SERIES[0], "alpha": 0.5},
    )
    axes.set_yticks(range(1, len(values) + 1), [f"{name} (n = {len(found)})" for name, found in values.items()])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(xlabel)
    return svg(figure, f"Distribution of {xlabel} for {', '.join(values)}")


def _histogram(values: Sequence[float], xlabel: str) -> str:
    figure, axes = panel(4.8, 2.9)
    bins = int(np.clip(np.sqrt(len(values)) * 1.5, 5, 40))
    axes.hist(values, bins=bins, color=SERIES[0], alpha=0.65, histtype="stepfilled")
    axes.axvline(float(np.median(values)), color=SERIES[1], linewidth=2.5)
    axes.set(xlabel=xlabel, ylabel="items")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return svg(figure, f"Distribution of {xlabel} over {len(values)} items")


@rc_context(STYLE)
def spectrogram(waveform: Tensor, sample_rate: int, loudest: float) -> str:
    """Level over time and frequency.

    Args:
        waveform: (time,).
        sample_rate: Hz.
        loudest: power that is shown brightest, the same for all pictures of an item.
    """
    figure, axes = panel(3.4, 2.1)
    _draw_spectrogram(axes, waveform, sample_rate, loudest)
    axes.set_xlabel("time (s)")
    return svg(figure, "Spectrogram")


@rc_context(STYLE)
def listening(waveform: Tensor, sample_rate: int, tracks: Mapping[str, Sequence[Curve]]) -> str:
    """A spectrogram, and below it what goes on over the same time.

    Args:
        waveform: (time,).
        sample_rate: Hz.
        tracks: name to one or two curves from 0 to 1 over seconds: the first is drawn as an area, the second as a line.
    """
    heights = [2.4, *[0.55] * len(tracks)]
    figure = Figure(figsize=(4.8, sum(heights) + 0.5), layout="constrained")
    panels = figure.subplots(len(heights), sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    _draw_spectrogram(panels[0], waveform, sample_rate, loudest_point(waveform, sample_rate))
    for axes, (name, (area, *line)) in zip(panels[1:], tracks.items(), strict=True):
        axes.fill_between(*area, step="post", color=SERIES[1], alpha=0.55, linewidth=0)
        for x, y in line:
            axes.plot(x, y, drawstyle="steps-post", color=SERIES[0], linewidth=1.6)
        axes.set(ylim=(0, 1.05), yticks=[])
        axes.grid(visible=False)
        axes.set_title(name, loc="left", fontsize=10, pad=2)
    panels[-1].set(xlabel="time (s)", xlim=(0, len(waveform) / sample_rate))
    return svg(figure, f"Spectrogram; below it, over time: {', '.join(tracks) or 'nothing'}")


@rc_context(STYLE)
def by_name(
    values: Mapping[str, float],
    marks: Mapping[str, float],
    spreads: Mapping[str, float],
    xlabel: str,
    limits: tuple[float, float],
) -> str:
    """A dot for each name, with a line from the mark that it is held against.

    Args:
        values: name to its value.
        marks: name to what it is held against.
        spreads: name to a deviation, drawn to both sides; of some names or of none.
        xlabel: quantity and unit.
        limits: of the quantity.
    """
    figure, axes = panel(4.8, 0.8 + 0.25 * len(values))
    for place, (name, value) in enumerate(values.items()):
        if name in marks:
            axes.plot([marks[name], value], [place, place], color=SERIES[0], alpha=0.4, linewidth=2.5)
            axes.plot([marks[name]], [place], color=SERIES[1], marker="|", markersize=10, markeredgewidth=2)
        axes.errorbar([value], [place], xerr=spreads.get(name), color=SERIES[0], marker="o", markersize=5, capsize=3)
    axes.set_yticks(range(len(values)), list(values))
    axes.set(xlabel=xlabel, xlim=limits, ylim=(len(values) - 0.4, -0.6))
    return svg(figure, f"{xlabel} of {', '.join(values)}")


def loudest_point(waveform: Tensor, sample_rate: int) -> float:
    """The largest power in a spectrogram of `waveform` (time,)."""
    return max(float(_power(waveform, sample_rate).max()), 1e-12)


def _draw_spectrogram(axes: Axes, waveform: Tensor, sample_rate: int, loudest: float) -> None:
    level = 10 * np.log10(np.maximum(_power(waveform, sample_rate) / loudest, 1e-12))
    level = np.round(np.clip(level / DYNAMIC_RANGE + 1, 0, 1) * LEVELS) / LEVELS
    extent = (0, len(waveform) / sample_rate, 0, sample_rate / 2000)
    axes.imshow(level, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=0, vmax=1, interpolation="none")
    axes.grid(visible=False)
    axes.set_ylabel("frequency (kHz)")


def _power(waveform: Tensor, sample_rate: int) -> np.ndarray:
    """Power (frequency, frames) in windows of about 32 ms; of neighbours the largest where there are more than `GRID`."""
    n_fft = 2 ** round(np.log2(0.032 * sample_rate))
    padded = torch.nn.functional.pad(waveform, (0, max(0, n_fft - len(waveform))))
    spectrum = torch.stft(padded, n_fft, n_fft // 4, window=torch.hann_window(n_fft), return_complex=True)
    power = spectrum.abs().square().unsqueeze(0)
    size = [min(have, most) for have, most in zip(power.shape[1:], GRID, strict=True)]
    return torch.nn.functional.adaptive_max_pool2d(power, size)[0].numpy()


def panel(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty picture of so many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def svg(figure: Figure, description: str) -> str:
    """Inline SVG: page colours for placeholders, no ids but those that are referred to, a name for screen readers."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    referred = set(re.findall(r'(?:url\(#|href="#)([\w-]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in referred else "", text)
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;]*", "font-family: var(--font)", text)
    for number, colour in enumerate(SERIES):
        text = text.replace(colour, f"var(--series-{number})")
    text = text.replace(INK, "var(--ink)").replace(FAINT, "var(--rule)")
    view_box = re.search(r'viewBox="0 0 ([\d.]+) [^"]*"', text)
    width = float(view_box[1]) if view_box else 0.0
    size = f' style="max-width: {SIZE * width:.0f}px"' + ' class="broad"' * (width > BROAD) if view_box else ""
    opening = f'<svg role="img" aria-label="{html.escape(description)}" {view_box[0] if view_box else ""}{size}>'
    return opening + text[text.index(">") + 1 :]
