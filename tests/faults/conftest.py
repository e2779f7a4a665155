"""A house of all stages at its smallest, what came of it undisturbed, and the table of what was tried on it.

``pytest tests/faults -p no:xdist --faults 20`` tries each fault twenty times as often and writes RESULTS.md beside this file.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from machine import Ended, Machine

from toolkit import audio
from toolkit.corpora import quadrants
from toolkit.data import manifest
from toolkit.data.manifest import Item

VOLATILE = ("recipe", "seconds", "train_seconds", "finished", "began", "loader_wait", "wall_time")
WORDS = {
    "fetch": "fetch nottingham --corpus mini --data data",
    "prepare": "prepare nottingham --corpus mini --data data",
    "features": "features --config tags.yaml --data data --device cpu",
    "train": "train --config points.yaml --data data --exp exp --device cpu",
    "infer": "infer --exp exp --data data --device cpu",
    "score": "score --exp exp --data data --nj 1",
    "report": "report --exp exp --data data",
}
SOUND_WORDS = {  # stages whose corpus is read again
    "train of sounds": WORDS["train"].replace("points", "sounds"),
    "infer of sounds": WORDS["infer"],
    "score of sounds": WORDS["score"],
}
NAMED = "faults/house"  # reports tell the last two folders of their recipe
AFTER = {
    **{"prepare": "fetch", "infer": "train", "score": "infer", "report": "score"},
    **{"infer of sounds": "train of sounds", "score of sounds": "infer of sounds"},
}
SPLITS = ("train", "valid", "test")
POINTS = {
    "task": "hypotheses",
    "data": {split: f"quadrants/{split}" for split in SPLITS} | {"batch_size": 16, "shown": [0.5], "workers": 0},
    "model": {"class_path": "HypothesisMLP", "init_args": {"hypotheses": 3, "hidden": [8], "scored": False}},
    "loss": {"class_path": "MultipleChoice", "init_args": {"pairwise": {"class_path": "EuclideanDistance"}}},
    "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.01}},
    "train": {"epochs": 2, "checkpoint_every": 2},
    "score": {"metrics": ["distortion"]},
}
PAPER = {
    "title": "Faults", "authors": ["A"], "venue": "V", "year": 2023, "protocol": "P",
    "rows": [{"system": "S", "config": "points.yaml", "data": "quadrants/test", "metric": "distortion/mean", "value": 0.2,
              "source": "table"}],
}  # fmt: skip
MEL = {"class_path": "MelSpectrogram", "init_args": {"sample_rate": 8000, "n_fft": 256, "hop_length": 80, "bins": 8}}
TAGS = {
    "task": "tagging",
    "data": {
        **dict.fromkeys(SPLITS, "clips/train"),
        "input": {"class_path": "StoredSpectrum", "init_args": {"frontend": MEL, "sample_rate": 8000, "frame_rate": 100}},
        "batch_size": 1,
    },
    "model": {"class_path": "RandomForest", "init_args": {"tags": 1, "trees": 1, "depth": 1}},
    "loss": "BinaryCrossEntropy",
    "optimizer": "Adam",
}
SOUNDS = {
    "data": {
        **dict.fromkeys(SPLITS, "sounds/train"),
        **{"sample_rate": 8000, "segment": 0.1, "valid_segment": 0.1, "batch_size": 1, "workers": 0, "sources": ["a", "b"]},
    },
    "model": {
        "class_path": "WaveUNet",
        "init_args": {"sources": 2, "audio_channels": 1, "layers": 2, "filters": 3, "kernel_size": 5, "context": False},
    },
    "loss": {"class_path": "FixedOrder", "init_args": {"distance": "l1"}},
    "optimizer": "Adam",
    "train": {"epochs": 2, "checkpoint_every": 1},
    "score": {"metrics": ["si_sdr"]},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", type=int, default=0, metavar="N", help="try each fault N times, and write the table")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = []


@dataclass
class Row:
    """A line of the table: one fault on one stage."""

    fault: str
    stage: str
    tried: int = 0
    survived: int = 0
    lost: str = "nothing"
    told: str = ""

    def count(self, survived: bool) -> None:
        """One more try."""
        self.tried, self.survived = self.tried + 1, self.survived + survived


TABLE = pytest.StashKey[list[Row]]()


@dataclass
class House:
    """A folder with corpora and configurations, and how it stands after each stage, undisturbed; a stage is run when asked for.

    Attributes:
        machine: what runs a stage.
        place: folder of the states.
        ended: how each stage ended.
    """

    machine: Machine
    place: Path
    ended: dict[str, Ended] = field(default_factory=dict)

    def before(self, stage: str, folder: Path) -> Path:
        """A copy of the state in which a stage is to be run."""
        self._reach(stage)
        return Path(shutil.copytree(self._before(stage), folder / NAMED))

    def after(self, stage: str) -> Path:
        """The state after an undisturbed stage."""
        self._reach(stage)
        return self.place / stage / NAMED

    def written(self, stage: str) -> int:
        """Bytes that a stage adds."""
        sizes = [
            sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            for folder in (self.after(stage), self._before(stage))
        ]
        return sizes[0] - sizes[1]

    def _before(self, stage: str) -> Path:
        return self.place / AFTER.get(stage, "furnished") / NAMED

    def _reach(self, stage: str) -> None:
        if stage in self.ended:
            return
        if stage in AFTER:
            self._reach(AFTER[stage])
        made = shutil.copytree(self._before(stage), self.place / stage / NAMED)
        self.ended[stage] = self.run(stage, made)
        assert self.ended[stage].code == 0, self.ended[stage].told

    def run(self, stage: str, folder: Path, *more: str, **faults: Any) -> Ended:
        """Run a stage in a folder of that kind."""
        return self.machine.run(*(WORDS | SOUND_WORDS)[stage].split(), *more, cwd=folder, **faults)


def result(folder: Path) -> dict[str, Any]:
    """All that a folder holds, by path, but times, logs and what only resuming needs."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or any(part in ("logs", "tb", "checkpoints", "lost+found") for part in path.parts):
            continue
        if path.suffix == ".lock" or (".partial" in path.name and path.parent.name == ".stages"):
            continue
        if path.suffix in (".json", ".jsonl"):
            found[name] = [_timeless(json.loads(line)) for line in _documents(path)]
        elif path.suffix == ".wav":  # whose header has a time
            found[name] = hashlib.sha256(audio.read(path).numpy().tobytes()).hexdigest()
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in folder.rglob("checkpoints"):
        found[str(path.relative_to(folder))] = sorted(step.name for step in path.glob("step-*"))
    return found


