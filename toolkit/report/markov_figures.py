"""Pictures of what is learned of Markov chains: the loss on its way to what can be reached, and transition matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toolkit.report.figures import FAINT, INK, SERIES, STYLE, Curve, panel, svg

CELL = 0.62  # inches
DASHES = ("--", ":", "-.")


@rc_context(STYLE)
def loss_and_lines(
    curves: Mapping[str, Curve], lines: Mapping[str, float], band: tuple[float, float] | None = None, highest: float = np.inf
) -> str:
    """Validation losses over steps, levels, and a band.

    Args:
        curves: name to steps and losses.
        lines: name to a level.
        band: lower and upper end of what winner takes all can reach at best.
        highest: loss above which nothing is drawn.
    """
    figure, axes = panel(6.4, 3.6)
    if band is not None:
        axes.axhspan(*band, color=FAINT, alpha=0.8, linewidth=0, label="optimum of MCL")
    for number, (name, level) in enumerate(lines.items()):
        axes.axhline(level, color=INK, linestyle=DASHES[number % len(DASHES)], linewidth=1.1, label=name)
    for number, (name, (steps, losses)) in enumerate(curves.items()):
        axes.plot(steps, losses, color=SERIES[number % len(SERIES)], linewidth=1.8, marker="o", markersize=3, label=name)
    found = [loss for _, losses in curves.values() for loss in losses]
    low = min([*found, *lines.values(), *(band or ())])
    high = min(highest, max([*found, *lines.values()]))
    axes.set(xlabel="step", ylabel="validation loss (nats per token)", ylim=(low - 0.05 * (high - low), high))
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)  # below: losses and levels may lie anywhere
    return svg(figure, f"Validation loss over steps of {', '.join(curves)}; levels: {', '.join(lines)}")


@rc_context(STYLE)
def matrices(rows: Mapping[str, Sequence[NDArray[Any]]]) -> str:
    """Transition matrices with their figures: a row for each name, a matrix for each hypothesis or chain.

    Args:
        rows: name to matrices (V, V), row i holding what follows state i.
    """
    most = max(map(len, rows.values()))
    states = max(len(matrix) for matrices in rows.values() for matrix in matrices)
    side = CELL * states + 0.35
    figure = Figure(figsize=(side * most + 1.5, side * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), most, squeeze=False)
    for panels, (name, matrices) in zip(grid, rows.items(), strict=True):
        for axes in panels[len(matrices) :]:
            axes.set_visible(False)
        panels[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axes, matrix in zip(panels, matrices, strict=False):
            axes.grid(visible=False)
            axes.set(xlim=(0, states), ylim=(states, 0), aspect="equal", xticks=[], yticks=[])
            for (row, column), value in np.ndenumerate(matrix):
                axes.fill_between([column, column + 1], row, row + 1, color=SERIES[0], alpha=0.85 * float(value), linewidth=0)
                axes.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", color=INK)
    told = "; ".join(f"{name}: {[np.round(matrix, 2).tolist() for matrix in matrices]}" for name, matrices in rows.items())
    return svg(figure, f"Transition matrices. {told}")
