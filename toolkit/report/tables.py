"""Tables of figures, the paper's beside ours: one metric on one test set each, by source where sources have figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.report import display
from toolkit.report.claims import Results
from toolkit.report.paper import OF_A_SET, Row
from toolkit.report.runs import Group, Run
from toolkit.report.sources import ALL, columns, headings, identity, in_order, plain, source, tag_lines
from toolkit.report.table import NOTHING, Table

NOT_RUN = "not run"
NOT_FOUND = "not found"
BELOW = "below"  # in the column `Ours` of a table by source: our figures have a line of their own
OVER_SEEDS = ["Best seed", "Median seed"]
MADE_WITH = ["Data", "Seeds", "Parameters (paper)", "Parameters (ours)", "Training", "Device", "Experiment"]
MADE_WITH += ["Config hash", "Commit"]
NUMERIC = ("Paper", "Ours", "Difference", "Parameters (paper)", "Parameters (ours)", "Training", "Parameters")


def short_table(results: Results, data: str, metric: str, run: Run | None = None, citations: Sequence[str] = ()) -> Table:
    """One metric (its id without source) on one test set, as a terminal and a page show it.

    Args:
        results: the recipe's.
        data: name of the test data.
        metric: its id.
        run: its row is marked.
        citations: where the paper's figures were read; a figure's number among them stands behind it.
    """
    rows: list[list[str]] = []
    marked: list[int] = []
    if names := _sources(results, data, metric):
        for line in _by_source(results, data, metric, names, citations):
            _mark(marked, rows, line.found, run)
            seeds = line.found.seeds if line.found is not None else ""
            rows.append([line.system, line.origin, *line.figures, line.ours, seeds])
        shown = headings(names)
        return Table(["System", "From", *shown, "Ours", "Seeds"], rows, shown, marked)
    for row in _rows(results, data, metric):
        found = results.reproduction(row)
        _mark(marked, rows, found, run)
        seeds = found.seeds if found is not None else ""
        figure = published(row) + _references([row], citations)
        rows.append([row.system, figure, ours(row, found), difference(row, found), seeds, row.group])
    for swap in results.further(data, metric):
        _mark(marked, rows, swap, run)
        rows.append([swap.first.description, NOTHING, measured(swap, metric), "", swap.seeds, f"exp/{swap.first.tag}"])
    return Table(["System", "Paper", "Ours", "Difference", "Seeds", "From"], rows, NUMERIC, marked)


def full_table(results: Results, data: str, metric: str, citations: list[str]) -> Table:
    """The same with everything that a figure of ours was made with; `citations` say where the paper's figures were read."""
    rows: list[list[str]] = []
    if names := _sources(results, data, metric):
        for line in _by_source(results, data, metric, names, citations):
            rows.append([line.system, line.origin, *line.figures, line.ours, *_made_with(line.found, line.parameters)])
        shown = headings(names)
        table = Table(["System", "From", *shown, "Ours", *MADE_WITH], rows, [*shown, *NUMERIC])
        return table.without_empty(MADE_WITH)
    for row in _rows(results, data, metric):
        found = results.reproduction(row)
        figures = [published(row) + _references([row], citations), ours(row, found), difference(row, found)]
        made_with = _made_with(found, display.count(row.parameters))
        rows.append([row.system, row.group, *figures, *_over_seeds(found, row.metric), *made_with])
    for swap in results.further(data, metric):
        figures = [NOTHING, measured(swap, metric), "", *_over_seeds(swap, metric)]
        rows.append([f"`{swap.first.description}`", f"exp/{swap.first.tag}", *figures, *_made_with(swap, NOTHING)])
    table = Table(["System", "From", "Paper", "Ours", "Difference", *OVER_SEEDS, *MADE_WITH], rows, NUMERIC)
    return table.without_empty([*OVER_SEEDS, *MADE_WITH])


