"""A picture of the tags of a recording over time."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from toolkit import files


@rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False})
def draw(path: Path, title: str, tags: list[str], activity: Tensor, every: float) -> None:
    """Write a picture with a row for each tag, the darker the likelier it is.

    Args:
        path: of the picture; its suffix chooses the format.
        title: what stands above it.
        tags: names of the rows.
        activity: probabilities (K, W).
        every: seconds that each of the W lasts.
    """
    figure = Figure(figsize=(8, 1.1 + 0.22 * len(tags)), layout="constrained", dpi=150)
    axes = figure.subplots()
    extent = (0, every * activity.shape[1], len(tags) - 0.5, -0.5)
    image = axes.imshow(activity.numpy(), aspect="auto", extent=extent, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    axes.set_yticks(range(len(tags)), tags)
    axes.set(xlabel="time (s)", title=title)
    figure.colorbar(image, ax=axes, label="probability", pad=0.01)
    with files.atomic(path) as partial:
        figure.savefig(partial)
