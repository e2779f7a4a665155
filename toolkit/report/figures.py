"""Pictures of a report as SVG that takes its colours from the page, so that they suit a light and a dark one."""

from __future__ import annotations

import html
import io
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK = "#010203"  # stands for the page's text colour
FAINT = "#040506"  # for its rules
SERIES = [f"#0a0b{number:02x}" for number in range(6)]  # for its palette `--series-0` ...
DASHES = ("-", "--", ":")  # of lines, once there are more than colours
LOOKS = list(itertools.product(DASHES, SERIES))  # of lines, one after the other
MOST_INSIDE = 2  # lines whose names stand among them; more stand below
STEPS = (1, 2, 2.5, 5, 10)  # between the numbers below a picture, times a power of ten
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reprise",
    "text.parse_math": False,  # a name may have dollars
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

WIDTH, HEIGHT = 4.2, 2.7  # inches of a picture: three stand side by side, and one on a telephone with letters of 11 pixels
NAME = 22  # letters of a box's name in a line
BESIDE = 27  # of what stands upright beside a picture
FEW = 12  # values up to which each is a dot: a box or a histogram of three would say nothing
BOXES = "The box holds the middle half, the thick line is the median, whiskers reach 1.5 box lengths."
DOTS = "Each dot is one of them, the thick line is the median."
SIZE = 1.4  # CSS pixels that a point of a picture may become, at most: as 11-point letters are 15 pixels high
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
    figure, axes = panel(WIDTH, HEIGHT)
    for (name, line), (dash, colour) in zip(lines.items(), itertools.cycle(LOOKS)):
        plot(axes, name, line, dash, colour)
    axes.set(xlabel=xlabel, ylabel=fill(ylabel, BESIDE))
    whole = all(float(place).is_integer() for x, _ in lines.values() for place in x)
    axes.xaxis.set_major_locator(MaxNLocator(integer=whole, steps=STEPS))
    name_lines(figure, axes, len(lines))
    return svg(figure, f"{ylabel} over {xlabel}: {', '.join(lines)}")


def plot(axes: Axes, name: str, line: Curve, dash: str, colour: str) -> None:
    """A line of its own name; of few points, each is a dot too."""
    x, y = line
    size = 4 if len(x) < 15 else 0
    axes.plot(x, y, color=colour, linestyle=dash, label=name, linewidth=1.8, marker="o", markersize=size)


def name_lines(figure: Figure, axes: Axes, count: int) -> None:
    """Say which of so many lines is which, where there are several: among them or, of more, below, where that takes room."""
    if count > MOST_INSIDE:
        figure.set_figheight(HEIGHT + 0.19 * -(-count // 2))
        figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    elif count > 1:
        axes.legend()


@rc_context(STYLE)
def distribution(values: Mapping[str, Sequence[float]], xlabel: str) -> str:
    """How a metric is spread over the items: a histogram for one set of values, a box each for several, dots where few are.

    Args:
        values: name of a set (`2 speakers`, `s1`) to its values.
        xlabel: metric and unit.
    """
    if len(values) == 1:
        return _histogram(next(iter(values.values())), xlabel)
    figure, axes = panel(WIDTH, 1.1 + 0.4 * len(values))
    line = {"color": SERIES[0], "linewidth": 1.5}
    for place, found in enumerate(values.values()):
        if len(found) <= FEW:
            _dots(axes, found, place)
            continue
        axes.boxplot(
            [found],
            positions=[place],
            orientation="horizontal",
            widths=0.55,
            boxprops=line,
            whiskerprops=line,
            capprops=line,
            medianprops={"color": SERIES[1], "linewidth": 2.5},
            flierprops={"marker": "o", "markersize": 3, "markeredgecolor": SERIES[0], "alpha": 0.5},
        )
    axes.set_yticks(range(len(values)), [fill(f"{name} (n = {len(found)})", NAME) for name, found in values.items()])
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    figure.supxlabel(xlabel, fontsize=11)  # below the names too: long ones leave little room to it
    return svg(figure, f"Distribution of {xlabel} for {', '.join(values)}")


def reading(values: Iterable[Sequence[float]]) -> str:
    """What the marks of a distribution of several sets mean."""
    few = {len(found) <= FEW for found in values}
    return DOTS if few == {True} else BOXES if few == {False} else f"{BOXES} Up to {FEW} values are dots."


def _histogram(values: Sequence[float], xlabel: str) -> str:
    if len(values) <= FEW:
        figure, axes = panel(WIDTH, 1.3)
        _dots(axes, values, 0)
        axes.set(xlabel=xlabel, ylim=(-0.5, 0.5), yticks=[])
        return svg(figure, f"Distribution of {xlabel} over {len(values)} items")
    figure, axes = panel(WIDTH, HEIGHT)
    bins = int(np.clip(np.sqrt(len(values)) * 1.5, 5, 40))
    axes.hist(values, bins=bins, color=SERIES[0], alpha=0.65, histtype="stepfilled")
    axes.axvline(float(np.median(values)), color=SERIES[1], linewidth=2.5)
    axes.set(xlabel=xlabel, ylabel="items")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return svg(figure, f"Distribution of {xlabel} over {len(values)} items")


def _dots(axes: Axes, values: Sequence[float], place: float) -> None:
    """Single values and their median, at a height."""
    axes.plot(values, [place] * len(values), color=SERIES[0], linestyle="", marker="o", markersize=6, alpha=0.65)
    axes.plot([float(np.median(values))] * 2, [place - 0.25, place + 0.25], color=SERIES[1], linewidth=2.5)


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
    figure, axes = panel(WIDTH, 0.8 + 0.25 * len(values))
    for place, (name, value) in enumerate(values.items()):
        if name in marks:
            axes.plot([marks[name], value], [place, place], color=SERIES[0], alpha=0.4, linewidth=2.5)
            axes.plot([marks[name]], [place], color=SERIES[1], marker="|", markersize=10, markeredgewidth=2)
        axes.errorbar([value], [place], xerr=spreads.get(name), color=SERIES[0], marker="o", markersize=5, capsize=3)
    axes.set_yticks(range(len(values)), list(values))
    axes.set(xlabel=xlabel, xlim=limits, ylim=(len(values) - 0.4, -0.6))
    return svg(figure, f"{xlabel} of {', '.join(values)}")


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
