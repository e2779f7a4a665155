"""One page an experiment, whole in itself: figures, curves, examples to hear and see, and how it was made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from toolkit import files
from toolkit.data import records
from toolkit.data.manifest import Manifest
from toolkit.report import compare_page, curves, display, effort, figures
from toolkit.report.claims import Results, headline, lesser, unlisted
from toolkit.report.runs import Group, Run
from toolkit.report.scored import Scored
from toolkit.report.sources import base, plain
from toolkit.report.table import Table
from toolkit.report.tables import (
    FURTHER,
    RUNS,
    other_table,
    paper_table,
    remark,
    runs_table,
    seeds_table,
    tag_table,
    title,
)
from toolkit.report.templates import environment

WARNINGS = 20  # log lines shown, at most
VIEWS = {  # of tasks; the others separate
    "tagging": "toolkit.report.tagging",
    "synthesis": "toolkit.report.synthesis",
    "pitch": "toolkit.report.pitch",
    "language": "toolkit.report.language",
    "hypotheses": "toolkit.report.hypotheses",
    "latent": "toolkit.report.latent",
}
SPLIT_CURVES = {"train": "training", "valid": "validation"}


def page(results: Results, run: Run, split: str, manifest: Manifest | None, baseline: Run | None = None) -> str:
    """The experiment's page.

    Args:
        results: the recipe's paper and experiments.
        run: the experiment, with scores of `split`.
        split: whose scores are shown.
        manifest: of that split, for mixtures and references; without it there are no examples.
        baseline: an experiment that this one is also held against.
    """
    missing: list[str] = []
    summary = run.summaries[split]
    group = results.of_run(run, split)
    first = headline(results, run, split)
    rows = _noted(records.scores(run.folder, split), "scores of single items", f"scores/{split}.jsonl", missing)
    scored = Scored(run, split, group, first.metric, rows, manifest)
    work, pace = effort.work_of(run), effort.pace_of(scored)
    citations = results.paper.citations
    view: Any = import_module(VIEWS.get(run.task or "", "toolkit.report.separation")).view
    context = {
        "paper": results.paper,
        "run": run,
        "group": group,
        "summary": summary,
        "headline": first,
        "over_seeds": _over_seeds(group, first.metric),
        "tables": _tables(results, run, group, first.metric),
        "curves": _curves(_history(run, missing)),
        "view": view(scored, missing),
        "baseline": compare_page.section(run, baseline, split),
        "work": work,
        "pace": pace,
        "citations": citations,
        "facts": _facts(run, group, summary, work, pace),
        "commands": _commands(run, split),
        "config": _text(run.folder / "config.yaml", "resolved configuration", missing),
        "warnings": _warnings(run.folder / "logs"),
        "most_warnings": WARNINGS,
        "missing": missing,
        "left_out": int(manifest.header.get("skipped", 0)) if manifest is not None else 0,
    }
    return environment().get_template("page.html").render(context)


def _over_seeds(group: Group, metric: str) -> str | None:
    spread = group.deviation(metric)
    if spread is None:
        return None
    mean, best = display.number(group.mean(metric), metric), group.best(metric)
    tail = f"; best {display.number(best[0], metric)} (seed {best[1]})" if best else ""
    if (median := group.median(metric)) is not None:
        tail = f", median {display.number(median, metric)}{tail}"
    return f"{mean} ± {display.number(spread, metric)} over the seeds {group.seeds}{tail}"


def _tables(found: Results, run: Run, group: Group, metric: str) -> list[tuple[str, str, Table, bool]]:
    """Title, remark, table, and whether it is shown at once: what the experiment stands in, and its headline metric, is."""
    shown: list[tuple[str, str, Table, bool]] = []
    for heading, members in lesser(found):
        shown.append((heading, "", other_table(found, members, run), group in members))
    citations = found.paper.citations
    tables = [(*key, paper_table(found, *key, citations, run)) for key in found.paper.tables]
    own = [data == group.data and (plain(metric) in map(base, ids) or bool(table.marked)) for data, ids, table in tables]
    first = own.index(True) if any(own) else 0
    for place, (data, ids, table) in enumerate(tables):
        name = title(data, ids)
        shown.append((name, remark(ids), table, own[place] or place == first))
        if (of_seeds := seeds_table(found, data, ids)) is not None:
            shown.append((f"{name}, of several seeds", "", of_seeds, False))
        for one in dict.fromkeys(map(base, ids)):
            if (by_tag := tag_table(found, data, one, citations)) is not None:
                shown.append((f"{display.label(one)} by tag on {data}", remark([one]), by_tag, False))
    if (runs := runs_table(found, run)) is not None:
        shown.append((RUNS, "", runs, bool(runs.marked)))
    if others := unlisted(found):
        shown.append((FURTHER, "", other_table(found, others, run), group in others))
    return shown


def _curves(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(caption, SVG): training and validation of one quantity share a picture; the learning rate has its own."""
    known = curves.keys(rows)
    drawn = []
    for quantity in dict.fromkeys(key.partition("/")[2] for key in known):
        lines = {
            SPLIT_CURVES.get(split, split): line
            for split in dict.fromkeys(key.partition("/")[0] for key in known)
            if (line := curves.curve(rows, f"{split}/{quantity}"))[0]
        }
        if not lines:  # it was never a number
            continue
        own = " A quantity of this task or its loss." if display.metric(quantity).name == quantity != "loss" else ""
        caption = f"{curves.opening(quantity)} by epoch ({' and '.join(lines)}).{own}"
        drawn.append((caption, figures.curves(lines, curves.name(quantity))))
    if len({row.get("lr") for row in rows} - {None}) > 1:
        drawn.append(("Learning rate by epoch.", figures.curves({"learning rate": curves.curve(rows, "lr")}, "learning rate")))
    return drawn


