"""What is seen of reports: a recipe's index, what a model costs, and pages as a browser shows them."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from toolkit import audio, files
from toolkit.data import manifest
from toolkit.report import effort, report
from toolkit.report.runs import Run
from toolkit.tasks.experiment import Experiment

DATA, METRIC = "wsj0-2mix/8k/min/tt", "si_sdr_improvement/mean"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DURATIONS = """Promise.all([...document.querySelectorAll("audio")].map(player => new Promise((tell, fail) => {
    player.onloadedmetadata = () => tell(player.duration);
    player.onerror = fail;
    player.preload = "metadata";
    player.load();
})))"""
MakeExperiment = Callable[..., Path]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "egs" / "wsj0_mix" / "net"
    row = {"data": DATA, "metric": METRIC}
    rows = [
        {"system": "Net", "config": "conf/paper.yaml", "value": 15.3, "source": "table 1", **row},
        {"system": "Doubtful net", "config": "conf/other.yaml", "value": 16.0, "unverified": True, **row},
    ]
    protocol = "All mixtures of `tt`, as toolkit/corpora/a_name_that_is_far_too_long_for_any_telephone_to_show.py has them."
    paper = {"title": "Nets", "authors": ["Ann Ode"], "venue": "V", "year": 2025, "protocol": protocol, "rows": rows}
    files.write_text(folder / "paper.yaml", yaml.safe_dump(paper))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One mixture of two tones, half a second at 8 kHz."""
    folder = tmp_path / "data"
    tones = [0.3 * torch.sin(2 * torch.pi * hertz * torch.arange(4000) / 8000)[None] for hertz in (200, 900)]
    waves = {"mixture": tones[0] + tones[1], "s1": tones[0], "s2": tones[1]}
    for role, wave in waves.items():
        audio.write(folder / f"{role}.wav", wave, 8000)
    paths = {role: f"{role}.wav" for role in waves}
    head = {"name": DATA, "root": str(folder), "edition": "full"}
    manifest.write(folder / f"{DATA}.jsonl", head, [manifest.Item("one", "tt", 8000, 4000, 1, paths)])
    return folder


@pytest.fixture
def experiment(recipe: Path, data: Path) -> MakeExperiment:
    """Write an experiment's folder as training, inference and scoring would; predictions are the references."""

    def make(tag: str, value: float, edition: str = "full", name: str = "paper") -> Path:
        exp = recipe / "exp" / tag
        info: dict[str, Any] = {"recipe": "wsj0_mix/net", "config": f"conf/{name}.yaml", "config_hash": tag, "seed": 0}
        files.write_json(exp / "run.json", {**info, "edition": edition, "parameters": 1000, "train_seconds": 60.0})
        for epoch in (1, 2):
            files.append_jsonl(exp / "metrics.jsonl", {"epoch": epoch, "train/loss": -epoch, "valid/loss": -value * epoch})
        scores = {"si_sdr_improvement": value}
        files.append_jsonl(
            exp / "scores" / "test.jsonl", {"id": "one", "sources": {"s1": scores, "s2": scores}, "metrics": scores}
        )
        summary = {"data": DATA, "edition": edition, "items": 1, "skipped": 0, "metrics": {METRIC: value}}
        files.write_json(exp / "scores" / "test.summary.json", summary)
        for role in ("s1", "s2"):
            audio.write(exp / "predictions" / "test" / f"{role}.wav", audio.read(data / f"{role}.wav"), 8000)
        stored = {"id": "one", "audio": {"s1": "s1.wav", "s2": "s2.wav"}, "seconds": 0.125}
        files.append_jsonl(exp / "predictions" / "test" / "index.jsonl", stored)
        return exp

    return make


def test_the_index_holds_experiments_against_the_paper(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("other", 16.4, name="other")
    experiment("mini", 3.25, edition="mini")
    report(experiment("paper", 15.5), recipe / "paper.yaml")
    page = (recipe / "exp" / "index.html").read_text()
    full, _, mini = page.partition("On the mini corpus")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", full))
    assert re.search(
        r" other SI-SDRi, mean \(dB\) 16\.40 16\.0 \(unverified\) \+0\.40 Doubtful net .* 15\.50 15\.3 \[1\] \+0\.20 Net ", text
    )
    assert '<a href="paper/report/index.html">paper</a>' in full
    assert "3.25" in mini
    assert "<th" in mini
    assert "Difference" not in mini  # to what was measured on other data
    assert 'aria-label="loss over epoch: other, paper"' in full
    assert 'aria-label="loss over epoch: mini"' in mini


def test_the_pace_of_predictions_is_told(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    page = report(experiment("paper", 15.5), recipe / "paper.yaml", "test", data).read_text()
    assert "<dd>0.25 (0.1 s for 0.5 s of audio)</dd>" in page
    assert "this paper [1]" in page
    assert "<li>table 1</li>" in page
    assert "<code>tt</code>" in page


def test_multiply_adds_are_those_of_a_second(tmp_path: Path) -> None:
    """Of the layers of a plain network, counted by hand: (1 * 8 + 8 * 8 + 8 * 4) for each example."""
    tree = {
        "task": "hypotheses",
        "data": {"train": "a", "valid": "b", "test": "c", "batch_size": 2},
        "model": {
            "class_path": "HypothesisMLP",
            "init_args": {"inputs": 1, "outputs": 2, "hypotheses": 2, "hidden": [8, 8], "scored": False},
        },
        "loss": {"class_path": "MultipleChoice", "init_args": {"pairwise": {"class_path": "EuclideanDistance"}}},
        "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.001}},
        "train": {"epochs": 1},
    }
    found = effort.work(Experiment(tree).build("meta")[0])
    assert found.multiply_adds == 8 + 64 + 32
    assert str(found) == "0.104 k per example"
    assert str(effort.Work(3e9, 2.0, 0)) == "1.5 G per second of audio"
    assert [effort.Work(adds, 1.0, 0).rate for adds in (999_700.0, 2.5e12)] == ["1 M", "2.5 T"]
    files.write_text(tmp_path / "exp" / "config.yaml", yaml.safe_dump({**tree, "model": {"class_path": "os.system"}}))
    assert effort.work_of(Run(tmp_path / "exp", {"parameters": 3}, {})) is None


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_pages_in_a_browser_on_a_telephone(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    """Whatever a page asks for is in it, nothing is complained of, nothing is wider than the screen, there is sound."""
    api = pytest.importorskip("playwright.sync_api")
    page = report(experiment("paper", 15.5), recipe / "paper.yaml", "test", data)
    complaints: list[str] = []
    requests: list[str] = []
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        view = browser.new_page(viewport={"width": 390, "height": 844})
        view.on("console", lambda message: complaints.append(message.text))
        view.on("pageerror", lambda error: complaints.append(str(error)))
        view.on("request", lambda request: requests.append(request.url))
        for path in (page, recipe / "exp" / "index.html"):
            view.goto(path.as_uri())
            assert view.evaluate("document.documentElement.scrollWidth") <= 390
            assert view.evaluate("document.querySelectorAll('svg:not([aria-label]), audio:not([aria-label])').length") == 0
        view.go_back()
        assert view.evaluate(DURATIONS) == [0.5] * 5
        browser.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
