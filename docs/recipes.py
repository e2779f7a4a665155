"""Pages of recipes and corpora, made of what stands in `egs/`: READMEs, RESULTS.md and configurations."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted(path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("egs/*/*/run.sh"))
CORPORA = sorted(
    path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("egs/*/README.md") if path.parent.name != "TEMPLATE"
)
RESULTS = "results"  # the anchor of a recipe's tables
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)


def pages() -> dict[str, str]:
    """Address of each page below the site's root, and its Markdown."""
    found = {"recipes/index.md": _index()}
    for recipe in RECIPES:
        found[_page(recipe)] = _recipe(recipe)
    for corpus in CORPORA:
        found[_page(corpus)] = _corpus(corpus)
    return found


def nav() -> list[object]:
    """The entries of the tab `Recipes`: a section a corpus, the corpus's own page first."""
    sections = [{title(corpus): [_page(corpus), *map(_page, _of(corpus))]} for corpus in CORPORA]
    return ["recipes/index.md", *sections]


def section(name: str, heading: str) -> str:
    """The text below a second-level heading of a Markdown file of the repository, without the heading.

    Raises:
        ValueError: the file has no such heading.
    """
    parts = re.split(r"^## (.*)$", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    if heading not in parts[1::2]:
        raise ValueError(f"{name}: expected a heading {heading!r}, found {', '.join(parts[1::2])}")
    return parts[2 * parts[1::2].index(heading) + 2].strip()


def title(folder: str) -> str:
    """The first heading of a folder's README.md."""
    return (ROOT / folder / "README.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def relink(text: str, source: str, page: str) -> str:
    """Links of a file of the repository, as they must be where its text stands on `page`.

    What has a page is linked there; what has none, such as a configuration, is named.

    Args:
        text: Markdown.
        source: the file, below the repository's root; links are relative to it.
        page: the page's address below the site's root.

    Raises:
        ValueError: a link leads nowhere.
    """

    def renew(match: re.Match[str]) -> str:
        mark, label, address, anchor = match.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), address))
        if not (ROOT / path).exists():
            raise ValueError(f"{source}: expected a file or folder behind [{label}]({address}), found nothing")
        found = _page_of(path)
        if found is None:
            return label if label.startswith("`") else f"{label} (`{path}`)"
        where, _, own = found.partition("#")
        anchor = anchor or (f"#{own}" if own else "")
        return f"{mark}[{label}]({posixpath.relpath(where, posixpath.dirname(page))}{anchor})"

    parts = FENCE.split(text)
    return "".join(part if number % 2 else LINK.sub(renew, part) for number, part in enumerate(parts))


def deeper(text: str, by: int = 1) -> str:
    """The same with headings `by` levels lower, code left as it is."""
    parts = FENCE.split(text)
    return "".join(
        part if number % 2 else HEADING.sub(lambda found: f"{'#' * by}{found[1]} {found[2]}", part)
        for number, part in enumerate(parts)
    )


def _page_of(path: str) -> str | None:
    """Where a file or folder of the repository is told of, perhaps with an anchor."""
    folder, name = posixpath.split(path)
    if path == "README.md":
        return "index.md"
    if path in RECIPES or path in CORPORA:
        return _page(path)
    if name == "RESULTS.md" and folder in RECIPES:
        return f"{_page(folder)}#{RESULTS}"
    return _page(folder) if name == "README.md" and (folder in RECIPES or folder in CORPORA) else None


def _page(folder: str) -> str:
    """`egs/musdb18/demucs` to `recipes/musdb18/demucs.md`, `egs/musdb18` to `recipes/musdb18/index.md`."""
    name = folder.removeprefix("egs/")
    return f"recipes/{name}.md" if "/" in name else f"recipes/{name}/index.md"


def _of(corpus: str) -> list[str]:
    return [recipe for recipe in RECIPES if posixpath.dirname(recipe) == corpus]


def _index() -> str:
    parts = [
        "# Recipes",
        "A recipe is a paper on a corpus; its page has the published figures beside ours.",
    ]
    for corpus in CORPORA:
        lines = [f"- [{title(recipe)}]({_page(recipe).removeprefix('recipes/')})" for recipe in _of(corpus)]
        lines = lines or ["- (read by recipes of other folders)"]
        parts += [f"## [{title(corpus)}]({_page(corpus).removeprefix('recipes/')})", "\n".join(lines)]
    return "\n\n".join(parts)


def _recipe(recipe: str) -> str:
    page = _page(recipe)
    parts = [relink((ROOT / recipe / "README.md").read_text(encoding="utf-8"), f"{recipe}/README.md", page)]
    results = ROOT / recipe / "RESULTS.md"
    if results.is_file():
        told = relink(results.read_text(encoding="utf-8"), f"{recipe}/RESULTS.md", page)
        _, _, told = told.partition("\n# ")  # the first line says by what it is generated
        parts.append(f"## Results {{ #{RESULTS} }}\n\n{deeper(told.partition(chr(10))[2].strip())}")
    else:
        parts.append(f"## Results {{ #{RESULTS} }}\n\nThe last stage, `report`, writes them.")
    parts.append("## Configurations\n\nThe lines that a recipe is made of, as they lie in its folder.")
    for path in sorted((ROOT / recipe).glob("conf/*.yaml"), key=lambda path: (path.stem != "paper", path.stem)):
        parts.append(_folded(f"conf/{path.name}", path.read_text(encoding="utf-8")))
    parts.append(_folded("paper.yaml", (ROOT / recipe / "paper.yaml").read_text(encoding="utf-8")))
    return "\n\n".join(parts)


def _folded(name: str, text: str) -> str:
    body = "\n".join(f"    {line}" for line in f"```yaml\n{text.rstrip()}\n```".splitlines())
    return f'??? note "`{name}`"\n\n{body}'


def _corpus(corpus: str) -> str:
    page = _page(corpus)
    text = relink((ROOT / corpus / "README.md").read_text(encoding="utf-8"), f"{corpus}/README.md", page)
    lines = [f"- [{title(recipe)}]({posixpath.basename(recipe)}.md)" for recipe in _of(corpus)]
    return f"{text.rstrip()}\n\n## Recipes of this folder\n\n{chr(10).join(lines)}" if lines else text
