"""The stage `report`: what an experiment came to, beside what the paper claims."""

from __future__ import annotations

from pathlib import Path

from toolkit import files, log
from toolkit.log import UserError

__all__ = ["report"]

logger = log.get(__name__)


def report(exp: Path, paper: Path, split: str = "test", data: Path | None = None, baseline: Path | None = None) -> Path:
    """Write everything there is to see of an experiment.

    `exp/<tag>/report/index.html` is its page, `exp/<tag>/report/table.txt` the paper's table beside ours as the command line
    prints it, `RESULTS.md` beside `paper.yaml` the table of all experiments of the recipe, `exp/index.html` there the same with
    their curves and the ways to their pages.

    Args:
        exp: a scored experiment's folder.
        paper: the recipe's `paper.yaml`.
        split: whose scores are reported.
        data: folder of the manifests; without it the page has no examples.
        baseline: a scored experiment of the same recipe that the page also holds this one against.

    Returns:
        The page.

    Raises:
        UserError: an experiment is not trained or not scored, or `paper.yaml` is not as it should be, or another recipe's.
    """
    from toolkit.data.manifest import Manifest
    from toolkit.report import html, index, results
    from toolkit.report.runs import Run

    run = Run.read(exp)
    if split not in run.summaries:
        raise UserError(f"{exp}: no scores of the split {split}. Next: toolkit score --exp {exp} --split {split}")
    found = results.Results.read(paper, exp)
    own = exp.resolve().parent.parent / "paper.yaml"
    if own.is_file() and not own.samefile(paper):
        raise UserError(f"{paper}: expected the paper of the recipe that {exp} is of, found another. Next: --paper {own}")
    name = run.summaries[split]["data"]
    path = data / f"{name}.jsonl" if data is not None else None
    manifest = Manifest.open(path) if path is not None and path.is_file() else None
    if path is not None and manifest is None:
        logger.warning("no such manifest: %s: the page has no examples. Next: give --data what `prepare` has made", path)
    page = exp / "report" / "index.html"
    files.write_text(page, html.page(found, run, split, manifest, None if baseline is None else Run.read(baseline)))
    files.write_text(exp / "report" / "table.txt", results.terminal(found, run, split))
    results.write_results(found, paper)
    index.write(found, paper.parent)
    return page
