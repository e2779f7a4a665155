"""The house as it is drawn: imports go downward, recipes hold no code and no copies."""

import ast
import hashlib
import subprocess
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STOREYS = [
    {"audio", "config", "files", "log", "progress", "stages", "dsp", "metrics", "launch"},
    {"data", "blocks"},
    {"corpora", "models", "losses"},
    {"tasks"},
    {"prepare", "features", "train", "infer", "score", "report", "sweep"},
    {"cli", "__main__"},
]
STOREY_OF = {name: number for number, names in enumerate(STOREYS) for name in names}
SOURCES = sorted(
    path for path in (ROOT / "toolkit").rglob("*.py") if path.parent != ROOT / "toolkit" or path.stem != "__init__"
)
CORPORA = sorted(path for path in (ROOT / "toolkit/corpora").glob("*.py") if not path.stem.startswith("_"))
RECIPES = sorted(path.parent for path in ROOT.glob("egs/*/*/run.sh"))


def storey(path: Path) -> int:
    return STOREY_OF[path.relative_to(ROOT / "toolkit").parts[0].removesuffix(".py")]


def imports(path: Path) -> set[str]:
    """Parts of the toolkit that a file asks for."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("toolkit.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward(path: Path) -> None:
    upward = {name for name in imports(path) if STOREY_OF[name] > storey(path)}
    assert not upward


def test_no_reference_package_is_imported_by_the_toolkit() -> None:
    forbidden = {
        "asteroid",
        "mir_eval",
        "museval",
        "pystoi",
        "pyloudnorm",
        "sklearn",
        "librosa",
        "pesto",
        "openunmix",
        "demucs",
        "pytest",
    }
    for path in SOURCES:
        names = {node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
        names |= {a.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import) for a in node.names}
        allowed = {"sklearn"} if path.stem in ("random_forest", "dependence") else set()  # told so where it is absent
        assert not {name.split(".")[0] for name in names} & forbidden - allowed, path


@pytest.mark.parametrize("path", CORPORA, ids=lambda path: path.stem)
def test_a_corpus_is_told_of_and_can_be_made(path: Path) -> None:
    module = import_module(f"toolkit.corpora.{path.stem}")
    for name in ("fetch", "verify", "options_for", "prepare", "make_mini"):
        assert callable(getattr(module, name))
    several = [page.read_text(encoding="utf-8") for page in ROOT.glob("egs/*/README.md")]  # that tell of more than one corpus
    assert (ROOT / "egs" / path.stem / "README.md").is_file() or any(f"corpus `{path.stem}`" in text for text in several)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_recipe_is_data(recipe: Path) -> None:
    for name in ("conf/paper.yaml", "conf/mini.yaml", "paper.yaml", "README.md"):
        assert (recipe / name).is_file(), f"{recipe} lacks {name}"
    assert not list(recipe.glob("*.py"))
    script = (recipe / "run.sh").read_text().splitlines()
    assert len(script) <= 40
    stages = [line.split()[1:3] for line in script if line.startswith("stage ")]
    names = ["fetch", "prepare", "features", "train", "infer", "score", "report"]
    assert stages == [[str(number), name] for number, name in enumerate(names, 1)]


def test_no_file_of_the_recipes_stands_twice() -> None:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "egs"], cwd=ROOT, capture_output=True, text=True)
    same = defaultdict(list)
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.stat().st_size > 0:
            same[hashlib.sha256(path.read_bytes()).hexdigest()].append(name)
    assert not [names for names in same.values() if len(names) > 1]
