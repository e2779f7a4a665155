"""Sweeps: what is combined, what the experiments are called, that nothing is run in vain and nothing stops the others."""

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from toolkit import cli, files
from toolkit.launch import Job
from toolkit.launch.resources import Resources
from toolkit.log import UserError
from toolkit.sweep import run as sweeping
from toolkit.sweep.axes import combinations
from toolkit.sweep.run import How, sweep

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "egs" / "synthetic" / "rmcl"
CONFIG = RECIPE / "conf" / "mini.yaml"
DPRNN = "{class_path: DPRNN, init_args: {bottleneck: 32}}"


def tags(*grids: str, fixed: Sequence[str] = (), entries: str | None = None) -> list[str]:
    return [found.tag for found in combinations(CONFIG, list(fixed), grids, entries)]


def test_a_grid_is_every_combination_in_order() -> None:
    found = combinations(CONFIG, ["--train.epochs=1"], ["train.seed: [0, 1]", "{optimizer.lr: [1e-3, 0.01]}"])
    assert [c.tag for c in found] == [
        "mini_epochs-1_seed-0_lr-1e-3",
        "mini_epochs-1_seed-0_lr-0.01",
        "mini_epochs-1_seed-1_lr-1e-3",
        "mini_epochs-1_seed-1_lr-0.01",
    ]
    assert found[0].overrides == ["--train.epochs", "1", "--train.seed", "0", "--optimizer.lr", "1e-3"]


def test_a_list_is_each_entry_with_the_grid() -> None:
    entries = f"[{{tag: 'base'}}, {{model.separator: {DPRNN}, optimizer.lr: 1e-4}}]"
    found = combinations(CONFIG, [], ["train.seed: [0, 1]"], entries)
    assert [c.tag for c in found[:2]] == ["base_seed-0", "base_seed-1"]
    assert found[2].overrides == ["--model.separator", DPRNN, "--optimizer.lr", "1e-4", "--train.seed", "0"]


def test_axes_stand_in_a_file_as_one_likes_to_write_them(tmp_path: Path) -> None:
    path = tmp_path / "axes.yaml"
    path.write_text("model.separator:\n- TCN\n- class_path: DPRNN\n  init_args:\n    bottleneck: 32  # channels\n")
    found = combinations(CONFIG, [], [str(path)])
    assert [c.overrides[1] for c in found] == ["TCN", DPRNN]


@pytest.mark.parametrize("key", ["model", "model.hidden", "model.separator.kernel_size"])
@pytest.mark.parametrize("value", ["[64, 64]", DPRNN, "a/b.c", "é", "-3", "'1'"])
def test_experiments_are_called_as_the_recipes_shell_calls_them(value: str, key: str) -> None:
    line = next(line for line in (ROOT / "utils/recipe.sh").read_text().splitlines() if "name=${name}_" in line)
    assignments = line.partition("overrides+=")[2].partition("; ")[2].removesuffix(" ;;")
    script = f"option=--{key} value=$1 name=''; {assignments}; printf %s \"$name\""
    shell = subprocess.run(["bash", "-c", script, "bash", value], capture_output=True, text=True, check=True).stdout
    assert tags(f"{key}: [{value}]") == [f"mini{shell}"]


