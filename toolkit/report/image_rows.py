"""Small images in rows, such as what a model draws as one latent dimension after the other goes from low to high."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toolkit.report.figures import STYLE, svg

WIDTH = 7.2  # inches
GAP = 2  # pixels between images
LEVEL = 0.5  # of the gap


@rc_context(STYLE)
def image_rows(rows: Mapping[str, NDArray[np.floating]], smallest: float = 0.0, largest: float = 1.0) -> str:
    """A row of grey images for each name.

    Args:
        rows: name to images (n, height, width), n, height and width being the same in all rows.
        smallest: value that is black.
        largest: value that is white.

    Raises:
        ValueError: there are no rows, no images, or images of different shapes.
    """
    shapes = {np.shape(images) for images in rows.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3 or 0 in next(iter(shapes)):
        raise ValueError(f"image_rows: expected images (n, height, width) of one shape in all rows, found {sorted(shapes)}")
    count, height, width = next(iter(shapes))
    size = WIDTH * 0.8 / count  # inches of an image; the rest is for the names
    figure = Figure(figsize=(WIDTH, len(rows) * (size * height / width + 0.06) + 0.1), layout="constrained")
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, (name, images) in zip(panels, rows.items(), strict=True):
        strip = _strip(np.asarray(images, np.float64), smallest + LEVEL * (largest - smallest))
        axes.imshow(strip, cmap="gray", vmin=smallest, vmax=largest, interpolation="none")
        axes.grid(visible=False)
        axes.set_frame_on(False)
        axes.set_anchor("E")
        axes.set(xticks=[], yticks=[(height - 1) / 2])
        axes.set_yticklabels([name.replace("_", " ")])
        axes.tick_params(length=0)
    return svg(figure, f"Rows of {count} images each: {', '.join(rows)}")


def _strip(images: NDArray[np.float64], between: float) -> NDArray[np.float64]:
    """Images (n, height, width) side by side (height, n * width and what lies between)."""
    padded = np.pad(images, ((0, 0), (0, 0), (0, GAP)), constant_values=between)
    return np.concatenate(list(padded), axis=1)[:, :-GAP]
