"""Reports of pitch: shares in percent, errors in cents with octaves to be seen, recordings, instruments, curves."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from toolkit import audio, files
from toolkit.data import manifest
from toolkit.log import UserError
from toolkit.report import display, pitch_figures, report
from toolkit.report.paper import Paper
from toolkit.report.results import Results, markdown
from toolkit.report.tracked import Track

DATA, RATE, HOP = "urmp/16000/test", 16000, 0.02
OFF = {"sure": 4.0, "octave_up": 1204.0, "between": 60.0}  # cents of each recording's estimates over its annotation
MakeExperiment = Callable[..., Path]
Lines = Callable[[str, str], list[list[str]]]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "egs" / "urmp" / "pesto"
    row = {"data": DATA, "config": "conf/paper.yaml", "source": "table 1", "system": "PESTO"}
    rows = [{**row, "metric": "rpa@50/mean", "value": 0.961}, {**row, "metric": "rpa@50/frames", "value": 0.9}]
    paper = {"title": "PESTO", "authors": ["Ann Riou"], "venue": "ISMIR", "year": 2023, "protocol": "Clean.", "rows": rows}
    files.write_text(folder / "paper.yaml", yaml.safe_dump(paper))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A second of A4 a recording; silence, in which nothing is annotated, before and after."""
    folder, items = tmp_path / "data", []
    for name in OFF:
        audio.write(folder / f"{name}.wav", 0.1 * torch.sin(2 * math.pi * 440 * torch.arange(RATE) / RATE)[None], RATE)
        hertz = [440.0 if 10 <= frame < 90 else 0.0 for frame in range(100)]
        labels = {"instrument": "violin" if name == "sure" else "double_bass", "f0": {"start": 0.0, "step": 0.01, "hz": hertz}}
        items.append(manifest.Item(name, "test", RATE, RATE, 1, {"recording": f"{name}.wav"}, labels))
    manifest.write(folder / f"{DATA}.jsonl", {"name": DATA, "root": "../..", "edition": "full"}, items)
    return folder