def other_table(results: Results, groups: list[Group], run: Run | None = None) -> Table:
    """Experiments beside no published figure, in all metrics that the paper reports, of untrained models and real audio too.

    Every metric is a column; where sources have figures of their own, they are the columns, and every metric is a line.
    """
    identities = dict.fromkeys(one for group in groups for one in group.metrics)
    reported = list(map(plain, results.paper.metrics))
    if any(metric.startswith(OF_A_SET) for metric in reported):  # in whatever space it is measured
        reported += [metric for metric in map(plain, identities) if metric.startswith(OF_A_SET)]
    candidates = dict.fromkeys(
        prefix + metric for metric in reported for prefix in ("", *(f"{of}/" for of in display.VARIANTS))
    )
    known = [metric for metric in candidates if any(group.values(metric) for group in groups)]
    names = in_order({name for metric in known for name in columns(identities, metric)})
    rows: list[list[str]] = []
    marked: list[int] = []
    for found in groups:
        facts = [found.seeds, _parameters(found), display.duration(found.average("train_seconds"))]
        facts += [found.first.description, found.data]
        tag = f"exp/{found.first.tag}"
        if names:
            for metric in known:
                _mark(marked, rows, found, run)
                shown = [measured(found, identity(metric, name)) for name in names]
                rows.append([tag, display.label(metric), *shown, *facts])
        else:
            _mark(marked, rows, found, run)
            rows.append([tag, *(measured(found, metric) for metric in known), *facts])
    figures = headings(names) or [display.label(metric) for metric in known]
    first = ["Experiment", "Metric"] if names else ["Experiment"]
    columns_shown = [*first, *figures, "Seeds", "Parameters", "Training", "Config", "Test data"]
    return Table(columns_shown, rows, [*figures, *NUMERIC], marked)


def tag_table(results: Results, data: str, metric: str, citations: Sequence[str] = ()) -> Table | None:
    """One metric on one test set, where the paper has figures of many tags: a line a tag, a column a system, ours beside it."""
    names = tag_lines((row.metric for row in results.paper.rows_of(data, metric)), metric)
    if not names:
        return None
    systems: list[str] = []
    figures: list[list[str]] = []
    for system in results.paper.systems(data, metric):
        rows = [row for name, row in system.items() if name != ALL]
        if not rows:
            continue
        systems.append(rows[0].system + _references(rows, citations))
        figures.append([_figure(system.get(name), False) for name in names])
        if (found := _reproduction(results, rows)) is not None:
            systems.append(f"{rows[0].system}, ours")
            figures.append([_compared(system.get(name), found, identity(metric, name)) for name in names])
    return Table(["Tag", *systems], [list(cells) for cells in zip(names, *figures, strict=True)], systems)


def published(row: Row) -> str:
    """The paper's figure."""
    if row.value is None:
        return NOT_FOUND
    figure = display.published(row.value, row.metric)
    return f"{figure} (unverified)" if row.unverified else figure


def ours(row: Row, found: Group | None) -> str:
    """Our figure beside it, of the experiments that stand for the row: the mean over their seeds, or the median like theirs."""
    if found is not None:
        middle = found.median(row.metric) if row.median else None
        return measured(found, row.metric) if middle is None else f"{display.number(middle, row.metric)} (median)"
    return NOTHING if row.config is None else NOT_RUN


def measured(found: Group, metric: str) -> str:
    """Our figure: `6.31`, or over several seeds `6.31 ± 0.02`."""
    shown = display.number(found.mean(metric), metric)
    spread = found.deviation(metric)
    return shown if spread is None else f"{shown} ± {display.number(spread, metric)}"


def difference(row: Row, found: Group | None) -> str:
    """Ours less the paper's; nothing where either lacks."""
    if found is None or row.value is None:
        return ""
    middle = found.median(row.metric) if row.median else None
    own = found.mean(row.metric) if middle is None else middle
    return "" if own is None else display.signed(own - row.value, row.metric)


