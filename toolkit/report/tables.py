"""Tables of figures, the paper's and ours: a line a system, ours below the paper's, a column a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.report import display
from toolkit.report.claims import Results, stands_for
from toolkit.report.paper import OF_A_SET, Row
from toolkit.report.runs import Group, Run
from toolkit.report.sources import base, columns, headings, identity, in_order, labels, plain, tag_lines
from toolkit.report.table import NOTHING, Table

NOT_RUN = "not run"
NOT_FOUND = "not found"
UNVERIFIED = " (unverified)"
BELOW = "below"  # in the column `Ours`: our figures have a line of their own
RUNS, FURTHER = "Runs on full corpora", "Further experiments on full corpora"
NUMERIC = ("Parameters", "Training")


def title(data: str, identities: list[str]) -> str:
    """What a table of these columns is called: by its test data, of a single metric by that too."""
    metrics = list(dict.fromkeys(map(base, identities)))
    return f"{display.label(metrics[0])} on {data}" if len(metrics) == 1 else data


def remark(identities: list[str]) -> str:
    """Which metrics stand in it, by their ids without source: ``Metric `si_sdr/mean`.``"""
    metrics = list(dict.fromkeys(map(base, identities)))
    return f"Metric{'s' * (len(metrics) > 1)} {', '.join(f'`{metric}`' for metric in metrics)}."


def paper_table(
    results: Results, data: str, identities: list[str], citations: Sequence[str] = (), run: Run | None = None
) -> Table:
    """Published figures on one test set, those of ours below, then experiments that stand for no published figure.

    Args:
        results: the recipe's.
        data: name of the test data.
        identities: of the columns.
        citations: where the paper's figures were read; numbers among them stand behind the figures.
        run: its line is marked.
    """
    rows: list[list[str]] = []
    marked: list[int] = []
    lines = _lines(results, data, identities, citations)
    counted = any(line.parameters for line in lines if line.found is None)  # else `runs_table` is enough
    for line in lines:
        _mark(marked, rows, line.found, run)
        rows.append([line.name, line.origin, *line.figures, line.ours, *[line.parameters] * counted])
    shown = labels(identities)
    return Table(["System", "From", *shown, "Ours", *["Parameters"] * counted], rows, [*shown, *NUMERIC], marked)


def seeds_table(results: Results, data: str, identities: list[str]) -> Table | None:
    """The best of several seeds, and their median, in the columns of `paper_table`; None where nothing has several."""
    rows: list[list[str]] = []
    for line in _lines(results, data, identities):
        if (found := line.found) is not None:
            for name, of_seeds in (("best (seed)", _best), ("median", _median)):
                shown = ["" if metric is None else of_seeds(found, metric) for metric in line.metrics]
                rows += [[line.system, name, *shown]] if any(shown) else []
    shown_as = labels(identities)
    return Table(["System", "Of the seeds", *shown_as], rows, shown_as) if rows else None


def runs_table(results: Results, run: Run | None = None) -> Table | None:
    """What our figures beside the paper's were made with, every experiment once; None where nothing was run.

    Args:
        results: the recipe's.
        run: its line is marked.
    """
    made: dict[tuple[str, ...], tuple[Group, list[str], list[str]]] = {}
    for data, identities in results.paper.tables:
        for line in _lines(results, data, identities):
            if (found := line.found) is not None:
                tags = tuple(f"exp/{member.tag}" for member in found.runs)
                _, systems, tested = made.setdefault(tags, (found, [], []))
                systems.append(line.system)
                tested.append(data)
    rows: list[list[str]] = []
    marked: list[int] = []
    for tags, (found, systems, tested) in made.items():
        _mark(marked, rows, found, run)
        names = ["; ".join(dict.fromkeys(systems)), ", ".join(dict.fromkeys(tested)), ", ".join(tags)]
        facts = [found.seeds, _parameters(found), display.duration(found.average("train_seconds"))]
        rows.append([*names, *facts, *(found.collected(key) for key in ("device", "config_hash", "commit"))])
    names = ["System", "Test data", "Experiment", "Seeds", "Parameters", "Training", "Device", "Config hash", "Commit"]
    return Table(names, rows, NUMERIC, marked) if rows else None


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
    names = tag_lines((row.metric for row in results.paper.rows if row.data == data), metric)
    if not names:
        return None
    identities = [identity(metric, name) for name in names]
    systems: list[str] = []
    figures: list[list[str]] = []
    for system in results.paper.systems(data, identities):
        rows = list(system.values())
        systems.append(rows[0].system + _references(rows, citations))
        figures.append(["" if (row := system.get(one)) is None else published(row) for one in identities])
        for found in _reproductions(results, system):
            systems.append(f"{rows[0].system}, ours")
            figures.append([_compared(system.get(one), found, one) for one in identities])
    return Table(["Tag", *systems], [list(cells) for cells in zip(names, *figures, strict=True)], systems)


def published(row: Row) -> str:
    """The paper's figure."""
    if row.value is None:
        return NOT_FOUND
    figure = display.published(row.value, row.metric)
    return figure + UNVERIFIED if row.unverified else figure


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
    """Ours less the paper's; nothing where either is missing."""
    if found is None or row.value is None:
        return ""
    middle = found.median(row.metric) if row.median else None
    own = found.mean(row.metric) if middle is None else middle
    return "" if own is None else display.signed(own - row.value, row.metric)