@pytest.fixture
def experiment(recipe: Path) -> MakeExperiment:
    """Write what a report is made of."""

    def make(tag: str = "paper", seed: int = 0, gain: float = 0.0) -> Path:
        exp = recipe / "exp" / tag
        run = {"recipe": "urmp/pesto", "config": "conf/paper.yaml", "overrides": [], "seed": seed, "config_hash": "one"}
        files.write_json(exp / "run.json", {**run, "edition": "full", "parameters": 28886})
        files.write_text(exp / "config.yaml", yaml.safe_dump({"task": "pitch"}))
        files.append_jsonl(exp / "metrics.jsonl", {"epoch": 1, "valid/rpa@50": 0.5})
        rows = []
        for name, cents in OFF.items():
            line = {
                "id": name,
                "hop_seconds": HOP,
                "hertz": [440 * 2 ** (cents / 1200)] * 51,
                "confidence": [0.1] * 20 + [0.9] * 31,
            }
            files.append_jsonl(exp / "predictions" / "test" / "index.jsonl", line)
            right = float(abs(cents) < 50)
            rows.append({"id": name, "metrics": {"rpa@50": right, "octave_errors@50": float(cents > 1000)}})
        files.write_text(exp / "scores" / "test.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        figures = {"rpa@50/mean": 1 / 3 + gain, "rpa@50/median": 0.0, "rpa@50/frames": 0.34, "octave_errors@50/mean": 1 / 3}
        summary = {"data": DATA, "edition": "full", "items": 3, "skipped": 0, "metrics": figures}
        files.write_json(exp / "scores" / "test.summary.json", summary)
        return exp

    return make


def test_shares_are_shown_in_percent_beside_the_papers(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment()
    text = markdown(Results.read(recipe / "paper.yaml"), "urmp/pesto")
    assert "| System | From | RPA@50, mean (%) | RPA@50, frames (%) | Ours |" in text
    assert "| PESTO | this paper [1] | 96.1 | 90.0 | below |" in text
    assert "| PESTO, ours | seed 0 | 33.3 (-62.8) | 34.0 (-56.0) |" in text
    page = report(exp, recipe / "paper.yaml").read_text()
    assert re.search(r'class="value">33\.3 <small>%', page)
    assert re.search(r'class="value">96\.1\s*<small>%', page)


def test_a_share_is_not_written_in_percent(recipe: Path) -> None:
    text = (recipe / "paper.yaml").read_text()
    files.write_text(recipe / "paper.yaml", text.replace("0.961", "96.1"))
    with pytest.raises(UserError, match=r"a share, such as 0\.961 for 96\.1 %, found 96\.1"):
        Paper.read(recipe / "paper.yaml")


def test_levels_of_accompaniment_are_columns(recipe: Path, experiment: MakeExperiment) -> None:
    paper = yaml.safe_load((recipe / "paper.yaml").read_text())
    row = {"data": DATA, "config": "conf/paper.yaml", "source": "table 2", "system": "PESTO", "metric": "rpa@50/mean"}
    paper["rows"] = [{**row, "values": {"all": 0.945, "0dB": 0.831, "20dB": 0.942}}]
    files.write_text(recipe / "paper.yaml", yaml.safe_dump(paper))
    exp = experiment()
    summary = files.read_json(exp / "scores" / "test.summary.json")
    summary["metrics"] |= {"rpa@50/mean/20dB": 0.3, "rpa@50/mean/0dB": 0.1}
    files.write_json(exp / "scores" / "test.summary.json", summary)
    text = markdown(Results.read(recipe / "paper.yaml"), "urmp/pesto")
    assert "| System | From | Clean | 20 dB | 0 dB | Ours |" in text
    assert "| PESTO | this paper [1] | 94.5 | 94.2 | 83.1 | below |" in text
    assert "| PESTO, ours | seed 0 | 33.3 (-61.2) | 30.0 (-64.2) | 10.0 (-73.1) |" in text
    assert "*Clean*: without accompaniment" in text
    paper["rows"].append({**row, "metric": "oa/mean", "value": 1})
    files.write_text(recipe / "paper.yaml", yaml.safe_dump(paper))
    beside = markdown(Results.read(recipe / "paper.yaml"), "urmp/pesto")
    assert "| System | From | RPA@50, mean, clean (%) | 20 dB | 0 dB | OA, mean (%) | Ours |" in beside
    assert '<th scope="col" class="number">20 dB</th>' in report(exp, recipe / "paper.yaml").read_text()


def test_three_seeds_have_a_median(recipe: Path, experiment: MakeExperiment) -> None:
    for seed, gain in enumerate((0.0, 0.01, 0.05)):
        exp = experiment(f"seed{seed}", seed, gain)
    text = markdown(Results.read(recipe / "paper.yaml"), "urmp/pesto")
    assert "| PESTO, ours | seeds 0, 1, 2 | 35.3 ± 2.6 (-60.8) |" in text
    assert "| PESTO | best (seed) | 38.3 (2) |" in text
    assert "| PESTO | median | 34.3 |" in text
    page = report(exp, recipe / "paper.yaml").read_text()
    assert "35.3 ± 2.6 over the seeds 0, 1, 2, median 34.3; best 38.3 (seed 2)" in page
    paper = yaml.safe_load((recipe / "paper.yaml").read_text())
    paper["rows"][0]["median"] = True  # so is the paper's figure: median against median
    files.write_text(recipe / "paper.yaml", yaml.safe_dump(paper))
    assert "| 34.3 (median) (-61.8) |" in markdown(Results.read(recipe / "paper.yaml"), "urmp/pesto")


def test_a_page_has_recordings_and_instruments(recipe: Path, data: Path, experiment: MakeExperiment, lines: Lines) -> None:
    page = report(experiment(), recipe / "paper.yaml", "test", data).read_text()
    assert lines(page, "violin") == [["1", "100.0", "0.0"]]
    assert lines(page, "double bass") == [["2", "0.0", "50.0"]]
    assert lines(page, "octave_up") == [["double bass", "1.0", "0.0", "100.0"]]


def test_best_median_and_worst_are_heard_with_both_curves(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment()
    page = report(exp, recipe / "paper.yaml", "test", data).read_text()
    assert page.count("<audio") == 3
    assert page.count('aria-label="Spectrogram with the annotated and the estimated pitch') == 3
    assert "Best: RPA@50 100.0 %" in page
    assert "80 voiced frames, 0 of them beyond 100 cents" in page  # of `sure`; of `octave_up` it is all of them
    assert "80 voiced frames, 80 of them beyond 100 cents" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert report(exp, recipe / "paper.yaml", "test", data).read_text() == page


def test_octave_errors_are_told_and_seen(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    page = report(experiment(), recipe / "paper.yaml", "test", data).read_text()
    assert "Errors of the 240 frames" in page
    assert "66.7 % are off by 50 cents or more, 33.3 % by octaves" in page
    assert "Errors up to 100 cents; 50 cents are shaded; the line is their median, +32.0 cents" in page


def test_errors_are_of_frames_that_both_have_a_pitch() -> None:
    label = {"start": 0.1, "step": 0.1, "hz": [0.0, 100.0, 100.0, 200.0]}
    item = manifest.Item("a", "test", RATE, RATE, 1, {}, {"f0": label})
    stored = {"id": "a", "hop_seconds": 0.1, "hertz": [100.0, 100.0, 100.0, 0.0, 100.0], "confidence": [1.0] * 5}
    track = Track.of(item, stored)
    assert track is not None
    np.testing.assert_allclose(track.errors, [math.nan, 0.0, math.nan, -1200.0], atol=1e-9)
    assert track.begin == 0.0
    assert Track.of(manifest.Item("a", "test", RATE, RATE, 1, {}, {}), stored) is None


def test_a_page_without_the_manifest_says_so(recipe: Path, experiment: MakeExperiment, lines: Lines) -> None:
    page = report(experiment(), recipe / "paper.yaml").read_text()
    assert "--data says in which folder" in page
    assert lines(page, "sure") == [["100.0", "0.0"]]
    assert "By instrument" not in page
    assert "<audio" not in page


def test_a_recording_that_is_gone_is_named(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    (data / "sure.wav").unlink()
    page = report(experiment(), recipe / "paper.yaml", "test", data).read_text()
    assert "the recording of sure was not found" in page
    assert page.count("<audio") == 2


@pytest.mark.parametrize("cents", [[], [0.0, 7.0, -3.0], [1200.0, -2400.0, 5000.0]])
def test_histograms_of_any_errors(cents: list[float]) -> None:
    errors: Any = np.array(cents)
    for draw in (pitch_figures.errors_in_all, pitch_figures.small_errors):
        assert draw(errors).startswith('<svg role="img" aria-label="Histogram')


def test_a_recording_without_any_pitch_can_be_drawn() -> None:
    nothing: tuple[list[float], list[float]] = ([0.0, 0.01], [math.nan, math.nan])
    picture = pitch_figures.tracked(torch.zeros(160), RATE, 0.0, nothing, nothing, [0.0, 0.0])
    assert picture.startswith("<svg")


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        ("rpa@50/mean", "RPA@50, mean (%)"),
        ("rca@25/frames", "RCA@25, frames (%)"),
        ("octave_difference/mean", "Octave difference, mean (octaves)"),
    ],
)
def test_metrics_of_pitch_by_name(identity: str, shown: str) -> None:
    assert display.label(identity) == shown
    assert display.signed(-0.0123, identity) == ("-0.012" if "octave" in identity else "-1.2")


def test_the_best_of_a_metric_may_be_its_smallest() -> None:
    values = [-1.0, 0.5, 2.0]
    assert [max(values, key=lambda value: display.merit(value, name)) for name in ("rpa@50", "lsd", "octave_errors@50")] == [
        2.0,
        2.0,
        -1.0,
    ]
    assert max(values, key=lambda value: display.merit(value, "octave_difference/mean")) == 0.5
