"""Several experiments of a recipe side by side: what differs in their configurations, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit import config, files
from toolkit.log import UserError
from toolkit.report import display
from toolkit.report.runs import Run
from toolkit.report.sources import ALL, base, source
from toolkit.report.table import NOTHING, Table


def compare(exps: list[Path], split: str = "test", out: Path | None = None) -> str:
    """Hold experiments against the first of them.

    Args:
        exps: folders of experiments of one recipe, at least two.
        split: whose scores are compared.
        out: also write the comparison here: as Markdown where the name ends in `.md`, else as an HTML page with their curves.

    Returns:
        The tables as plain text.

    Raises:
        UserError: fewer than two experiments, one that is not trained or scored, experiments of different recipes.
    """
    runs = [Run.read(exp) for exp in exps]
    _check(runs, split)
    sections = [
        ("What differs in the configuration", differences(runs)),
        (f"Figures, in brackets the difference to exp/{runs[0].tag}", outcomes(runs, split)),
    ]
    remark = _remark(runs, split)
    if out is not None and out.suffix == ".md":
        files.write_text(
            out, "\n\n".join([*(f"## {title}\n\n{table.markdown().rstrip()}" for title, table in sections), remark]) + "\n"
        )
    elif out is not None:
        files.write_text(out, _page(runs, split, sections, remark))
    return "\n".join([*(f"{title}\n\n{table.text()}" for title, table in sections), remark])


def differences(runs: list[Run]) -> Table:
    """The keys of the resolved configurations that are not the same everywhere, an experiment a column."""
    trees = [_flat(config.read(run.folder / "config.yaml")) for run in runs]
    keys = [
        key
        for key in dict.fromkeys(key for tree in trees for key in tree)
        if len({str(tree.get(key, NOTHING)) for tree in trees}) > 1
    ]
    rows = [[key, *(str(tree.get(key, NOTHING)) for tree in trees)] for key in keys]
    return Table(["Key", *(run.tag for run in runs)], rows or [["nothing", *[NOTHING] * len(runs)]])


def outcomes(runs: list[Run], split: str) -> Table:
    """Metrics, sizes and times, an experiment a column; differences only between figures of the same test data and edition.

    Of single sources there are the figures of the first metric.
    """
    summaries = [run.summaries[split] for run in runs]
    metrics = list(dict.fromkeys(metric for summary in summaries for metric in summary["metrics"]))
    shown = [metric for metric in metrics if source(metric) == ALL or base(metric) == base(metrics[0])]
    rows = [[display.label(metric), *_figures(runs, split, metric)] for metric in shown]
    facts = {
        "Items": [str(summary.get("items", NOTHING)) for summary in summaries],
        "Parameters": [display.count(run.info.get("parameters")) for run in runs],
        "Training time": [display.duration(run.info.get("train_seconds")) for run in runs],
        "Epochs": [str(run.info.get("epochs", NOTHING)) for run in runs],
        "Seed": [str(run.info.get("seed", NOTHING)) for run in runs],
        "Device": [str(run.info.get("device", NOTHING)) for run in runs],
        "Test data": [str(summary.get("data", NOTHING)) for summary in summaries],
        "Edition": [run.edition(split) for run in runs],
        "Commit": [str(run.info.get("commit", NOTHING)) for run in runs],
    }
    if len(set(facts["Edition"])) == 1:  # said once, below the table
        del facts["Edition"]
    rows += [[name, *cells] for name, cells in facts.items()]
    return Table(["", *(run.tag for run in runs)], rows, numeric=[run.tag for run in runs])


def _figures(runs: list[Run], split: str, metric: str) -> list[str]:
    first = runs[0].value(split, metric)
    shown = []
    for run in runs:
        value = run.value(split, metric)
        cell = display.number(value, metric)
        if run is not runs[0] and first is not None and value is not None and _same_ground(runs[0], run, split):
            cell += f" ({display.signed(value - first, metric)})"
        shown.append(cell)
    return shown


def _same_ground(one: Run, other: Run, split: str) -> bool:
    """Whether two runs were measured on the same data."""
    return _ground(one, split) == _ground(other, split)


def _ground(run: Run, split: str) -> tuple[Any, str]:
    return run.summaries[split].get("data"), run.edition(split)


def _remark(runs: list[Run], split: str) -> str:
    grounds = {_ground(run, split) for run in runs}
    if len(grounds) > 1:
        return (
            "Not all were measured on the same data: a figure without a difference beside it cannot be held against the first."
        )
    edition = runs[0].edition(split)
    return (
        ""
        if edition == "full"
        else f"All were measured on the edition `{edition}` of the data: not comparable with published figures."
    )


def _check(runs: list[Run], split: str) -> None:
    if len(runs) < 2:
        raise UserError("compare: expected at least two experiments. Next: toolkit compare exp/A exp/B")
    for run in runs:
        if split not in run.summaries:
            raise UserError(
                f"{run.folder}: no scores of the split {split}. Next: toolkit score --exp {run.folder} --split {split}"
            )
    recipes = sorted({str(run.info.get("recipe")) for run in runs})
    if len(recipes) > 1:
        raise UserError(
            f"compare: expected experiments of one recipe, found {' and '.join(recipes)}. Next: choose those of one recipe"
        )
    tags = [run.tag for run in runs]
    if len(set(tags)) < len(tags):
        raise UserError(f"compare: expected experiments of different names, found {', '.join(tags)}. Next: name each once")


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


def _page(runs: list[Run], split: str, sections: list[tuple[str, Table]], remark: str) -> str:
    from toolkit.report import figures
    from toolkit.report.html import curve, environment

    histories = {run.tag: files.read_jsonl(path) for run in runs if (path := run.folder / "metrics.jsonl").is_file()}
    keys = list(dict.fromkeys(key for rows in histories.values() for row in rows for key in row if "/" in key))
    pictures = []
    for key in keys:
        lines = {tag: line for tag, rows in histories.items() if (line := curve(rows, key))[0]}
        pictures.append((f"{key} by epoch.", figures.curves(lines, display.label(key.partition("/")[2]))))
    context = {"runs": runs, "split": split, "sections": sections, "remark": remark, "pictures": pictures}
    return environment().get_template("compare.html").render(context)
