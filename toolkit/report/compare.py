"""`toolkit compare`: experiments of a recipe side by side, as text, as Markdown or as a page."""

from __future__ import annotations

from pathlib import Path

from toolkit import files
from toolkit.report.compare_page import page
from toolkit.report.comparison import Comparison
from toolkit.report.runs import Run


def compare(exps: list[Path], split: str = "test", out: Path | None = None) -> str:
    """Hold experiments against the first of them; those that differ in their seed alone are held as one.

    Args:
        exps: folders of experiments of one recipe, at least two.
        split: whose scores are compared.
        out: also write the comparison here: as Markdown where the name ends in `.md`, else as an HTML page with their curves.

    Returns:
        The tables as plain text.

    Raises:
        UserError: fewer than two experiments, one that is not trained or scored, experiments of different recipes.
    """
    found = Comparison([Run.read(exp) for exp in exps], split)
    if out is not None and out.suffix == ".md":
        parts = [f"## {title}\n\n{table.markdown().rstrip()}" for title, table in found.sections]
        files.write_text(out, "\n\n".join([*parts, *found.remarks]) + "\n")
    elif out is not None:
        files.write_text(out, page(found))
    return "\n".join([*(f"{title}\n\n{table.text()}" for title, table in found.sections), *found.remarks])
