"""Pictures of scores as piano rolls, and what becomes of a bar as one of its attributes is turned up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from toolkit.dsp.notes import STEPS, NoteEvent, Notes, joined
from toolkit.report.figures import FAINT, INK, SERIES, STYLE, svg

NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
BLACK = (1, 3, 6, 8, 10)  # keys of an octave
LEAST = 12  # semitones that a picture shows, at least
WIDTH = 7.2  # inches
HEAD = 0.18  # of a note, in steps from its onset: drawn darker, so that repeated notes stand apart


class Traversal(NamedTuple):
    """Bars that a model makes as one latent dimension goes from low to high.

    Attributes:
        name: of the attribute.
        bars: notes of each bar, in steps from its beginning.
        values: the attribute of each bar.
    """

    name: str
    bars: Sequence[Notes]
    values: Sequence[float]


@rc_context(STYLE)
def piano_roll(notes: Notes, steps: int, beat: int = STEPS, bar: int = 4 * STEPS) -> str:
    """Notes over time and pitch.

    Args:
        notes: what is drawn.
        steps: length of the picture, in twelfths of a quarter note.
        beat: steps from one line to the next.
        bar: steps from one bold line to the next.
    """
    low, high = _range([notes])
    figure = Figure(figsize=(min(WIDTH, 1.2 + 1.3 * steps / bar), 0.9 + 0.075 * (high - low)), layout="constrained")
    axes = figure.subplots()
    _draw(axes, notes, steps, (low, high), (beat, bar))
    _label_pitches(axes, low, high)
    axes.set_xticks(range(0, steps, bar), [str(1 + number) for number in range(-(-steps // bar))])
    axes.set_xlabel("bar")
    return svg(figure, f"Piano roll of {len(notes)} notes in {-(-steps // bar)} bars")


@rc_context(STYLE)
def traversals(rows: Sequence[Traversal], beat: int = STEPS, bar: int = 4 * STEPS) -> str:
    """A row of piano rolls for each attribute, from its lowest value to its highest, and the values beside it.

    Args:
        rows: of equally many bars each.
        beat: steps from one line to the next.
        bar: steps that a bar lasts.

    Raises:
        ValueError: there are no rows, or rows of different lengths.
    """
    count = len(rows[0].bars) if rows else 0
    if count == 0 or any(len(row.bars) != count or len(row.values) != count for row in rows):
        raise ValueError(f"traversals: expected rows of as many bars and values each, found {[len(row.bars) for row in rows]}")
    low, high = _range([notes for row in rows for notes in row.bars])
    figure = Figure(figsize=(WIDTH, 0.3 + len(rows) * (0.5 + 0.045 * (high - low))), layout="constrained")
    panels = figure.subplots(len(rows), 2, width_ratios=[count, 1.2], squeeze=False)
    for row, (rolls, values) in zip(rows, panels, strict=True):
        _draw(rolls, joined(row.bars, bar), count * bar, (low, high), (beat, bar))
        _label_pitches(rolls, low, high)
        rolls.set_xticks([])
        rolls.set_title(row.name.replace("_", " "), loc="left", fontsize=10, pad=3)
        values.plot(range(1, count + 1), row.values, color=SERIES[0], linewidth=1.0, marker="o", markersize=4)
        values.set(xlim=(0.5, count + 0.5), xticks=range(1, count + 1))
        values.tick_params(labelsize=8)
        values.yaxis.tick_right()
    made = "; ".join(f"{row.name}: {', '.join(f'{value:.2f}' for value in row.values)}" for row in rows)
    return svg(figure, f"Piano rolls of {count} bars for each attribute, with its values ({made})")


def _draw(axes: Axes, notes: Notes, steps: int, pitches: tuple[int, int], lines: tuple[int, int]) -> None:
    """Notes as bars, black keys shaded, lines at beats and bars; what is alike is one thing to draw, which saves seconds."""
    beat, bar = lines
    low, high = pitches
    axes.grid(visible=False)
    black = [key for key in range(low, high + 1) if key % 12 in BLACK]
    axes.hlines(black, 0, steps, color=FAINT, alpha=0.35, linewidth=2.2, zorder=0.4)
    bottom, top = low - 0.8, high + 0.8
    axes.vlines(range(0, steps + 1, beat), bottom, top, color=FAINT, linewidth=0.5, zorder=0.5)
    axes.vlines(range(0, steps + 1, bar), bottom, top, color=INK, linewidth=0.5, alpha=0.5, zorder=0.5)
    for longest, alpha in ((steps, 0.55), (HEAD * beat, 1.0)):  # whole notes, and darker heads
        drawn = np.array([_corners(note, longest) for note in notes]).reshape(-1, 2)
        shape = Path(drawn, [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY] * len(notes))
        axes.add_patch(PathPatch(shape, facecolor=SERIES[0], alpha=alpha, linewidth=0))
    axes.set(xlim=(0, steps), ylim=(bottom, top))


def _corners(note: NoteEvent, longest: float) -> list[tuple[float, float]]:
    """The corners of a note's rectangle, cut off where it is longer than `longest`; the first one stands at the end again."""
    end, low, high = note.onset + min(note.duration, longest), note.pitch - 0.5, note.pitch + 0.5
    return [(note.onset, low), (end, low), (end, high), (note.onset, high), (note.onset, low)]


def _label_pitches(axes: Axes, low: int, high: int) -> None:
    """Name every C, and where there is none the lowest pitch."""
    named = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0] or [low]
    axes.set_yticks(named, [f"{NAMES[pitch % 12]}{pitch // 12 - 1}" for pitch in named])


def _range(several: Sequence[Notes]) -> tuple[int, int]:
    """Lowest and highest pitch of a picture that all notes fit in."""
    pitches = [note.pitch for notes in several for note in notes] or [60]
    missing = max(0, LEAST - (max(pitches) - min(pitches)))
    return min(pitches) - 1 - missing // 2, max(pitches) + 1 + missing - missing // 2
