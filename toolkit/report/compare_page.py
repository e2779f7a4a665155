"""A comparison of experiments as a page of its own, or as a section of the page of one of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator

from toolkit.data import records
from toolkit.report import display, figures
from toolkit.report.comparison import Comparison
from toolkit.report.curves import curve, keys
from toolkit.report.figures import Curve
from toolkit.report.runs import Group, Run
from toolkit.report.templates import environment


def page(found: Comparison) -> str:
    """The comparison with the curves of its experiments, as HTML."""
    title = ", ".join(found.names)
    recipe = found.groups[0].first.info.get("recipe", "")
    context = {"found": found, "title": title, "recipe": recipe, "pictures": pictures(found.groups, found.names)}
    return environment().get_template("compare.html").render(context)


def section(run: Run, baseline: Run | None, split: str) -> tuple[Comparison, list[tuple[str, str]]] | None:
    """What stands on an experiment's page of its baseline: the comparison, and curves (caption, SVG); None without a baseline.

    Raises:
        UserError: the baseline is not scored, or of another recipe, or the experiment itself.
    """
    if baseline is None:
        return None
    found = Comparison([baseline, run], split)
    return found, pictures(found.groups, found.names)


def pictures(groups: list[Group], names: list[str]) -> list[tuple[str, str]]:
    """(caption, SVG) of every quantity that was written down in training, the experiments laid over each other."""
    read = {name: [records.epochs(run.folder) for run in group.runs] for name, group in zip(names, groups, strict=True)}
    drawn = []
    for key in keys(row for histories in read.values() for rows in histories for row in rows):
        lines = {name: [line for rows in histories if (line := curve(rows, key))[0]] for name, histories in read.items()}
        if not any(lines.values()):  # it was never a number
            continue
        several = " Thin lines are single seeds." if any(len(found) > 1 for found in lines.values()) else ""
        drawn.append((f"{key} by epoch.{several}", overlaid(lines, display.label(key.partition("/")[2]))))
    return drawn


@rc_context(figures.STYLE)
def overlaid(lines: Mapping[str, Sequence[Curve]], ylabel: str, xlabel: str = "epoch") -> str:
    """Curves of several experiments, each with a look of its own; of several seeds, their mean, with each thin behind it.

    Args:
        lines: name of an experiment to the x and y values of each of its seeds; one without any is left out.
        ylabel: quantity and unit.
        xlabel: quantity and unit.
    """
    figure, axes = figures.panel(figures.WIDTH, figures.HEIGHT)
    for (name, seeds), (dash, colour) in zip(lines.items(), itertools.cycle(figures.LOOKS)):
        if not seeds:
            continue
        for x, y in seeds if len(seeds) > 1 else []:
            axes.plot(x, y, color=colour, linestyle=dash, linewidth=0.7, alpha=0.5)
        figures.plot(axes, name, mean_curve(seeds), dash, colour)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figures.name_lines(figure, axes, len(lines))
    return figures.svg(figure, f"{ylabel} over {xlabel}: {', '.join(lines)}")


def mean_curve(seeds: Sequence[Curve]) -> Curve:
    """The mean over several curves at each x that all of them have; one alone stays as it is."""
    values = [dict(zip(x, y, strict=True)) for x, y in seeds]
    shared = [x for x in values[0] if all(x in found for found in values)]
    return shared, [sum(found[x] for found in values) / len(values) for x in shared]