def _documents(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return text.splitlines() if path.suffix == ".jsonl" else [text]


def _timeless(value: Any) -> Any:
    """A JSON value without what differs between two runs: folders, times, of files too, which make the hashes of folders."""
    if isinstance(value, dict):
        kept = {key: _timeless(inner) for key, inner in value.items() if key not in (*VOLATILE, "stamp", "made_from", "seen")}
        return {key: inner for key, inner in kept.items() if key != "signature"}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    found = Machine(tmp_path_factory.mktemp("told"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def house(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> House:
    built = House(machine, tmp_path_factory.mktemp("house"))
    _furnish(built.place / "furnished" / NAMED)
    return built


def _furnish(folder: Path) -> None:
    sizes = {"train": 96, "valid": 16, "inputs": 3, "samples": 8}
    for name, content in {
        "rule/rule.json": {"rule": "quadrants", "version": 1, "seed": 0, "sizes": sizes},
        "points.yaml": POINTS,
        "tags.yaml": TAGS,
        "sounds.yaml": SOUNDS,
        "paper.yaml": PAPER,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content) if name.endswith("json") else yaml.safe_dump(content))
    items = []
    for number in range(6):
        name = f"c{number}.flac"
        audio.write(folder / "clips" / name, 0.1 * torch.randn(1, 1600, generator=torch.Generator().manual_seed(number)), 8000)
        items.append(Item(f"c{number}", "train", 8000, 1600, 1, {"recording": name}, {"tags": [1]}))
    head = {"root": "../../clips", "name": "clips/train", "edition": "mini", "fingerprint": "f"}
    manifest.write(folder / "data" / "clips" / "train.jsonl", head, items)
    songs = []
    for number in range(6):
        files = {role: f"c{(number + step) % 6}.flac" for step, role in enumerate(("mixture", "a", "b"))}
        songs.append(Item(f"s{number}", "train", 8000, 1600, 1, files))
    manifest.write(folder / "data" / "sounds" / "train.jsonl", head | {"name": "sounds/train"}, songs)
    quadrants.prepare(folder / "rule", folder / "data")


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> int:
    """How often a fault is tried; 0 for once, and only where it is quick."""
    return request.config.getoption("--faults", default=0)


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Callable[..., Row]:
    """A new line of the table."""

    def begin(*values: Any, **more: Any) -> Row:
        made = Row(*values, **more)
        request.config.stash[TABLE].append(made)
        return made

    return begin


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path | None]]:
    """Makes disks of so many bytes that are mounted for a test; None where mounting is not permitted."""
    mounted: list[Path] = []

    def mount(size: int) -> Path | None:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True)
        if done.returncode:
            return None
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    rows, times = session.config.stash[TABLE], session.config.getoption("--faults", default=0)
    if not times or exitstatus or session.config.getoption("keyword"):  # a table of a part, or after a failure, would be none
        return
    cells = [[one.fault, one.stage, str(one.tried), str(one.survived), one.lost, one.told] for one in rows]
    heads = ["Fault", "Stage", "Tried", "Survived", "Lost", "What the user is told"]
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in [heads, *cells]]
    lines.insert(1, "| --- | --- | ---: | ---: | --- | --- |")
    tried, survived = sum(one.tried for one in rows), sum(one.survived for one in rows)
    commit = subprocess.run(["git", "describe", "--always"], cwd=Path(__file__).parent, capture_output=True, text=True)
    text = f"""# Faults

Generated by `pytest tests/faults -p no:xdist --faults {times}`; not to be written by hand.
{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, torch {torch.__version__}, commit
{commit.stdout.strip() or "unknown"}, {datetime.date.today().isoformat()}.

**Tried {tried}, survived {survived}.** Survived: where a run was ended, the same command again gave what an undisturbed run
gives, byte for byte but for times; where something was refused or could not be done, it was told in one line with what to do
next, and nothing that was finished before was lost.

{chr(10).join(lines)}
"""
    (Path(__file__).parent / "RESULTS.md").write_text(text, encoding="utf-8")
