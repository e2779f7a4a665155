"""What a paper claims: `paper.yaml`, read and checked."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from toolkit import config, files
from toolkit.log import UserError, suggestion
from toolkit.report import display
from toolkit.report.sources import ALL, MOST_COLUMNS, base, by_metric, column, columns, identity

EVERY = "all"  # in `values`: all sources together
EXAMPLE = "{all: 6.28, drums: 6.86}"
OWN = "this paper"  # the group of a row that names none
OF_A_SET = "frechet_distance@"  # is of all recordings at once: its id needs no aggregation

Record = TypeVar("Record")


@dataclass(frozen=True)
class Row:
    """One published figure.

    Attributes:
        system: as the table that it stands in calls it.
        data: test data, named as the manifest: `wsj0-2mix/8k/min/tt`.
        metric: id with its aggregation, `si_sdr_improvement/mean`, and with its source if the figure is of one source; before
            it `untrained/` or `real/` if the figure is of what a model made before training, or of recordings.
        value: the figure, a share as such where tables show percent; None where it was not found.
        config: path of the config that reproduces it, relative to the recipe; None for a row that only stands for comparison.
        options: command-line overrides that belong to it: `[--data.train, libri2mix/8k/min/train-100]`.
        parameters: trainable parameters as published.
        source: where the figure was read.
        unverified: the figure was not seen at its source.
        note: what else a reader has to know.
        group: whose figure it is.
        median: the figure is a median over the paper's seeds, not their mean or a single run; ours beside it is one too.
    """

    system: str
    data: str
    metric: str
    value: float | None
    config: str | None = None
    options: list[str] = field(default_factory=list)
    parameters: int | None = None
    source: str | None = None
    unverified: bool = False
    note: str | None = None
    group: str = OWN
    median: bool = False


@dataclass(frozen=True)
class Paper:
    """A paper and the rows of its tables, with the rows of those who repeated it.

    In `paper.yaml`, what several rows share is said once: a row with `rows` stands for these, and what else it says holds for
    each of them unless that one says otherwise. `values` in place of `value` stands for several figures of a system: each
    name is what follows `metric` in the figure's id (`all` for nothing), or without `metric` the whole id.

        - data: musdb18/44100/test
          source: "the paper, table 7"
          rows:
            - {system: Net, metric: bsseval_v4_sdr/median_of_medians, values: {all: 6.28, drums: 6.86}}
            - {system: Larger net, values: {si_sdr/mean: 6.1, stoi/mean: 0.95}}

    Attributes:
        title: of the paper.
        authors: in its order.
        venue: where it appeared.
        year: when.
        rows: published figures.
        protocol: how the figures were measured, in a sentence or two.
        arxiv: number at arXiv.
        code: address of the official code.
    """

    title: str
    authors: list[str]
    venue: str
    year: int
    rows: list[Row]
    protocol: str
    arxiv: str | None = None
    code: str | None = None

    @classmethod
    def read(cls, path: Path | str) -> Paper:
        """Read and check a `paper.yaml`.

        Raises:
            UserError: the file is missing or no YAML; a key is unknown, missing or of the wrong type; a row has no source.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"no such file: {path}. Next: give --paper the recipe's paper.yaml")
        try:
            tree = yaml.safe_load(files.read_text(path, "save it as UTF-8"))
        except yaml.YAMLError as error:
            raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
        rows = tree.get("rows") if isinstance(tree, dict) else None
        read = _record(cls, {**tree, "rows": _listed(rows, str(path), f"{path}, row ", {})}, str(path))
        if not all(map(str.strip, read.authors or [""])):
            raise UserError(f"{path}: authors: expected at least one name, and none empty, found {read.authors}")
        return read

    @property
    def headline(self) -> Row:
        """The first row that a config reproduces by what it trained; the very first if there is none."""
        own = (row for row in self.rows if row.config is not None and not display.variant(row.metric)[0])
        return next(own, self.rows[0])

    @property
    def citation(self) -> str:
        """`Luo & Mesgarani 2019`: who and when, as a text would say it."""
        names = [author.split()[-1] for author in self.authors]
        shown = names[0] if len(names) == 1 else " & ".join(names) if len(names) == 2 else f"{names[0]} et al."
        return f"{shown} {self.year}"

    @property
    def tables(self) -> list[tuple[str, list[str]]]:
        """(test data, ids of the columns) of each table: every metric has columns of its own, and so has every source.

        What is measured on the same data is one table; where that had more than `MOST_COLUMNS` columns, each metric is one.
        """
        found: list[tuple[str, list[str]]] = []
        for data in dict.fromkeys(row.data for row in self.rows):
            identities = [column(row.metric) for row in self.rows if row.data == data]
            metrics = dict.fromkeys(map(base, identities))
            together = [identity(metric, name) for metric in metrics for name in columns(identities, metric) or [ALL]]
            found += [(data, one) for one in ([together] if len(together) <= MOST_COLUMNS else by_metric(together))]
        return found

    @property
    def citations(self) -> list[str]:
        """Where its figures were read, in order of appearance: what the numbers in square brackets stand for."""
        return list(dict.fromkeys(row.source for row in self.rows if row.source is not None))

    @property
    def metrics(self) -> list[str]:
        """The metrics of all rows, without their sources, in order of appearance."""
        return list(dict.fromkeys(base(row.metric) for row in self.rows))

    def rows_of(self, data: str, identities: list[str]) -> list[Row]:
        """The rows of a table, given the ids of its columns."""
        return [row for row in self.rows if row.data == data and column(row.metric) in identities]

    def systems(self, data: str, identities: list[str]) -> list[dict[str, Row]]:
        """The same, those of one system together: id of the column to row."""
        found: list[tuple[Any, dict[str, Row]]] = []
        for row in self.rows_of(data, identities):
            key, place = (row.system, row.group, row.config, row.options), column(row.metric)
            own = next((rows for other, rows in found if other == key and place not in rows), None)
            if own is None:
                found.append((key, {place: row}))
            else:
                own[place] = row
        return [rows for _, rows in found]


