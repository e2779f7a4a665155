"""A comparison of experiments as a page of its own, or as a section of the page of one of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator

from toolkit.data import records
from toolkit.report import display, figures
from toolkit.report.compare import Comparison
from toolkit.report.figures import Curve
from toolkit.report.runs import Group, Run


def page(found: Comparison) -> str:
    """The comparison with the curves of its experiments, as HTML."""
    from toolkit.report.html import environment

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
    from toolkit.report.html import curve

    read = {name: [records.epochs(run.folder) for run in group.runs] for name, group in zip(names, groups, strict=True)}
    keys = dict.fromkeys(key for histories in read.values() for rows in histories for row in rows for key in row if "/" in key)
    drawn = []
    for key in keys:
        lines = {name: [line for rows in histories if (line := curve(rows, key))[0]] for name, histories in read.items()}
        several = " Thin lines are single seeds." if any(len(found) > 1 for found in lines.values()) else ""
        drawn.append((f"{key} by epoch.{several}", overlaid(lines, display.label(key.partition("/")[2]))))
    return drawn


@rc_context(figures.STYLE)
def overlaid(lines: Mapping[str, Sequence[Curve]], ylabel: str, xlabel: str = "epoch") -> str:
    """Curves of several experiments, a colour each; of several seeds, their mean, with each of them thin behind it.

    Args:
        lines: name of an experiment to the x and y values of each of its seeds; one without any is left out.
        ylabel: quantity and unit.
        xlabel: quantity and unit.
    """
    figure, axes = figures.panel(figures.WIDTH, figures.HEIGHT)
    for (name, seeds), colour in zip(lines.items(), itertools.cycle(figures.SERIES)):
        if not seeds:
            continue
        for x, y in seeds if len(seeds) > 1 else []:
            axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.5)
        x, y = mean_curve(seeds)
        axes.plot(x, y, color=colour, label=name, linewidth=1.8, marker="o", markersize=4 if len(x) < 15 else 0)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figures.svg(figure, f"{ylabel} over {xlabel}: {', '.join(lines)}")


def mean_curve(seeds: Sequence[Curve]) -> Curve:
    """The mean over several curves at each x that all of them have; one alone stays as it is."""
    values = [dict(zip(x, y, strict=True)) for x, y in seeds]
    shared = [x for x in values[0] if all(x in found for found in values)]
    return shared, [sum(found[x] for found in values) / len(values) for x in shared]
