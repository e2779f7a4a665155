"""What `utils/recipe.sh` makes of a recipe's options, and what it tells of those that make no sense."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = """#!/usr/bin/env bash
# A recipe of three stages.
. "$(dirname "$0")/../../../utils/recipe.sh"
stage 1 fetch    toolkit fetch    bells --corpus "$corpus" --data "$data"
stage 2 prepare  toolkit prepare  bells --data "$data" --config "$config"
stage 4 train    toolkit train    --config "$config" --data "$data" --exp "$exp" "${overrides[@]}"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe whose `toolkit` prints the words that it is called with."""
    shutil.copytree(ROOT / "utils", tmp_path / "utils")
    programs = {"egs/bells/ring/run.sh": RUN, "tools/install.sh": "#!/bin/sh\n", ".venv/bin/toolkit": '#!/bin/sh\necho "$@"\n'}
    for name, text in programs.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "my bells").mkdir()
    return tmp_path


def run(recipe: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([recipe / "egs/bells/ring/run.sh", *words], cwd=recipe, capture_output=True, text=True)


def test_the_mini_corpus_unless_told_otherwise(recipe: Path) -> None:
    assert run(recipe, "--train.epochs", "2").stdout.splitlines() == [
        "fetch bells --corpus mini --data ../data/mini",
        "prepare bells --data ../data/mini --config conf/mini.yaml",
        "train --config conf/mini.yaml --data ../data/mini --exp exp/mini_epochs-2 --train.epochs 2",
    ]


def test_other_data_are_prepared_too(recipe: Path) -> None:
    """Else the manifest would be missed by the stages that follow, and `prepare` would have nothing to do."""
    words = ["--data.train", "bells/44100/train", "--train.epochs", "2", "--nj", "3"]
    prepared = run(recipe, "--stage", "prepare", "--stop-stage", "prepare", *words).stdout
    assert prepared == "prepare bells --data ../data/mini --config conf/mini.yaml --data.train bells/44100/train --nj 3\n"


def test_options_of_one_name_of_two_blocks_are_two_experiments(recipe: Path) -> None:
    """Named alike, the second would be trained in the folder of the first."""
    options = ("--model.encoder.kernel_size", "--model.separator.kernel_size")
    lines = [run(recipe, "--stage", "train", option, "8").stdout for option in options]
    assert ["exp/mini_encoder.kernel_size-8" in lines[0], "exp/mini_separator.kernel_size-8" in lines[1]] == [True, True]


def test_a_real_corpus_is_seen_from_where_one_stands(recipe: Path) -> None:
    done = run(recipe, "--corpus", "my bells", "--stage", "train", "--tag", "loud", "--ngpu", "4")
    assert done.stdout == "train --config conf/paper.yaml --data ../data/my bells --exp exp/loud --ngpu 4\n"
    for option in ("--stop-stage", "--stop_stage"):
        fetched = run(recipe, "--corpus", "my bells", option, "1").stdout
        assert fetched == f"fetch bells --corpus {recipe / 'my bells'} --data ../data/my bells\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--stage train --stop-stage fetch", "expected --stop-stage to be --stage or a later one, found 1 before 4"),
        ("--stage sing", "no stage is called 'sing'"),
        ("--epochs 2", "no option --epochs"),
        ("--tag", "--tag needs a value"),
        ("--tag first/try", "--tag: expected a plain name, found 'first/try'"),  # the tables show what lies in exp/ itself
        ("--tag ..", "--tag: expected a plain name, found '..'"),
        ("mini", "expected an option, found 'mini'"),
    ],
)
def test_a_mistake_is_told_in_a_line(words: str, told: str, recipe: Path) -> None:
    done = run(recipe, *words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"run.sh: {told}. Next: ./run.sh --help\n"
