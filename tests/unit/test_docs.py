"""The documentation says what is there: its commands are understood, its links lead somewhere, its reference misses no block.

In pages, `.not-run` marks a block that needs what not everyone has; its title says what.
"""

import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from toolkit.cli import VERBS, _parser
from toolkit.report import blocks

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "pages"
FENCE = re.compile(r"^```+ ?(?P<info>[^`\n]*)\n(?P<text>.*?)^```+$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page: the language, what it is marked as, its title, the line that it begins at."""

    language: str
    marks: list[str]
    title: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        info = match["info"]
        title = re.search(r'title="([^"]*)"', info)
        words = re.sub(r'title="[^"]*"', "", info).strip("{ }").replace(".", " ", 1 if info.startswith("{") else 0).split()
        marks = [word.lstrip(".") for word in words[1:]]
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(words[0] if words else "", marks, title[1] if title else "", match["text"], line))
    return found


@pytest.mark.parametrize("page", sorted(PAGES.rglob("*.md")), ids=lambda path: path.stem)
def test_commands_are_understood(page: Path) -> None:
    for block in blocks_of(page):
        assert block.language, f"{page.name}:{block.line}: a block without a language"
        if "not-run" in block.marks:
            assert block.title, f"{page.name}:{block.line}: not run, and it does not say why"
        if block.language == "bash":
            for command in re.sub(r"\\\n", " ", block.text).splitlines():
                assert_understood(shlex.split(command, comments=True), f"{page.name}:{block.line}")


def assert_understood(words: list[str], where: str) -> None:
    if words[:1] == ["toolkit"]:
        arguments, rest = _parser().parse_known_args(words[1:])
        assert VERBS[arguments.verb].free or not rest, f"{where}: {rest}"
    elif words and words[0].endswith("run.sh"):
        library = (ROOT / "utils" / "recipe.sh").read_text(encoding="utf-8")
        for word in words[1:]:
            if word.startswith("--") and "." not in word:
                assert f"{word})" in library or f"{word} " in library, f"{where}: {word}"


def test_the_reference_knows_what_fits_each_slot() -> None:
    pytest.importorskip("griffe")
    sys.path.insert(0, str(ROOT / "docs"))
    import reference

    for slot in blocks.SLOTS:
        listed = re.findall(r"^  (\w+)  ", blocks.table(slot), re.MULTILINE)
        assert not set(listed) - {one.name for one in reference.fitting(slot)}, slot
    told = "\n".join(reference.pages().values())
    assert all(f"## toolkit {verb}\n" in told for verb in VERBS)
    for name in ("metrics.distortion", "corpora.musdb18", "tasks.separation", "blocks.schedules"):
        assert f"::: toolkit.{name}\n" in told


def test_links_of_readmes_lead_to_their_pages() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    import recipes

    pages = recipes.pages()
    assert len(pages) == 1 + len(list(ROOT.glob("egs/*/*/run.sh"))) + len(list(ROOT.glob("egs/[!T]*/README.md")))
    index = recipes.relink("[x](egs/synthetic/rmcl/RESULTS.md)", "README.md", "results.md")
    assert index == "[x](recipes/synthetic/rmcl.md#results)"
    with pytest.raises(ValueError, match="found nothing"):
        recipes.relink("[x](nowhere.md)", "README.md", "index.md")
    assert "{ #results }" in pages["recipes/synthetic/rmcl.md"]