def _listed(entries: Any, where: str, numbered: str, shared: dict[str, Any]) -> list[Row]:
    """The rows of a list, given what holds for all of them; `numbered` is what an error says before an entry's number."""
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{where}: expected `rows`, a list with at least one row")
    return [row for number, entry in enumerate(entries, 1) for row in _rows(entry, f"{numbered}{number}", shared)]


def _rows(entry: Any, where: str, shared: dict[str, Any]) -> list[Row]:
    """The rows that an entry stands for: itself, those in its `rows`, or one for each of its `values`."""
    if not isinstance(entry, dict):
        return [_row(entry, where)]
    said = {**shared, **entry}
    if "rows" in said:
        return _listed(said.pop("rows"), where, f"{where}.", said)
    if "values" not in said:
        return [_row(said, where)]
    values = said.pop("values")
    if not isinstance(values, dict) or not values or "value" in said:
        raise UserError(f"{where}: values: expected figures by what follows `metric`, such as {EXAMPLE}, and no `value`")
    figures = sorted(values.items(), key=lambda figure: figure[0] != EVERY)  # the mean over the sources is a table's headline
    return [_row({**said, "metric": _id(said.get("metric"), str(name)), "value": value}, where) for name, value in figures]


def _id(metric: Any, name: str) -> str:
    """The id that begins with `metric`, where that was said, and goes on with a name in `values`."""
    if metric is None:
        return name
    return str(metric) if name == EVERY else identity(str(metric), name)


def _row(tree: Any, where: str) -> Row:
    row = _record(Row, tree, where)
    if (row.source is None) != row.unverified:
        found = "both" if row.source is not None else "neither"
        raise UserError(f"{where} ({row.system}): expected either `source:` or `unverified: true`, found {found}")
    if row.value is not None and not math.isfinite(row.value):
        raise UserError(f"{where} ({row.system}): value: expected a finite figure, found {row.value}")
    if row.value is None and not row.unverified:
        raise UserError(f"{where} ({row.system}): expected a figure where a source is named, found none")
    if display.metric(row.metric).scale != 1 and row.value is not None and abs(row.value) > 1:
        raise UserError(f"{where} ({row.system}): value: expected a share, such as 0.961 for 96.1 %, found {row.value}")
    if "/" not in row.metric and not row.metric.startswith(OF_A_SET):
        raise UserError(f"{where} ({row.system}): metric: expected an id such as {row.metric}/mean, found {row.metric!r}")
    try:
        config.parse_overrides(row.options)
    except UserError as error:
        raise UserError(f"{where} ({row.system}): options: {error}") from error
    return row


def _record(cls: type[Record], tree: Any, where: str) -> Record:
    """Fill a dataclass from plain values."""
    if not isinstance(tree, dict):
        raise UserError(f"{where}: expected keys and values, found {tree!r}")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key, value in tree.items():
        if key not in fields:
            raise UserError(f"{where}: unknown key {key!r}{suggestion(str(key), fields)}")
        if not _fits(value, hints[key]):
            raise UserError(f"{where}: {key}: expected {_name(hints[key])}, found {value!r}")
    for name, entry in fields.items():
        needed = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if needed and name not in tree:
            raise UserError(f"{where}: the key {name!r} is missing")
    return cls(**tree)


def _fits(value: Any, hint: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_fits(value, choice) for choice in typing.get_args(hint))
    if typing.get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(element, typing.get_args(hint)[0]) for element in value)
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