@dataclass(frozen=True)
class _Line:
    """A line of a table.

    Attributes:
        name: what it begins with.
        system: whose figures they are, or what they are to be held against.
        origin: from whom they are, or of which seeds.
        figures: one a column.
        ours: what the column `Ours` says.
        parameters: how many.
        found: the experiments, if the figures are ours.
        metrics: ids of these figures, None where a column has none.
    """

    name: str
    system: str
    origin: str
    figures: list[str]
    ours: str
    parameters: str
    found: Group | None = None
    metrics: Sequence[str | None] = ()


def _lines(results: Results, data: str, identities: list[str], citations: Sequence[str] = ()) -> list[_Line]:
    """A line with the paper's figures of each system, below it one with ours where there are any, then our swaps."""
    lines: list[_Line] = []
    systems = results.paper.systems(data, identities)
    for system in systems:
        row = next(iter(system.values()))
        standing = _reproductions(results, system)
        lines.append(_published(system, identities, BELOW if standing else ours(row, None), citations))
        for found in standing:
            claimed = {one for other in systems for one, claim in other.items() if stands_for(found, claim)}
            if any(line.found is found for line in lines):
                claimed |= set(identities)  # what no system claims stands in the first line of these experiments
            metrics = [system[one].metric if one in system else None if one in claimed else one for one in identities]
            figures = [_compared(system.get(one), found, metric) for one, metric in zip(identities, metrics, strict=True)]
            told = (f"{row.system}, ours", row.system, _seeds(found))
            lines.append(_Line(*told, figures, "", _parameters(found), found, metrics))
    for swap in results.further(data, identities):
        told = (swap.first.description, swap.first.description, f"exp/{swap.first.tag}, {_seeds(swap)}")
        figures = [_compared(None, swap, one) for one in identities]
        lines.append(_Line(*told, figures, "", _parameters(swap), swap, identities))
    return lines


def _published(system: dict[str, Row], identities: list[str], state: str, citations: Sequence[str]) -> _Line:
    """The paper's figures of a system; what holds for all of them, that they are unverified or their source, is said once."""
    rows = list(system.values())
    known = [row for row in rows if row.value is not None]
    doubtful = bool(known) and all(row.unverified for row in known)
    same = len({row.source for row in known}) == 1
    figures = []
    for one in identities:
        row = system.get(one)
        figure = "" if row is None else published(row)
        if row is not None and doubtful:
            figure = figure.removesuffix(UNVERIFIED)
        figures.append(figure + (_references([row], citations) if row is not None and not same else ""))
    origin = rows[0].group + (", unverified" if doubtful else "") + (_references(known, citations) if same else "")
    parameters = next((row.parameters for row in rows if row.parameters is not None), None)
    shown = "" if parameters is None else display.count(parameters)
    return _Line(rows[0].system, rows[0].system, origin, figures, state, shown)


def _compared(row: Row | None, found: Group, metric: str | None) -> str:
    """Our figure with the difference to the paper's: `6.31 ± 0.02 (+0.03)`."""
    if metric is None or not found.values(metric):
        return "" if row is None else NOT_RUN
    if row is None:
        return measured(found, metric)
    beside = difference(row, found)
    return ours(row, found) + (f" ({beside})" if beside else "")


def _reproductions(results: Results, system: dict[str, Row]) -> list[Group]:
    """The experiments that stand for a system: of one configuration, unless that changed between them."""
    standing: list[Group] = []
    for row in system.values():
        found = results.reproduction(row)
        if found is not None and not any(found is other for other in standing):
            standing.append(found)
    return standing


def _best(found: Group, metric: str) -> str:
    best = found.best(metric)
    return "" if best is None else f"{display.number(best[0], metric)} ({best[1]})"


def _median(found: Group, metric: str) -> str:
    median = found.median(metric)
    return "" if median is None else display.number(median, metric)


def _seeds(found: Group) -> str:
    return f"seed{'s' * (len(found.runs) > 1)} {found.seeds}"


def _references(rows: list[Row], citations: Sequence[str]) -> str:
    numbers = dict.fromkeys(citations.index(row.source) + 1 for row in rows if row.source in citations)
    return "".join(f" [{number}]" for number in numbers)


def _parameters(found: Group) -> str:
    parameters = found.average("parameters")
    return display.count(None if parameters is None else round(parameters))


def _mark(marked: list[int], rows: list[list[str]], found: Group | None, run: Run | None) -> None:
    if found is not None and run is not None and any(member.folder == run.folder for member in found.runs):
        marked.append(len(rows))