@pytest.mark.parametrize(
    ("grids", "entries", "told"),
    [
        ([], None, "what is to be varied"),
        (["train.seed: 3"], None, "train.seed: expected a list of values"),
        (["train.seed: []"], None, "train.seed: expected a list of values"),
        (["[0, 1]"], None, "expected keys and values"),
        (["train.seed: [0"], None, "not YAML"),
        (["train.seed: [0]", "train.seed: [1]"], None, "found train.seed twice"),
        (["none.yaml"], None, "no such file: none.yaml"),
        (["train.seed: [0, 0]"], None, "found exp/mini_seed-0 twice"),
        ([f"model.hidden: ['{'x' * 300}']"], None, "longer than a folder's name"),
        ([], "{tag: a}", "expected a list of entries"),
        ([], "[{tag: ../a}]", "expected a tag of letters"),
        ([], "[{tag: ..}]", "expected a tag of letters"),  # the recipe's own folder
    ],
)
def test_axes_of_another_form_are_refused(grids: list[str], entries: str | None, told: str) -> None:
    with pytest.raises(UserError, match=re.escape(told)):
        tags(*grids, entries=entries)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Manifests without content, in the folder of a recipe."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "valid", "test"):
        files.write_text(tmp_path / "data" / "quadrants" / f"{split}.jsonl", "")
    return tmp_path / "data"


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of the jobs of each launch; those of seed 1 fail in training."""
    names = []

    def launch(jobs: Sequence[Job], launcher: str, at_once: int) -> list[int]:
        names.append([job.name for job in jobs])
        for job in jobs:
            files.write_text(job.log, "...\ntoolkit train: no\n")
        return [3 * (job.name == "train-mini_seed-1") for job in jobs]

    monkeypatch.setattr(sweeping.launch, "run", launch)
    monkeypatch.setattr(sweeping, "_compare", lambda scored, out: " ".join(path.name for path in scored))
    return names


def go(
    data: Path, *grids: str, state: Callable[[list[str]], str] = lambda words: "missing", at_once: int = 2
) -> sweeping.Outcome:
    return sweep(CONFIG, data, combinations(CONFIG, [], grids), How(at_once=at_once), state, Path("out.html"))


def test_what_fails_is_told_at_the_end_and_stops_nothing_else(data: Path, launched: list[list[str]]) -> None:
    outcome = go(data, "train.seed: [0, 1, 2]")
    assert launched == [
        ["features-mini_seed-0"],  # the same for all of them
        ["train-mini_seed-0", "train-mini_seed-1", "train-mini_seed-2"],
        ["infer-mini_seed-0", "infer-mini_seed-2"],
        ["score-mini_seed-0", "score-mini_seed-2"],
    ]
    assert outcome.comparison == "mini_seed-0 mini_seed-2"
    with pytest.raises(UserError, match=r"1 of 3 .* exp/mini_seed-1: train failed with exit code 3, .* \(toolkit train: no\)"):
        outcome.check()


def test_what_is_done_is_not_run_again(data: Path, launched: list[list[str]]) -> None:
    outcome = go(
        data, "train.seed: [0, 2]", state=lambda words: "done" if words[0] != "score" or "exp/mini_seed-0" in words else ""
    )
    assert launched == [["score-mini_seed-2"]]
    outcome.check()


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ("train.sed: [0]", "--train.sed 0: .*no option 'sed'; did you mean 'seed'"),
        ("train.seed: [0, one]", "--train.seed one: .*train.seed"),
        ("loss: [MultipleChoice, MultipelChoice]", "found 'MultipelChoice'; did you mean 'MultipleChoice'"),
        ("data.train: [quadrants/none]", "no manifest .*quadrants/none.jsonl"),
    ],
)
def test_a_mistake_in_any_axis_ends_before_anything_is_run(data: Path, launched: list[list[str]], grid: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        go(data, grid)
    assert launched == []
    assert not Path("exp").exists()


def test_experiments_side_by_side_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert How(at_once=3).environment == {"OMP_NUM_THREADS": "2"}
    assert How().environment == How(at_once=3, launcher="slurm").environment == {}


def test_a_cluster_is_given_all_at_once_and_its_processors_are_used(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, list[str]]] = []

    def launch(jobs: Sequence[Job], launcher: str, at_once: int) -> list[int]:
        given.append((at_once, list(jobs[0].words[-2:])))
        return [0] * len(jobs)

    monkeypatch.setattr(sweeping.launch, "run", launch)
    monkeypatch.setattr(sweeping, "_compare", lambda scored, out: "")
    monkeypatch.setattr(sweeping.resources, "read", lambda section: Resources(cpus=5))
    found = combinations(CONFIG, [], ["train.seed: [0, 1, 2]"])
    for how in (How("slurm"), How("slurm", at_once=2, nj=1), How()):
        sweep(CONFIG, data, found, how, lambda words: "missing", Path("out.html"))
    assert [at_once for at_once, _ in given] == [1, 3, 3, 3, 1, 2, 2, 2, 1, 1, 1, 1]
    assert [words for _, words in given[3::4]] == [["--nj", "5"], ["--nj", "1"], ["--split", "test"]]


def test_the_records_of_the_stages_are_asked(data: Path, launched: list[list[str]]) -> None:
    words = ["--config", str(CONFIG), "--data", str(data), "--grid", "train.seed: [0, 2]"]
    cli.main(["sweep", *words])
    assert [names[0] for names in launched] == [f"{name}-mini_seed-0" for name in ("features", "train", "infer", "score")]
    with pytest.raises(SystemExit) as ended:
        cli.main(["sweep", *words, "--grid", "train.epochs: [1, 0]"])
    assert ended.value.code == 2