def _facts(
    run: Run, group: Group, summary: dict[str, Any], work: effort.Work | None, pace: effort.Pace | None
) -> list[tuple[str, str]]:
    info = run.info
    trained = info.get("data", {})
    parameters = info.get("parameters")
    facts = {
        "Experiment": f"exp/{run.tag}",
        "Configuration": run.description,
        "Configuration hash (without the seed)": info.get("config_hash"),
        "Seed": info.get("seed"),
        "Seeds run with this configuration": group.seeds,
        "Training data": trained.get("train"),
        "Validation data": trained.get("valid"),
        "Test data": summary["data"],
        "Edition of the data": group.edition,
        "Items scored": summary.get("items"),
        "Rows scored": summary.get("rows") or None,
        "Items skipped": summary.get("skipped"),
        "Trainable parameters": None if parameters is None else f"{parameters:,}",
        "Model as stored": None if info.get("model_mb") is None else f"{info['model_mb']:g} MB",
        "Multiply-adds (recurrences left out)": work,
        "Real-time factor of the stage infer": pace,
        "Epochs": info.get("epochs"),
        "Optimizer steps": info.get("steps"),
        "Training time": None if info.get("train_seconds") is None else display.duration(info["train_seconds"]),
        "Device": info.get("device"),
        "torch": info.get("torch"),
        "Python": info.get("python"),
        "Commit": info.get("commit"),
        "Finished": info.get("finished"),
    }
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def _commands(run: Run, split: str) -> list[str]:
    """What to type to have the same again; the stages after training read all else from the experiment."""
    command = run.info.get("command")
    if command is None:
        return []
    exp = f"exp/{run.tag}"
    found = re.search(r"--data[ =]((?:'[^']*'|\S)+)", command)
    data = f" --data {found[1]}" if found else ""
    later = [f"toolkit {verb} --exp {exp}{data} --split {split}" for verb in ("infer", "score", "report")]
    return [f"cd egs/{run.info.get('recipe', '')}", command, *later]


def _warnings(folder: Path) -> list[str]:
    """`score: skipped ...`: what the stages complained of, each thing once."""
    return list(dict.fromkeys(_complaints(sorted(folder.glob("*.log")))))


def _complaints(logs: Iterable[Path]) -> Iterator[str]:
    for log in logs:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := re.search(r" (?:WARNING|ERROR) [\w.]+: (.*)", line):
                yield f"{log.stem}: {found[1]}"


def _noted(rows: list[dict[str, Any]], what: str, where: str, missing: list[str]) -> list[dict[str, Any]]:
    """The rows; where there is none, that is put down as missing."""
    if not rows:
        missing.append(f"{what}: there is nothing in {where}")
    return rows


def _history(run: Run, missing: list[str]) -> list[dict[str, Any]]:
    """The figures of every epoch; where an experiment trains nothing, that there are none is not told as missing."""
    rows = records.epochs(run.folder)
    place = f"{run.folder.name}/metrics.jsonl"
    return rows if run.info.get("epochs") == 0 else _noted(rows, "curves of the training", place, missing)


def _text(path: Path, what: str, missing: list[str]) -> str:
    if not path.is_file():
        missing.append(f"{what}: no {path.name}")
        return ""
    return files.read_text(path)
