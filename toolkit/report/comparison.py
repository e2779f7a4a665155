"""Several experiments of a recipe side by side: how their configurations and their figures differ, and whether by chance."""

from __future__ import annotations

import re
from typing import Any

from toolkit import config
from toolkit.log import UserError
from toolkit.report import display
from toolkit.report.compare_items import Significance, same_ground
from toolkit.report.runs import FULL, Group, Run
from toolkit.report.sources import ALL, base, source
from toolkit.report.table import NOTHING, Table
from toolkit.report.tables import measured

SEED = re.compile(r"_seed-[^_]+")  # what `run.sh --train.seed N` adds to a tag


class Comparison:
    """What is said of several experiments.

    Attributes:
        groups: the experiments, of several seeds of one configuration taken together; the others are held against the first.
        split: whose scores are compared.
        names: of the groups, as their columns are headed.
        sections: heading and table.
        notes: how to read them.
        warning: what else has to be known of them; may be empty.
    """

    def __init__(self, runs: list[Run], split: str) -> None:
        """Hold `runs` against the first of them.

        Raises:
            UserError: fewer than two runs, one that is not trained or scored, runs of different recipes or of one name.
        """
        _check(runs, split)
        self.groups, self.split = gathered(runs, split), split
        self.names = _names(self.groups)
        significance = Significance(self.groups, self.names, _shown(self.groups))
        first = self.groups[0]
        against = f"exp/{self.names[0]}" + (f" (seeds {first.seeds})" if len(first.runs) > 1 else "")
        self.sections = [
            ("What differs in the configuration", differences(self.groups, self.names)),
            (f"Figures, in brackets the difference to {against}", outcomes(self.groups, self.names, significance)),
        ]
        if significance.table is not None:
            self.sections.append((f"Differences to {against} over the same items", significance.table))
        self.notes, self.warning = significance.notes, _warning(self.groups)

    @property
    def remarks(self) -> list[str]:
        """Notes and warning, a line each."""
        return [*self.notes, *[self.warning] * bool(self.warning)]


def gathered(runs: list[Run], split: str) -> list[Group]:
    """Runs that differ in their seed alone, measured on the same data, taken together, in the order of the first of each.

    Where all are of one configuration there is nothing else to compare, and where a seed is there twice it is not the seed
    that they differ in: then each stands by itself.
    """
    members: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        key = (run.info.get("config_hash", run.tag), run.summaries[split]["data"], run.edition(split))
        members.setdefault(key, []).append(run)
    groups = []
    for (_, data, edition), found in members.items():
        seeds = [run.info.get("seed") for run in found]
        together = len(members) > 1 and len(set(seeds)) == len(seeds)
        for part in [sorted(found, key=lambda run: run.info.get("seed") or 0)] if together else [[run] for run in found]:
            groups.append(Group(part, split, data, edition))
    return groups if len(members) > 1 else sorted(groups, key=lambda group: runs.index(group.first))


def differences(groups: list[Group], names: list[str]) -> Table:
    """The keys of the resolved configurations that are not the same everywhere, an experiment a column."""
    trees = [[_flat(config.read(run.folder / "config.yaml")) for run in group.runs] for group in groups]

    def of(members: list[dict[str, Any]], key: str) -> str:
        return ", ".join(dict.fromkeys(str(tree.get(key, NOTHING)) for tree in members))

    keys = dict.fromkeys(key for members in trees for tree in members for key in tree)
    rows = [[key, *cells] for key in keys if len(set(cells := [of(members, key) for members in trees])) > 1]
    return Table(["Key", *names], rows or [["nothing", *[NOTHING] * len(groups)]])


