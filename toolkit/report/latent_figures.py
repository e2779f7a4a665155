"""Pictures of codes: what each dimension tells of attributes, and how much it says at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from toolkit.report.figures import INK, SERIES, STYLE, svg

WIDTH = 7.2  # inches


@rc_context(STYLE)
def dependence(values: NDArray[np.floating], names: Sequence[str]) -> str:
    """A cell for each attribute (a row) and dimension (a column), the greatest of each row framed.

    Args:
        values: (Z, A), 0 and up.
        names: of the attributes.

    Raises:
        ValueError: there are not as many names as attributes.
    """
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"dependence: expected values (Z, {len(names)}), a name for each attribute, found {values.shape}")
    figure = Figure(figsize=(WIDTH, 0.9 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=False)
    image = axes.imshow(values.T, cmap="magma", vmin=0, vmax=max(float(values.max(initial=0)), 1e-9), aspect="auto")
    for row, column in enumerate(values.argmax(0)):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=SERIES[1], linewidth=1.6))
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_xlabel("dimension")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    bar = figure.colorbar(image, ax=axes, pad=0.01)
    bar.outline.set_visible(False)
    most = "; ".join(f"{name}: {place}" for name, place in zip(names, values.argmax(0), strict=True))
    return svg(figure, f"What {len(values)} dimensions tell of each attribute; the most informative ones: {most}")


@rc_context(STYLE)
def per_dimension(values: NDArray[np.floating], label: str) -> str:
    """A bar for each dimension.

    Args:
        values: (Z,).
        label: quantity and unit.
    """
    figure = Figure(figsize=(WIDTH, 1.9), layout="constrained")
    axes = figure.subplots()
    axes.bar(np.arange(len(values)), values, color=SERIES[0], alpha=0.75)
    axes.axhline(0, color=INK, linewidth=0.5)
    axes.set(xlabel="dimension", ylabel=label, xlim=(-0.6, len(values) - 0.4))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return svg(figure, f"{label} of each of {len(values)} dimensions")
