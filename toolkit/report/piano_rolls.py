"""Pictures of scores as piano rolls, and what becomes of a bar as one of its attributes is turned up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toolkit.dsp.notes import STEPS, Notes
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
        original: which of the bars is the one that all were made from; none of them if null.
    """

    name: str
    bars: Sequence[Notes]
    values: Sequence[float]
    original: int | None = None


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
    _draw(axes, notes, (0, steps), (low, high), (beat, bar))
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
    grid = figure.subplots(len(rows), count + 1, width_ratios=[*[1.0] * count, 1.2], squeeze=False)
    for row, panels in zip(rows, grid, strict=True):
        for place, (axes, notes) in enumerate(zip(panels, row.bars, strict=False)):
            _draw(axes, notes, (0, bar), (low, high), (beat, bar), 1 if place == row.original else 0)
            axes.set_xticks([])
            if place == 0:
                _label_pitches(axes, low, high)
                axes.set_title(row.name.replace("_", " "), loc="left", fontsize=10, pad=3)
            else:
                axes.set_yticks([])
        _draw_values(panels[-1], row)
    made = "; ".join(f"{row.name}: {', '.join(f'{value:.2f}' for value in row.values)}" for row in rows)
    return svg(figure, f"Piano rolls of {count} bars for each attribute, with its values ({made})")


def _draw(
    axes: Axes, notes: Notes, time: tuple[int, int], pitches: tuple[int, int], lines: tuple[int, int], series: int = 0
) -> None:
    """Notes as bars, black keys shaded, lines at beats and bars."""
    beat, bar = lines
    low, high = pitches
    axes.grid(visible=False)
    black = [key for key in range(low, high + 1) if key % 12 in BLACK]
    axes.hlines(black, *time, color=FAINT, alpha=0.35, linewidth=2.2, zorder=0.4)
    for step in range(time[0], time[1] + 1, beat):
        axes.axvline(step, color=FAINT if step % bar else INK, linewidth=0.5, alpha=1.0 if step % bar else 0.5, zorder=0.5)
    for note in notes:
        axes.broken_barh([(note.onset, note.duration)], (note.pitch - 0.5, 1), color=SERIES[series], alpha=0.55, linewidth=0)
        head = min(HEAD * beat, note.duration)
        axes.broken_barh([(note.onset, head)], (note.pitch - 0.5, 1), color=SERIES[series], linewidth=0)
    axes.set(xlim=time, ylim=(low - 0.8, high + 0.8))


def _draw_values(axes: Axes, row: Traversal) -> None:
    """The attribute of each bar as a dot."""
    places = range(1, len(row.values) + 1)
    axes.plot(places, row.values, color=SERIES[0], linewidth=1.0, alpha=0.5)
    for place, value in zip(places, row.values, strict=True):
        axes.plot([place], [value], color=SERIES[1 if place - 1 == row.original else 0], marker="o", markersize=4)
    axes.set(xlim=(0.5, len(row.values) + 0.5), xticks=list(places))
    axes.tick_params(labelsize=8)
    axes.yaxis.tick_right()


def _label_pitches(axes: Axes, low: int, high: int) -> None:
    """Name every C, and where there is none the lowest pitch."""
    named = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0] or [low]
    axes.set_yticks(named, [f"{NAMES[pitch % 12]}{pitch // 12 - 1}" for pitch in named])


def _range(several: Sequence[Notes]) -> tuple[int, int]:
    """Lowest and highest pitch of a picture that all notes fit in."""
    pitches = [note.pitch for notes in several for note in notes] or [60]
    missing = max(0, LEAST - (max(pitches) - min(pitches)))
    return min(pitches) - 1 - missing // 2, max(pitches) + 1 + missing - missing // 2
