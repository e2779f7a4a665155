"""How fast a synthesizer streams: what is measured, what is written down, and the paper's table beside it."""

import itertools
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml

from toolkit import files
from toolkit.log import UserError
from toolkit.models.base import SynthesisModel
from toolkit.report import report, sources
from toolkit.score import real_time
from toolkit.score.real_time import BLOCKS, WARM_UP, measure

SPECTRAL = {"class_path": "Waveform", "init_args": {"sample_rate": 16000}}
CURVE = {"init_args": {"sample_rate": 16000, "hop_length": 64}}
CONFIG = {
    "task": "synthesis",
    "data": {
        **{split: f"urmp/ddx7/violin/{split}" for split in ("train", "valid", "test")},
        "waveform": SPECTRAL,
        "f0": {"class_path": "AnnotatedPitch", **CURVE},
        "loudness": {"class_path": "Loudness", **CURVE},
        "batch_size": 1,
    },
    "model": {
        "class_path": "Resynthesizer",
        "init_args": {
            "controller": {"class_path": "CausalTCN", "init_args": {"hidden": 4, "blocks": 2}},
            "synthesizer": {"class_path": "FMSynthesizer", "init_args": {"patch": "1stack2"}},
        },
    },
    "loss": {"class_path": "MultiScaleSpectral"},
    "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.001}},
    "train": {"seed": 7},
}
PAPER = {
    "title": "A paper",
    "authors": ["Ann Other"],
    "venue": "A venue",
    "year": 2022,
    "protocol": "As it is measured here.",
    "rows": [
        {
            "system": "FM",
            "config": "conf/paper.yaml",
            "data": "real_time/16000",
            "metric": "real_time_factor/median",
            "values": {"256ms": 0.079, "4ms": 5.01},
            "source": "somewhere",
        }
    ],
}


class Clock(NamedTuple):
    """Time as the models below make it pass: seconds by the clock, of which the processor works a half."""

    now: list[float]

    def perf_counter(self) -> float:
        return self.now[0]

    def process_time(self) -> float:
        return self.now[0] / 2


class Paced(SynthesisModel):
    """Takes a time that is told for each block."""

    sample_rate, hop_length, reads = 16000, 64, frozenset({"f0"})

    def __init__(self, clock: Clock, takes: list[float]) -> None:
        super().__init__()
        self.clock, self.takes, self.heard = clock, itertools.cycle(takes), []

    def forward(self, performance):
        return torch.zeros_like(performance.waveform)

    def step(self, performance, state=None):
        assert not torch.is_grad_enabled()
        assert torch.get_num_threads() == 1
        count = 0 if state is None else int(state["count"])
        assert count == len(self.heard)  # the state is carried along
        self.heard.append(performance.f0.shape)
        self.clock.now[0] += next(self.takes)
        return self(performance), {"count": torch.tensor(count + 1)}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock([0.0])
    monkeypatch.setattr(real_time.time, "perf_counter", found.perf_counter)
    monkeypatch.setattr(real_time.time, "process_time", found.process_time)
    return found


def test_the_factor_is_the_median_blocks(clock: Clock) -> None:
    model = Paced(clock, [0.004, 0.004, 0.1])  # every third block was interrupted
    found = measure(model, 16)
    assert found.wall == pytest.approx(0.25)
    assert found.processor == pytest.approx(0.125)
    assert set(model.heard) == {(1, 4)}
    assert found.blocks == len(model.heard) - WARM_UP


def test_slow_models_are_measured_too(clock: Clock) -> None:
    found = measure(Paced(clock, [2.0]), 256)
    assert found.blocks == real_time.FEWEST
    assert found.wall == pytest.approx(2 / 0.256)


def test_blocks_are_whole_frames(clock: Clock) -> None:
    model = Paced(clock, [0.001])
    model.hop_length = 128
    with pytest.raises(UserError, match="blocks of 4 ms: expected whole frames, found frames of 8 ms"):
        measure(model, 4)


def test_what_cannot_be_streamed_is_told() -> None:
    class Whole(Paced):
        step = SynthesisModel.step

    with pytest.raises(UserError, match="cannot be streamed: Whole needs the whole performance"):
        measure(Whole(Clock([0.0]), [1.0]), 256)


def test_figures_stand_beside_the_papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_time, "WARM_UP", 0)
    monkeypatch.setattr(real_time, "FEWEST", 1)
    monkeypatch.setattr(real_time, "LONGEST", 0.0)
    config, paper, exp = (tmp_path / name for name in ("conf/paper.yaml", "paper.yaml", "exp/real_time"))
    files.write_text(config, yaml.safe_dump(CONFIG))
    files.write_text(paper, yaml.safe_dump(PAPER))
    monkeypatch.chdir(tmp_path)
    real_time.real_time(Path("conf/paper.yaml"), exp, [])
    summary = files.read_json(exp / "scores" / "test.summary.json")
    assert [f"real_time_factor/median/{block}ms" in summary["metrics"] for block in BLOCKS] == [True] * 7
    assert summary["edition"] == files.read_json(exp / "run.json")["edition"] == "full"

    report(exp, paper)
    lines = (tmp_path / "RESULTS.md").read_text().splitlines()
    heading = next(line for line in lines if line.startswith("| System"))
    assert "| 256 ms | 128 ms" not in heading  # the paper has but two of them
    assert "| 256 ms | 4 ms |" in heading
    ours = next(line for line in lines if line.startswith("| FM, ours"))
    assert f"{summary['metrics']['real_time_factor/median/4ms']:.3f} (" in ours
    assert not any("Further experiments" in line for line in lines)


def test_the_records_of_a_training_are_not_written_over(tmp_path: Path) -> None:
    files.write_text(tmp_path / "exp" / "config.yaml", yaml.safe_dump(CONFIG))
    with pytest.raises(UserError, match="expected a folder of its own, found an experiment that is trained"):
        real_time.real_time(tmp_path / "exp" / "config.yaml", tmp_path / "exp", [])


def test_only_synthesizers_are_streamed(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with pytest.raises(UserError, match="expected a model of synthesis, found MaskedSeparator"):
        real_time.real_time(root / "egs/wsj0_mix/conv_tasnet/conf/mini.yaml", tmp_path / "exp", [])


def test_long_blocks_come_first() -> None:
    names = ["4ms", "256ms", "16ms"]
    assert sources.in_order(names) == ["256ms", "16ms", "4ms"]
    assert sources.headings(["256ms", "vocals"]) == ["256 ms", "vocals"]
