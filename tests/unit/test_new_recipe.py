"""`utils/new_recipe.sh` begins a recipe that can be read by everything that reads recipes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from toolkit import config
from toolkit.report.paper import Paper

ROOT = Path(__file__).resolve().parents[2]
TITLE = "SuDoRM-RF on WSJ0-mix (Tzinis et al. 2020)."
ODD = r'"Odd | names": C:\n & \1 (Luo & Mesgarani 2019).'  # what means something to a shell, to sed and to YAML


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "utils", tmp_path / "utils")
    shutil.copytree(ROOT / "egs" / "TEMPLATE", tmp_path / "egs" / "TEMPLATE")
    (tmp_path / "toolkit" / "corpora").mkdir(parents=True)
    (tmp_path / "toolkit" / "corpora" / "wsj0_mix.py").touch()
    return tmp_path


def new_recipe(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([place / "utils" / "new_recipe.sh", *words], capture_output=True, text=True)


@pytest.mark.parametrize("title", [TITLE, ODD])
def test_it_begins_a_recipe(title: str, place: Path) -> None:
    assert new_recipe(place, "wsj0_mix", "sudo_rm_rf", title).returncode == 0
    recipe = place / "egs" / "wsj0_mix" / "sudo_rm_rf"
    script = (recipe / "run.sh").read_text()
    assert f"# {title}" in script
    assert "toolkit fetch    wsj0_mix" in script
    assert (recipe / "run.sh").stat().st_mode & 0o111
    mini = config.read(recipe / "conf" / "mini.yaml")
    assert (mini["train"]["epochs"], mini["data"]["workers"]) == (4, 0)
    assert Paper.read(recipe / "paper.yaml").title == title
    assert (recipe / "README.md").read_text().startswith(f"# {title}\n")


def test_it_refuses_what_is_there_and_what_is_unknown(place: Path) -> None:
    assert new_recipe(place, "wsj0_mix", "again", TITLE).returncode == 0
    assert "is there already" in new_recipe(place, "wsj0_mix", "again", TITLE).stderr
    unknown = new_recipe(place, "wsj1_mix", "x", TITLE)
    assert unknown.returncode == 2
    assert "no corpus is called 'wsj1_mix'; known: wsj0_mix" in unknown.stderr


@pytest.mark.parametrize("name", ["sudo/rm_rf", "SuDoRM-RF", "my recipe"])
def test_a_name_is_a_folder_s_name_in_small_letters(name: str, place: Path) -> None:
    refused = new_recipe(place, "wsj0_mix", name, TITLE)
    assert (refused.returncode, refused.stderr) == (2, f"new_recipe.sh: expected NAME of a-z, 0-9 and _, found '{name}'\n")
    assert not (place / "egs/wsj0_mix").exists()