@dataclass(frozen=True)
class _Line:
    """A line of a table by source.

    Attributes:
        system: its name.
        origin: whose figures they are.
        figures: one a source.
        ours: what the column `Ours` says.
        found: the experiments, if the figures are ours.
        parameters: as published.
    """

    system: str
    origin: str
    figures: list[str]
    ours: str
    found: Group | None
    parameters: str


def _by_source(results: Results, data: str, metric: str, names: list[str], citations: Sequence[str] = ()) -> list[_Line]:
    """A line with the paper's figures of each system, below it one with ours where there are any, then our swaps."""
    lines = []
    for system in results.paper.systems(data, metric):
        rows = list(system.values())
        row, doubtful = rows[0], all(row.unverified for row in rows)
        found = _reproduction(results, rows)
        figures = [_figure(system.get(name), doubtful) for name in names]
        origin = row.group + (", unverified" if doubtful else "") + _references(rows, citations)
        state = BELOW if found is not None else ours(row, None)
        lines.append(_Line(row.system, origin, figures, state, None, display.count(row.parameters)))
        if found is not None:
            figures = [_compared(system.get(name), found, identity(metric, name)) for name in names]
            lines.append(_Line(f"{row.system}, ours", f"exp/{found.first.tag}", figures, "", found, ""))
    for swap in results.further(data, metric):
        figures = [measured(swap, identity(metric, name)) for name in names]
        lines.append(_Line(swap.first.description, f"exp/{swap.first.tag}", figures, "", swap, NOTHING))
    return lines


def _rows(results: Results, data: str, metric: str) -> list[Row]:
    """The rows of a table that is not by source; those of single tags stand in `tag_table`."""
    return [row for row in results.paper.rows_of(data, metric) if source(row.metric) == ALL]


def _reproduction(results: Results, rows: list[Row]) -> Group | None:
    """The experiments that stand for a system, by any of its rows."""
    return next((found for row in rows if (found := results.reproduction(row)) is not None), None)


def _sources(results: Results, data: str, metric: str) -> list[str]:
    """The columns of a table by source; none where the paper has figures of all sources together only."""
    return columns((row.metric for row in results.paper.rows_of(data, metric)), metric)


def _figure(row: Row | None, doubtful: bool) -> str:
    if row is None:
        return ""
    return display.published(row.value, row.metric) if doubtful and row.value is not None else published(row)


def _compared(row: Row | None, found: Group, metric: str) -> str:
    """`6.31 ± 0.02 (+0.03)`."""
    beside = "" if row is None else difference(row, found)
    return measured(found, metric) + (f" ({beside})" if beside else "")


def _made_with(found: Group | None, published: str) -> list[str]:
    """The columns `MADE_WITH`."""
    if found is None:
        return ["", "", published, *[""] * 6]
    tags = ", ".join(f"exp/{run.tag}" for run in found.runs)
    facts = [display.duration(found.average("train_seconds")), found.collected("device"), tags]
    hashes = [found.collected("config_hash"), found.collected("commit")]
    return [found.edition, found.seeds, published, _parameters(found), *facts, *hashes]


def _over_seeds(found: Group | None, metric: str) -> list[str]:
    """The columns `OVER_SEEDS`."""
    best, median = (found.best(metric), found.median(metric)) if found is not None else (None, None)
    best_seed = f"{display.number(best[0], metric)} ({best[1]})" if best else ""
    return [best_seed, "" if median is None else display.number(median, metric)]


def _references(rows: list[Row], citations: Sequence[str]) -> str:
    numbers = dict.fromkeys(citations.index(row.source) + 1 for row in rows if row.source in citations)
    return "".join(f" [{number}]" for number in numbers)


def _parameters(found: Group) -> str:
    parameters = found.average("parameters")
    return display.count(None if parameters is None else round(parameters))


def _mark(marked: list[int], rows: list[list[str]], found: Group | None, run: Run | None) -> None:
    if found is not None and run is not None and any(member.folder == run.folder for member in found.runs):
        marked.append(len(rows))