def outcomes(groups: list[Group], names: list[str], significance: Significance) -> Table:
    """Metrics, sizes and times, an experiment a column; differences only between figures of the same test data and edition.

    Of single sources there are the figures of the first metric. Of several seeds there is the mean and the deviation.
    """
    rows = [[display.label(metric), *_figures(groups, metric, significance)] for metric in _shown(groups)]
    summaries = [group.first.summaries[group.split] for group in groups]
    facts = {
        "Items": [str(summary.get("items", NOTHING)) for summary in summaries],
        "Rows": [f"{summary['rows']:,}" if summary.get("rows") else NOTHING for summary in summaries],
        "Parameters": [display.count(group.first.info.get("parameters")) for group in groups],
        "Training time": [display.duration(group.average("train_seconds")) for group in groups],
        "Epochs": [group.collected("epochs") for group in groups],
        "Seed": [group.seeds for group in groups],
        "Device": [group.collected("device") for group in groups],
        "Test data": [group.data for group in groups],
        "Edition": [group.edition for group in groups],
        "Commit": [group.collected("commit") for group in groups],
    }
    if len(set(facts["Edition"])) == 1:  # said once, below the table
        del facts["Edition"]
    if set(facts["Rows"]) == {NOTHING}:  # no item is a table
        del facts["Rows"]
    rows += [[name, *cells] for name, cells in facts.items()]
    return Table(["", *names], rows, numeric=names)


def _shown(groups: list[Group]) -> list[str]:
    metrics = list(dict.fromkeys(metric for group in groups for metric in group.metrics))
    return [metric for metric in metrics if source(metric) == ALL or base(metric) == base(metrics[0])]


def _figures(groups: list[Group], metric: str, significance: Significance) -> list[str]:
    first = groups[0].mean(metric)
    shown = []
    for group in groups:
        value = group.mean(metric)
        cell = measured(group, metric)
        if group is not groups[0] and first is not None and value is not None and same_ground(groups[0], group):
            cell += f" ({display.signed(value - first, metric)}{significance.mark(group, metric)})"
        shown.append(cell)
    return shown


def _warning(groups: list[Group]) -> str:
    if not all(same_ground(groups[0], group) for group in groups):
        return (
            "Not all were measured on the same data: a figure without a difference beside it cannot be held against the first."
        )
    edition = groups[0].edition
    return (
        ""
        if edition == FULL
        else f"All were measured on the edition `{edition}` of the data: not comparable with published figures."
    )


def _check(runs: list[Run], split: str) -> None:
    if len(runs) < 2:
        raise UserError("expected at least two experiments. Next: toolkit compare exp/A exp/B")
    for run in runs:
        if split not in run.summaries:
            raise UserError(
                f"{run.folder}: no scores of the split {split}. Next: toolkit score --exp {run.folder} --split {split}"
            )
    recipes = sorted({str(run.info.get("recipe")) for run in runs})
    if len(recipes) > 1:
        raise UserError(f"expected experiments of one recipe, found {' and '.join(recipes)}. Next: choose those of one recipe")
    tags = [run.tag for run in runs]
    if len(set(tags)) < len(tags):
        raise UserError(f"expected experiments of different names, found {', '.join(tags)}. Next: name each once")


def _names(groups: list[Group]) -> list[str]:
    """The tag of each; of several seeds, what their tags have in common."""
    names = []
    for group in groups:
        stems = {SEED.sub("", run.tag) for run in group.runs} if len(group.runs) > 1 else {group.first.tag}
        names.append(stems.pop() if len(stems) == 1 else ", ".join(run.tag for run in group.runs))
    if len(set(names)) == len(names):
        return names
    return [", ".join(run.tag for run in group.runs) for group in groups]


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Keys as an override would name them: `init_args` left out, a class under the name of its slot."""
    if not isinstance(node, dict):
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, value in node.items():
        place = prefix if key in ("class_path", "init_args") else f"{prefix}.{key}".lstrip(".")
        if key == "class_path":
            flat[place] = str(value).rpartition(".")[2]
        elif value is not None or key != "init_args":
            flat |= _flat(value, place)
    return flat
