"""Reports of synthesis: trained beside untrained and real audio, distances of which less is better, before and after."""

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
from toolkit.data import manifest, store
from toolkit.report import display, examples, report
from toolkit.report.claims import Results, headline
from toolkit.report.results import markdown
from toolkit.report.runs import Run
from toolkit.report.sources import base, plain, source

DATA, RATE, HOP = "urmp/ddx7/violin/test", 16000, 160
FAD = "frechet_distance@vggish"
DISTANCES = {"near": 1.0, "middle": 2.0, "far": 3.0}
PLAYED = {"class_path": "toolkit.blocks.AnnotatedPitch", "init_args": {"sample_rate": RATE, "hop_length": HOP}}
LOUDNESS = {"class_path": "toolkit.blocks.Loudness", "init_args": {"sample_rate": RATE, "hop_length": HOP}}
MakeExperiment = Callable[..., Path]
Lines = Callable[[str, str], list[list[str]]]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "egs" / "urmp" / "ddx7"
    row = {"data": DATA, "config": "conf/paper.yaml", "unverified": True}
    rows = [
        {**row, "system": "Recordings", "metric": f"real/{FAD}", "value": 0.3},
        {**row, "system": "6 operators", "metric": FAD, "value": 5.5},
        {**row, "system": "6 operators", "metric": "multi_scale_spectral/mean", "value": None},
    ]
    paper = {"title": "DDX7", "authors": ["Ann Caspe"], "venue": "ISMIR", "year": 2022, "protocol": "Blocks.", "rows": rows}
    files.write_text(folder / "paper.yaml", yaml.safe_dump(paper))
    return folder


