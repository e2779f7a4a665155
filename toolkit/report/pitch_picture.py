"""A picture of a recording's pitch over its spectrum."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps, rc_context
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from toolkit import files
from toolkit.dsp.cqt import CQT
from toolkit.infer.tracker import PitchCurve

WIDEST = 2000  # columns of a picture
LOWEST = 32.70319566257483  # Hz, C1
OCTAVES, BINS_PER_OCTAVE = 7, 36
GAMMA = 10.0  # Hz that bandwidths are wider, so that low tones do not smear over a second
DEPTH = 70.0  # dB below the loudest


class Spectrogram:
    """Log-frequency magnitudes of a recording of known length, in at most `WIDEST` columns, however long it is.

    Args:
        sample_rate: Hz.
        hop_length: samples between frames.
        samples: of the recording.

    Attributes:
        frequencies: Hz of the rows, rising.
        frames: of the recording in a column.
    """

    def __init__(self, sample_rate: int, hop_length: int, samples: int) -> None:
        octaves = min(OCTAVES, math.floor(math.log2(0.45 * sample_rate / LOWEST)))
        bins = octaves * BINS_PER_OCTAVE
        self._transform = CQT(sample_rate, hop_length, LOWEST, bins, BINS_PER_OCTAVE, GAMMA, "nnaudio")
        self.frequencies = self._transform.frequencies
        count = 1 + samples // hop_length
        self.frames = -(-count // WIDEST)
        self._columns = torch.zeros(bins, -(-count // self.frames))

    @torch.inference_mode()
    def of(self, blocks: Iterable[Tensor]) -> Tensor:
        """Map a recording's samples, (time,) one block after the other, to dB below its loudest, (F, columns)."""
        state, number = None, 0
        for block in blocks:
            spectrum, state = self._transform.step(block[None], state)
            number = self._take(spectrum[0].abs(), number)
        if state is not None:
            self._take(self._transform.finish(state)[0].abs(), number)
        loudest = self._columns.max().clamp(min=torch.finfo(torch.float32).tiny)
        return 20 * (self._columns / loudest).clamp(min=10 ** (-DEPTH / 20)).log10()

    def _take(self, magnitudes: Tensor, number: int) -> int:
        """The loudest of what falls into one column; gives the number of the frame that comes next."""
        columns = torch.arange(number, number + magnitudes.shape[1]) // self.frames
        self._columns.scatter_reduce_(1, columns.expand(len(magnitudes), -1), magnitudes, "amax")
        return number + magnitudes.shape[1]


@rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False})
def draw(path: Path, title: str, curve: PitchCurve, spectrum: Tensor, frequencies: list[float], frames: int = 1) -> None:
    """Write a picture of the curve over the spectrum: the surer it is, the more of its colour; nothing at 0 Hz.

    Args:
        path: of the picture; its suffix chooses the format.
        title: what stands above it.
        curve: the pitch.
        spectrum: dB below the loudest, (F, columns).
        frequencies: Hz of the rows, each as many times the one before it.
        frames: of the curve in a column; of so many the surest is drawn.
    """
    seconds, hertz, confidence = (values.numpy() for values in surest(curve, frames))
    end = float(seconds[-1]) + (float(seconds[1]) if len(seconds) > 1 else 0.01)
    low, high = math.log2(frequencies[0]), math.log2(frequencies[-1])
    half = (high - low) / (len(frequencies) - 1) / 2
    figure = Figure(figsize=(9, 4.2), layout="constrained", dpi=150)
    axes = figure.subplots()
    extent = (0, end, low - half, high + half)
    axes.imshow(spectrum.numpy(), origin="lower", aspect="auto", extent=extent, cmap="Greys", vmin=-DEPTH, vmax=0)
    drawn = hertz > 0
    height = np.log2(hertz[drawn])
    points = axes.scatter(seconds[drawn], height, c=confidence[drawn], s=3, cmap=_fading(), vmin=0, vmax=1, linewidths=0)
    octaves = [LOWEST * 2**number for number in range(OCTAVES + 1) if LOWEST * 2**number <= 1.01 * frequencies[-1]]
    axes.set_yticks([math.log2(frequency) for frequency in octaves], [f"{frequency:.0f}" for frequency in octaves])
    axes.set(xlabel="time (s)", ylabel="frequency (Hz)", title=title, xlim=(0, end), ylim=extent[2:])
    figure.colorbar(points, ax=axes, label="confidence", pad=0.01)
    with files.atomic(path) as partial:
        figure.savefig(partial)


def surest(curve: PitchCurve, frames: int) -> PitchCurve:
    """The frame of the highest confidence of each `frames` frames; their times are equally far apart."""
    if frames == 1:
        return curve
    missing = -len(curve.hertz) % frames
    confidence = torch.nn.functional.pad(curve.confidence, (0, missing), value=-1.0).unflatten(0, (-1, frames))
    chosen = confidence.argmax(1) + frames * torch.arange(len(confidence))
    return PitchCurve(curve.seconds[::frames], curve.hertz[chosen], curve.confidence[chosen])


def _fading() -> ListedColormap:
    """A colour that fades with confidence."""
    colours = colormaps["autumn_r"](np.linspace(0.2, 1, 256))
    colours[:, 3] = np.linspace(0, 1, 256)
    return ListedColormap(colours)
