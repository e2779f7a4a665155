"""The documentation says what is there: its commands run, its links lead somewhere, its reference misses no block.

The tutorial is run block by block, in the order of the navigation, in a copy of the repository that all its pages share.
`bash` and `python` blocks run; one whose title is a path is written to that file.  `.fails` must fail with exit code 2.  A
`text` block is what the block before it has printed, `...` standing for anything.  `.not-run` marks what needs more than
everyone has, or minutes: its title says what.  That, and every command in the READMEs, must be understood: verbs, options,
configurations, and what is laid over them.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import warm
import yaml

from toolkit.cli import VERBS, _parser, _with_name
from toolkit.log import UserError
from toolkit.report import blocks
from toolkit.tasks.experiment import Experiment

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "pages"
START, LESSONS, *_ = yaml.safe_load((ROOT / "docs" / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
TUTORIAL = [START["Start"], *LESSONS["Tutorial"]]
READMES = [ROOT / "README.md", *sorted(ROOT.glob("egs/[!T]*/**/README.md"))]
PARSER = _parser()
EXAMPLE = ROOT / "egs/wsj0_mix/conv_tasnet"  # the recipe that README.md means where it says ./run.sh
SHAPE = re.compile(r"\([A-Z…][\w']*,|(?<!\w)\(\)")  # (B, N, L), or () of one value
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


class Copy:
    """A copy of what documented commands need: some of the recipes, and what their `run.sh` calls.

    Attributes:
        root: of the copy.
        here: where the last block's `cd` has led.
    """

    def __init__(self, root: Path, recipes: Iterable[Path]) -> None:
        self.root = self.here = root
        for recipe in recipes:
            shutil.copytree(recipe, root / recipe.relative_to(ROOT), ignore=shutil.ignore_patterns("exp", "data"))
        shutil.copytree(ROOT / "utils", root / "utils")
        self.program("tools/install.sh", "#!/bin/sh\n")  # nothing is to be installed

    def program(self, name: str, text: str) -> None:
        self.write(self.root / name, text)
        (self.root / name).chmod(0o755)

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def bash(self, text: str, where: str, code: int = 0) -> str:
        """What a text prints that is pasted into a shell."""
        environment = os.environ | {"PATH": f"{self.root}/.venv/bin:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        command = ["bash", "-c", f"set -e\n{text}\npwd > '{self.root}/.here'\n"]
        done = subprocess.run(command, cwd=self.here, env=environment, text=True, capture_output=True)
        assert done.returncode == code, f"{where}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        self.here = self.here if code else Path((self.root / ".here").read_text().strip())
        return done.stderr + done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    """One of three recipes, whose `toolkit` is its own."""
    found = Copy(tmp_path / "reprise", [ROOT / "egs" / name for name in ("synthetic/rmcl", "wsj0_mix/conv_tasnet", "TEMPLATE")])
    shutil.copytree(ROOT / "toolkit", found.root / "toolkit")
    for name in ("toolkit", "python"):
        found.program(f".venv/bin/{name}", warm.client(name, tmp_path / "socket"))
    with warm.served(found.root, tmp_path / "socket"):
        yield found


@pytest.fixture(scope="module")
def noting(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """One of all recipes, whose `toolkit` only notes where it was called with which words."""
    copy = Copy(tmp_path_factory.mktemp("docs") / "reprise", [path.parent for path in ROOT.glob("egs/*/*/run.sh")])
    note = f"{{ printf '%s\\037' \"$PWD\" \"$@\"; printf '\\036'; }} >> '{copy.root}/calls'"
    copy.program(".venv/bin/toolkit", f"#!/bin/sh\n{note}\n")
    for page in READMES:
        (copy.root / page.parent.relative_to(ROOT)).mkdir(exist_ok=True)
    copy.program("tools/test.sh", "#!/bin/sh\n")
    return copy


@pytest.mark.recipe
def test_the_tutorial_does_what_it_says(copy: Copy) -> None:
    for name in TUTORIAL:
        copy.here, told = copy.root, ""
        for block in blocks_of(PAGES / name):
            where = f"{name}:{block.line}"
            if "not-run" in block.marks:
                continue
            if block.title:
                copy.write(copy.here / block.title, block.text)
            elif block.language == "text":
                assert_told(block.text, told, where)
            elif block.language == "python":
                told = copy.bash(shlex.join(["python", "-c", block.text]), where)
            else:
                told = copy.bash(block.text, where, 2 if "fails" in block.marks else 0)


def assert_told(expected: str, told: str, where: str) -> None:
    """Lines in one piece, in which ``...`` stands for anything, a line of it for any lines."""
    pattern = re.escape(expected).replace(re.escape("...\n"), r"(.*\n)*?").replace(re.escape("..."), ".*")
    assert re.search(f"^{pattern}", told, re.MULTILINE), f"{where}: expected\n{expected}\nfound\n{told}"


@pytest.mark.parametrize("page", sorted(PAGES.rglob("*.md")), ids=lambda path: path.stem)
def test_what_is_not_run_is_understood(page: Path, noting: Copy) -> None:
    moves: list[str] = []
    for block in blocks_of(page):
        where = f"{page.name}:{block.line}"
        assert block.language, f"{where}: a block without a language is not run"
        if block.language == "bash" and "not-run" in block.marks:
            assert block.title, f"{where}: not run, and it does not say why"
            noting.here = noting.root
            assert_understood("\n".join([*moves, block.text]), noting, where)
        elif block.language == "bash":
            moves += re.findall(r"^cd .*", block.text, re.MULTILINE)


@pytest.mark.parametrize("page", READMES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_commands_of_readmes_are_understood(page: Path, noting: Copy) -> None:
    for block in blocks_of(page):
        if block.language == "python":
            compile(block.text, str(page), "exec")
        command = re.match(r"(\$ )?(?P<program>for|\S*run\.sh|toolkit)(?=\s)", block.text)
        if block.language or not command:
            continue
        folders = [folder for folder in (page.parent, EXAMPLE, ROOT) if (folder / command["program"]).is_file()]
        start = folders[0] if folders else EXAMPLE if page.parent == ROOT else page.parent
        noting.here = noting.root / start.relative_to(ROOT)
        where = f"{page.relative_to(ROOT)}:{block.line}"
        if command[1]:  # a mistake, with what is answered
            first, _, answer = block.text.removeprefix("$ ").partition("\n")
            with pytest.raises(UserError) as told:
                assert_understood(first, noting, where)
            assert str(told.value).rpartition("conf/")[2] in answer
        else:
            assert_understood(block.text, noting, where)


def assert_understood(text: str, copy: Copy, where: str) -> None:
    """`run.sh` takes its options, and all that it calls is a verb with its own, on configurations that are there."""
    calls = copy.root / "calls"
    calls.write_text("")
    copy.bash(text, where)
    noted = [call.split("\037")[:-1] for call in calls.read_text().split("\036")[:-1]]
    assert noted, f"{where}: no command"
    overrides: dict[tuple[Any, ...], list[str]] = {}  # by configuration and keys: of many values one is enough
    for folder, *words in noted:
        arguments, rest = PARSER.parse_known_args(_with_name(words))
        assert VERBS[arguments.verb].free or not rest, f"{where}: {rest}"
        if config := getattr(arguments, "config", None):
            named = [Path(folder, config), *ROOT.glob(f"egs/*/*/{config}")]  # a corpus's page may mean any of its recipes
            found = next(filter(Path.is_file, named), None)
            assert found, f"{where}: {config}"
            if rest and arguments.verb in ("train", "summary", "sweep"):
                overrides[(found, *rest[::2])] = rest
    for (config, *_), rest in overrides.items():
        Experiment.read(config, rest)


def test_the_reference_knows_what_fits_each_slot() -> None:
    pytest.importorskip("griffe")
    sys.path.insert(0, str(ROOT / "docs"))
    import reference

    for slot in blocks.SLOTS:
        listed = re.findall(r"^  (\w+)  ", blocks.table(slot), re.MULTILINE)
        assert not set(listed) - {one.name for one in reference.fitting(slot)}, slot
        for block in reference.fitting(slot):
            line = [block, *reference._ancestors(block)]
            told = [one.docstring.value for base in line for one in (base, *base.members.values()) if one.docstring]
            assert any(SHAPE.search(text) for text in told), f"{block.path}: no shapes"
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