def tone(frequency: float, rate: int = RATE) -> torch.Tensor:
    return 0.3 * torch.sin(2 * math.pi * frequency * torch.arange(rate) / rate)[None]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A second of 440 Hz a recording, at 48 kHz, with the curves that it is played with."""
    folder, items = tmp_path / "data", []
    for name in DISTANCES:
        audio.write(folder / f"{name}.wav", tone(440, 48000), 48000)
        labels = {"f0": {"start": 0.0, "step": 0.01, "hz": [440.0] * 100}}
        items.append(manifest.Item(name, "test", 48000, 48000, 1, {"recording": f"{name}.wav"}, labels))
    manifest.write(folder / f"{DATA}.jsonl", {"name": DATA, "root": str(folder), "edition": "full"}, items)
    for feature, value in ((f"annotated_pitch/{RATE}-{HOP}", 440.0), (f"loudness/{RATE}-{HOP}-2048", -20.0)):
        rows = [(name, np.full(100, value, np.float32)) for name in DISTANCES]
        store.write(store.folder_of(folder, feature, DATA), {"feature": feature}, rows)
    return folder


@pytest.fixture
def experiment(recipe: Path) -> MakeExperiment:
    """Write what a report is made of; the untrained model is 10 further away, and far too loud."""

    def make(tag: str = "paper", untrained: bool = True, played: bool = True, seed: int = 0, **stored: Any) -> Path:
        exp = recipe / "exp" / tag
        run = {"recipe": "urmp/ddx7", "config": "conf/paper.yaml", "overrides": [], "seed": seed, "config_hash": "one"}
        files.write_json(exp / "run.json", {**run, "edition": "full", "parameters": 415764})
        curves = {"f0": PLAYED, "loudness": LOUDNESS} if played else {"f0": None, "loudness": None}
        files.write_text(exp / "config.yaml", yaml.safe_dump({"task": "synthesis", "data": curves}))
        files.append_jsonl(exp / "metrics.jsonl", {"epoch": 1, "train/loss": 5.0, "valid/log_spectral_distance": 4.0})
        rows = []
        for name, distance in DISTANCES.items():
            sounds = {"estimate": tone(440), "untrained": 9 * tone(1000)}
            line: dict[str, Any] = {"id": name, "audio": {}, **stored}
            row: dict[str, Any] = {"id": name, "metrics": {"multi_scale_spectral": distance + seed}}
            for kind in ("estimate", "untrained")[: 1 + untrained]:
                line["audio"][kind] = f"{name}/{kind}.wav"
                audio.write(exp / "predictions" / "test" / line["audio"][kind], sounds[kind], RATE, subtype="FLOAT")
            if untrained:
                row["untrained"] = {"multi_scale_spectral": distance + 10}
            files.append_jsonl(exp / "predictions" / "test" / "index.jsonl", line)
            rows.append(row)
        files.write_text(exp / "scores" / "test.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        figures = {"multi_scale_spectral/mean": 2.0 + seed, FAD: 7.0 + seed, f"real/{FAD}": 0.5}
        if untrained:
            figures |= {"untrained/multi_scale_spectral/mean": 12.0, f"untrained/{FAD}": 42.0}
        summary = {"data": DATA, "edition": "full", "items": 3, "skipped": 0, "metrics": figures}
        files.write_json(exp / "scores" / "test.summary.json", summary)
        return exp

    return make


def page_of(exp: Path, recipe: Path, data: Path | None = None) -> str:
    return report(exp, recipe / "paper.yaml", "test", data).read_text()


def test_real_audio_is_a_row_of_the_same_table(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment()
    text = markdown(Results.read(recipe / "paper.yaml"), "urmp/ddx7")
    assert "| System | From | Fréchet distance, vggish | MSS, mean | Ours |" in text
    assert "| Recordings | this paper, unverified | 0.3 |  | below |" in text
    assert "| Recordings, ours | seed 0 | 0.500 (+0.200) |  |" in text
    assert "| 6 operators | this paper, unverified | 5.5 | not found | below |" in text
    assert "| 6 operators, ours | seed 0 | 7.000 (+1.500) | 2.000 |" in text
    results, run = Results.read(recipe / "paper.yaml"), Run.read(exp)
    assert results.paper.headline.system == "6 operators"
    assert headline(results, run, "test").metric == FAD  # although real audio comes first


def test_experiments_on_less_stand_beside_their_untrained_models(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("small")
    summary = files.read_json(exp / "scores" / "test.summary.json")
    mel = {name.replace("vggish", "log_mel"): value for name, value in summary["metrics"].items()}
    files.write_json(exp / "scores" / "test.summary.json", {**summary, "edition": "mini", "metrics": mel})
    line = next(
        line for line in markdown(Results.read(recipe / "paper.yaml"), "").splitlines() if line.startswith("| exp/small")
    )
    assert [cell.strip() for cell in line.split("|")[2:7]] == ["2.000", "12.000", "7.000", "42.000", "0.500"]


def test_the_best_seed_is_the_nearest(recipe: Path, experiment: MakeExperiment) -> None:
    for seed in range(2):
        experiment(f"seed{seed}", seed=seed)
    text = markdown(Results.read(recipe / "paper.yaml"), "urmp/ddx7")
    assert "| 6 operators, ours | seeds 0, 1 | 7.500 ± 0.707 (+2.000) |" in text
    assert "| 6 operators | best (seed) | 7.000 (0) |" in text


def test_trained_untrained_and_real_stand_side_by_side(recipe: Path, experiment: MakeExperiment, lines: Lines) -> None:
    page = page_of(experiment(), recipe)
    assert lines(page, "Fréchet distance, vggish")[-1] == ["7.000", "42.000", "0.500"]
    assert lines(page, "MSS, mean")[-1] == ["2.000", "12.000", "-"]
    assert 'aria-label="Distribution of MSS for trained, untrained"' in page


def test_recordings_are_heard_before_and_after(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment()
    page = page_of(exp, recipe, data)
    assert page.count("<audio") == 9  # best, median, worst: target, trained, untrained
    assert re.search(r"<h3>Best: MSS 1\.000, untrained 11\.000</h3>\s*<p class=\"kicker\">near ", page)
    assert re.search(r"<h3>Worst: MSS 3\.000, untrained 13\.000</h3>\s*<p class=\"kicker\">far ", page)
    assert page.count("F0 over time: as played.") == page.count("Loudness over time: as played.") == 3
    assert "This page lacks" not in page
    assert len(page) < 8_000_000
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert page_of(exp, recipe, data) == page


def test_without_the_untrained_model_there_are_target_and_estimate(
    recipe: Path, data: Path, experiment: MakeExperiment
) -> None:
    page = page_of(experiment(untrained=False), recipe, data)
    assert page.count("<audio") == 6
    assert "ntrained" not in page.split("<body>")[1]
    assert 'aria-label="Distribution of MSS over 3 items"' in page


def test_pitch_that_a_model_tells_stands_beside_the_annotation(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment(played=False, f0=[441.0] * 100, untrained_f0=[100.0] * 100)
    page = page_of(exp, recipe, data)
    assert page.count("F0 over time: annotated, estimated, untrained.") == 3
    assert "Loudness over time" not in page


def test_a_recording_too_short_for_a_pitch_has_no_curve_of_it(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    page = page_of(experiment(played=False, f0=[], untrained_f0=[100.0]), recipe, data)
    assert page.count("F0 over time: annotated, untrained.") == 3


def test_what_is_not_there_is_named(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment()
    for path in data.rglob("store.json"):
        path.unlink()
    (exp / "predictions" / "test" / "near" / "estimate.wav").unlink()
    page = page_of(exp, recipe, data)
    assert "the sound of near was not found" in page
    assert "curves of pitch and loudness: no stored features" in page
    assert page.count("<audio") == 6
    assert "F0 over time: annotated." in page
    assert "--data says in which folder" in page_of(exp, recipe)


def test_the_smallest_distance_is_the_best() -> None:
    rows = [{"id": str(value), "metrics": {"log_spectral_distance": value}} for value in (3.0, 1.0, 2.0)]
    chosen = examples.choose(rows, "log_spectral_distance")
    assert {place: row["id"] for place, row in chosen.items()} == {"best": "1.0", "median": "2.0", "worst": "3.0"}


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        ("multi_scale_spectral/mean", "MSS, mean"),
        ("untrained/log_spectral_distance/median", "LSD, median, untrained (dB²)"),
        ("real/frechet_distance@log_mel", "Fréchet distance, log mel, real audio"),
        ("frechet_distance@vggish", "Fréchet distance, vggish"),
    ],
)
def test_metrics_of_synthesis_by_name(identity: str, shown: str) -> None:
    assert display.label(identity) == shown


def test_an_id_and_its_parts() -> None:
    assert base("untrained/nsdr/mean/vocals") == "untrained/nsdr/mean"
    assert plain("untrained/nsdr/mean/vocals") == "nsdr/mean"
    assert source("untrained/nsdr/mean/vocals") == "vocals"
    assert (plain(f"real/{FAD}"), source(f"real/{FAD}")) == (FAD, "All")
