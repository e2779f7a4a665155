"""Pictures of hypotheses in a plane: where they lie among the samples, the ways they came, and their risk as they cool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toolkit.report.figures import HEIGHT, INK, SERIES, STYLE, WIDTH, Curve, panel, svg

Array = NDArray[Any]

SIDE = 2.0  # inches of a square
MOST = 400  # samples that are drawn: more would hide each other
AREA = 36.0  # square points of a hypothesis of mean weight
LEAST = 1.5  # of one that weighs nothing: it is still seen


class Placed(NamedTuple):
    """Hypotheses of one input.

    Attributes:
        points: (K, 2).
        weights: (K), adding up to 1; None where all weigh the same.
    """

    points: Array
    weights: Array | None = None


@rc_context(STYLE)
def hypotheses(
    samples: Mapping[str, Array], systems: Mapping[str, Mapping[str, Placed]], limits: tuple[float, float] = (-1.0, 1.0)
) -> str:
    """Hypotheses among the samples they stand for: a row for each system, a column for each input.

    Args:
        samples: name of an input (`t = 0.1`) to samples (N, 2) given it, of which the first 400 are drawn.
        systems: name of a system to its hypotheses for each of the inputs; the area of a dot is its weight.
        limits: of both axes.
    """
    figure = Figure(figsize=(SIDE * len(samples) + 0.3, SIDE * len(systems) + 0.3), layout="constrained")
    grid = figure.subplots(len(systems), len(samples), sharex=True, sharey=True, squeeze=False)
    for row, (system, found) in zip(grid, systems.items(), strict=True):
        row[0].set_ylabel(system)
        for axes, (name, points) in zip(row, samples.items(), strict=True):
            _square(axes, points, limits)
            placed = found[name]
            count = len(placed.points)
            weights = np.full(count, 1 / count) if placed.weights is None else np.asarray(placed.weights)
            area = np.maximum(AREA * count * weights, LEAST)
            axes.scatter(
                placed.points[:, 0], placed.points[:, 1], s=area, color=SERIES[0], edgecolors=INK, linewidths=0.5, alpha=0.85
            )
    for axes, name in zip(grid[-1], samples, strict=True):
        axes.set_xlabel(name)
    return svg(figure, f"Hypotheses among samples for {', '.join(samples)}: {', '.join(systems)}; larger dots weigh more")


@rc_context(STYLE)
def ways(samples: Array, systems: Mapping[str, Array], limits: tuple[float, float] = (-1.0, 1.0)) -> str:
    """The ways that hypotheses took while they were trained, and where they ended: a square for each system.

    Args:
        samples: (N, 2), of which the first 400 are drawn.
        systems: name of a system to its hypotheses at each of some steps (S, K, 2).
        limits: of both axes.
    """
    figure = Figure(figsize=(SIDE * len(systems) + 0.3, SIDE + 0.3), layout="constrained")
    for axes, (system, points) in zip(
        figure.subplots(1, len(systems), sharey=True, squeeze=False)[0], systems.items(), strict=True
    ):
        _square(axes, samples, limits)
        axes.plot(points[..., 0], points[..., 1], color=SERIES[0], linewidth=0.6, alpha=0.6)
        axes.scatter(points[-1, :, 0], points[-1, :, 1], s=AREA / 3, color=SERIES[0], edgecolors=INK, linewidths=0.5)
        axes.set_xlabel(system)
    return svg(figure, f"Ways of the hypotheses among the samples: {', '.join(systems)}")


@rc_context({**STYLE, "text.parse_math": True})  # for powers of ten
def cooling(
    lines: Mapping[str, Curve],
    critical: Sequence[float] = (),
    levels: Mapping[str, float] | None = None,
    quantity: str = "risk",
) -> str:
    """Risk over temperature on logarithmic axes, falling to the right as training goes.

    Args:
        lines: name to temperatures and risks, both above 0.
        critical: temperatures at which hypotheses are expected to part.
        levels: name to a risk that others are held against, e.g. the optimum of k-means.
        quantity: what is drawn, if not risk.
    """
    figure, axes = panel(WIDTH, HEIGHT)
    for number, (name, (x, y)) in enumerate(lines.items()):
        axes.plot(x, y, color=SERIES[number % len(SERIES)], label=name, linewidth=1.8)
    for number, temperature in enumerate(critical):
        label = "critical temperature" if number == 0 else None
        axes.axvline(temperature, color=INK, linewidth=1, linestyle=":", label=label)
    for number, (name, risk) in enumerate((levels or {}).items(), start=len(lines)):
        axes.axhline(risk, color=SERIES[number % len(SERIES)], linewidth=1.2, linestyle="--", label=name)
    axes.set(xscale="log", yscale="log", xlabel="temperature", ylabel=quantity)
    axes.invert_xaxis()
    axes.legend()
    return svg(figure, f"{quantity.capitalize()} over temperature: {', '.join(lines)}")


def _square(axes: Axes, samples: Array, limits: tuple[float, float]) -> None:
    axes.scatter(samples[:MOST, 0], samples[:MOST, 1], s=3, color=SERIES[1], alpha=0.35, linewidths=0)
    axes.set(xlim=limits, ylim=limits, aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(True)
