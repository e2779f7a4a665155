"""`toolkit pack`: a trained experiment as one folder that can be given away."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit import __version__, files
from toolkit.infer.opened import PACKED_BY, opened
from toolkit.infer.use import Usable
from toolkit.log import UserError
from toolkit.report import display
from toolkit.report.runs import FULL, Run
from toolkit.report.sources import metrics_table
from toolkit.report.table import Table
from toolkit.tasks.experiment import COMPRESSED

KEPT = ("config.yaml", "run.json")
WEIGHTS = ("model.safetensors", COMPRESSED)  # in the order in which they are looked for
CARD = "MODEL_CARD.md"


def pack(exp: Path, out: Path) -> Path:
    """Put weights, configuration, scores and a model card of an experiment into one folder.

    `toolkit.load` and the verbs that use a model take the folder as they take the experiment. There is nothing in it that could
    be executed: safetensors, YAML, JSON and Markdown.

    Args:
        exp: a trained experiment.
        out: the folder to make.

    Returns:
        `out`.

    Raises:
        UserError: the experiment is not trained, its weights do not fit its configuration, or `out` is there already.
    """
    if out.exists():
        raise UserError(f"{out} exists already. Next: give -o another name, or remove it")
    run = Run.read(exp)
    trained = opened(exp)  # what cannot be opened here is not given away
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".pack-") as temporary:
        made = Path(temporary) / "pack"
        (made / "scores").mkdir(parents=True)
        weights = COMPRESSED if (exp / COMPRESSED).is_file() else "model.safetensors"
        for name in (*KEPT, weights, *trained.kept):
            shutil.copyfile(exp / name, made / name)
        files.write_json(made / "run.json", {**run.info, PACKED_BY: __version__})
        for split, summary in run.summaries.items():
            files.write_json(made / "scores" / f"{split}.summary.json", summary)
        files.write_text(made / CARD, card(run, trained, out.name))
        os.rename(made, out)
    return out


def card(run: Run, trained: Usable, name: str) -> str:
    """What a stranger has to know of a model in a folder of that name, in Markdown."""
    info, task = run.info, trained.task.config.task
    use = trained.use
    size = f", {info['parameters']:,} parameters" if "parameters" in info else ""
    model = f"{type(trained.task.model).__name__}{size}"
    parts = [
        f"# {info.get('recipe', run.tag)}, {run.tag}",
        f"A model of the task `{task}`, trained by Reprise's recipe `{info.get('recipe')}` with `{run.description}`.",
        _list({"Gives": use.gives, "Takes": use.hears, "Model": model}),
        "## Use",
        *([f"```\ntoolkit {use.command.format(name)}\n```"] if use.command else []),
        f'```python\nimport toolkit\n\nmodel = toolkit.load("{name}")\n{use.python}\n```',
        "Opening this folder executes nothing of it and unpickles nothing.",
        "## Data",
        _list(
            {
                "Corpus": ", ".join(corpora(info)),
                "Edition": info.get("edition"),
                **_splits(info),
                "Licence of the data": _licence(info),
            }
        ),
        "## Scores",
        *_scores(run),
        "## How it was made",
        f"```\ncd egs/{info.get('recipe')}\n{info.get('command')}\n```",
        _list(
            {
                "Commit": info.get("commit"),
                "Configuration hash (without the seed)": info.get("config_hash"),
                "Seed": info.get("seed"),
                "Training": f"{display.duration(info.get('train_seconds'))}, {info.get('epochs')} epochs",
                "Device": info.get("device"),
                "torch": info.get("torch"),
                "Packed by Reprise": __version__,
                "Finished": info.get("finished"),
            }
        ),
        "`config.yaml` is the whole configuration, `run.json` the record of the run.",
    ]
    return "\n\n".join(parts) + "\n"


def _scores(run: Run) -> list[str]:
    if not run.summaries:
        return ["Not scored."]
    parts = []
    for split, summary in run.summaries.items():
        edition = run.edition(split)
        remark = "" if edition == FULL else "; not comparable with published figures"
        items = f"{summary['items']} item{'s' * (summary['items'] != 1)} of " if "items" in summary else ""
        rows = f", {summary['rows']:,} rows" if summary.get("rows") else ""
        parts.append(f"{items}{summary['data']}{rows}, edition of the data: {edition}{remark}.")
        parts.append(_figures(summary).markdown().rstrip())
    return parts


def _figures(summary: dict[str, Any]) -> Table:
    """Every figure; where something else was measured in the model's place (`untrained/…`), a column for each of these."""
    metrics = summary["metrics"]
    systems = list(dict.fromkeys(display.variant(metric)[0] for metric in metrics))
    if not any(systems):
        return metrics_table(summary)
    rows = []
    for stem in dict.fromkeys(display.variant(metric)[1] for metric in metrics):
        found = (metrics.get(f"{system}/{stem}" if system else stem) for system in systems)
        rows.append([display.label(stem), *(display.number(value, stem) for value in found)])
    names = [system or "trained" for system in systems]
    return Table(["Metric", *names], rows, numeric=names)


def corpora(info: dict[str, Any]) -> list[str]:
    """Names of the corpora that a run's data are from: what their manifests are named by, else what its recipe is."""
    recipe = str(info.get("recipe", "")).partition("/")[0]
    words = [str(name).partition("/")[0] for name in info.get("data", {}).values()]
    known = [word if word.isidentifier() and find_spec(f"toolkit.corpora.{word}") else recipe for word in words]
    return list(dict.fromkeys(known or [recipe]))


def _splits(info: dict[str, Any]) -> dict[str, Any]:
    names = {"train": "Trained on", "valid": "Chosen by", "test": "Tested on"}
    return {names[split]: name for split, name in info.get("data", {}).items() if split in names}


def _licence(info: dict[str, Any]) -> str:
    """What the modules of the corpora say of it."""
    if info.get("edition") == "mini":
        return "none needed: synthetic material that the recipe made itself"
    told = {name: _told_by(name) for name in corpora(info)}
    return "; ".join(told.values() if len(told) == 1 else (f"{name}: {licence}" for name, licence in told.items()))


def _told_by(corpus: str) -> str:
    try:
        return str(import_module(f"toolkit.corpora.{corpus}").LICENCE)
    except (ImportError, AttributeError):
        return "not known"


def _list(facts: dict[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value not in (None, ""))
