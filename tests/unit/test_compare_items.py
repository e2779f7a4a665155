"""Comparisons of experiments: intervals of differences over items, several seeds as one, curves laid over each other."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from toolkit import cli, files
from toolkit.log import UserError
from toolkit.metrics import bootstrap, tagging
from toolkit.report import compare_page
from toolkit.report.compare import compare
from toolkit.report.comparison import Comparison, gathered
from toolkit.report.runs import Run

MakeExperiment = Callable[..., Path]
SDR = "si_sdr/mean"


def scored(values: np.ndarray, metric: str = "si_sdr") -> list[dict[str, Any]]:
    return [{"id": f"item{number}", "metrics": {metric: value}} for number, value in enumerate(values.tolist())]


@pytest.fixture
def experiment(tmp_path: Path) -> MakeExperiment:
    """Write what a comparison reads of an experiment."""

    def make(tag: str, rows: list[dict[str, Any]], metrics: dict[str, float], seed: int = 0, hash: str = "") -> Path:
        exp = tmp_path / "exp" / tag
        files.write_text(exp / "config.yaml", yaml.safe_dump({"train": {"seed": seed}, "model": hash}))
        run = {
            "recipe": "corpus/net",
            "config": "conf/paper.yaml",
            "config_hash": hash or tag,
            "seed": seed,
            "edition": "full",
        }
        files.write_json(exp / "run.json", run)
        summary = {"split": "test", "data": "corpus/test", "edition": "full", "items": len(rows), "metrics": metrics}
        files.write_json(exp / "scores" / "test.summary.json", summary)
        files.write_text(exp / "scores" / "test.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        for epoch in (1, 2):
            files.append_jsonl(exp / "metrics.jsonl", {"epoch": epoch, "valid/loss": epoch + seed})
        return exp

    return make


def of(*exps: Path) -> Comparison:
    return Comparison([Run.read(exp) for exp in exps], "test")


def lines(found: Comparison, heading: str) -> list[list[str]]:
    return next(table.rows for title, table in found.sections if title.startswith(heading))


def test_an_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(30):
        easy = rng.normal(size=30)  # what makes an item easy for both, which is why they are paired
        one, other = (easy + rng.normal(scale=0.1, size=30) for _ in range(2))
        apart = bootstrap.paired(one[None, None] + 0.1, other[None, None], "mean")
        held += apart.low <= 0.1 <= apart.high
    assert held >= 25


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_an_interval_is_of_the_items_differences(statistic: str) -> None:
    rng = np.random.default_rng(0)
    other = rng.normal(scale=10, size=(1, 2, 20))
    other[0, 1, 3] = np.nan  # a silent source
    apart = bootstrap.paired(other + 1.5, other, statistic)
    assert apart[1:] == pytest.approx((1.5, 1.5, 1.5))
    assert apart.surely
    assert apart.items == 20
    assert bootstrap.paired(other[:, :, :5] + 1.5, other[:, :, :5], statistic) is None
    assert not bootstrap.paired(rng.normal(size=(3, 1, 20)), rng.normal(size=(2, 1, 20)), statistic).surely


def test_a_difference_that_is_more_than_chance_is_marked(experiment: MakeExperiment) -> None:
    values = np.random.default_rng(0).normal(10, 5, 30)
    noise = np.random.default_rng(1).normal(0, 1, 30)
    base = experiment("base", scored(values), {SDR: values.mean()})
    better = experiment("better", scored(values + 1 + noise / 10), {SDR: (values + 1 + noise / 10).mean()})
    same = experiment("same", scored(values + noise), {SDR: (values + noise).mean()})
    text = compare([base, better, same])
    assert re.search(r"SI-SDR, mean \(dB\) +[\d.]+ +[\d.]+ \(\+[\d.]+\*\) +[\d.]+ \([+-]0\.\d\d\)\n", text)
    assert "paired bootstrap" in text
    assert [row[-1] for row in lines(of(base, better, same), "Differences to exp/base")] == ["yes", "no"]


def test_only_figures_made_of_items_values_have_an_interval(experiment: MakeExperiment) -> None:
    values = np.arange(10.0)
    exps = [
        experiment(tag, scored(values + place), {SDR: 4.5 + place, "si_sdr/median": 4.5 + place, "si_sdr/frames": 3.0 + place})
        for place, tag in enumerate("ab")
    ]
    found = of(*exps)
    assert {row[0] for row in lines(found, "Differences")} == {"SI-SDR, mean (dB)", "SI-SDR, median (dB)"}
    assert "values: SI-SDR, frames (dB)." in found.notes[-1]
    wrong = experiment("wrong", scored(values), {SDR: 7.0})  # of other items than those that are listed
    assert len(of(exps[0], wrong).sections) == 2


def test_items_are_paired_by_their_ids(experiment: MakeExperiment) -> None:
    values = np.random.default_rng(0).normal(0, 5, 12)
    one = experiment("one", scored(values), {SDR: values.mean()})
    other = experiment("other", scored(values + 0.1)[:1:-1], {SDR: (values[2:] + 0.1).mean()})
    (row,) = lines(of(one, other), "Differences")
    assert row[2:] == ["10", "+0.10", "+0.10 to +0.10", "yes"]


def test_medians_over_frames_of_named_sources_are_the_items_too(experiment: MakeExperiment) -> None:
    rng = np.random.default_rng(0)
    exps = []
    for tag, more in (("one", 0.0), ("two", 2.0)):
        by_source = {name: rng.normal(size=8) + more for name in ("bass", "drums")}
        rows = [
            {
                "id": str(i),
                "named": ["bass", "drums"],
                "metrics": {},
                "sources": {s: {"nsdr": v[i]} for s, v in by_source.items()},
            }
            for i in range(8)
        ]
        medians = {f"nsdr/median_of_medians/{name}": float(np.median(values)) for name, values in by_source.items()}
        exps.append(experiment(tag, rows, {"nsdr/median_of_medians": float(np.mean(list(medians.values()))), **medians}))
    found = lines(of(*exps), "Differences")
    assert [row[0].split(", ")[-1] for row in found] == ["median of medians (dB)", "bass (dB)", "drums (dB)"]


def test_metrics_of_tags_are_measured_again_of_clips_drawn_again(experiment: MakeExperiment) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (40, 3))
    exps = []
    for tag, sharp in (("blind", 0.0), ("seeing", 1.0)):
        probabilities = 0.8 * rng.random((40, 3)) * (1 - sharp) + sharp * (0.2 + 0.6 * labels)
        rows = [
            {"id": str(i), "metrics": {}, "probabilities": p.tolist(), "labels": y.tolist()}
            for i, (p, y) in enumerate(zip(probabilities, labels, strict=True))
        ]
        exps.append(experiment(tag, rows, tagging.summarise(rows, ["roc_auc"], ["x", "y", "z"])))
    (row,) = lines(of(*exps), "Differences")
    assert row[0] == "ROC-AUC"
    assert row[-1] == "yes"


def test_seeds_of_one_configuration_are_one_column(experiment: MakeExperiment) -> None:
    rng = np.random.default_rng(0)
    exps = []
    for name, more in (("tcn", 0.0), ("dprnn", 1.0)):
        for seed in range(2):
            values = rng.normal(size=20) + more
            tag = name if seed == 0 else f"{name}_seed-{seed}"
            exps.append(experiment(tag, scored(values), {SDR: values.mean()}, seed=seed, hash=name))
    found = of(*exps)
    assert found.names == ["tcn", "dprnn"]
    figures = {row[0]: row[1:] for row in lines(found, "Figures")}
    assert all(" ± " in cell for cell in figures["SI-SDR, mean (dB)"])
    assert figures["Seed"] == ["0, 1", "0, 1"]
    assert lines(found, "What differs") == [["model", "tcn", "dprnn"]]
    assert "not of other seeds" in found.notes[1]
    picture = compare_page.pictures(found.groups, found.names)[0]
    assert picture[0] == "valid/loss by epoch. Thin lines are single seeds."
    assert compare_page.mean_curve([([1, 2], [0.0, 2.0]), ([2, 3], [4.0, 0.0])]) == ([2], [3.0])


def test_what_was_written_down_in_training_is_laid_over_each_other(experiment: MakeExperiment) -> None:
    """Not what was never a number, nor how many steps there were; more experiments than colours can be told apart."""
    exps = [experiment(str(number), scored(np.arange(6.0)), {SDR: 2.5}) for number in range(7)]
    for exp in exps:
        files.append_jsonl(exp / "metrics.jsonl", {"epoch": 3, "valid/loss": 1.0, "valid/step": 9.0, "valid/snr": float("nan")})
    found = of(*exps)
    [(caption, picture)] = compare_page.pictures(found.groups, found.names)
    assert caption == "valid/loss by epoch."
    assert "stroke-dasharray" in picture


def test_seeds_alone_are_held_against_each_other(experiment: MakeExperiment) -> None:
    exps = [experiment(tag, scored(np.arange(6.0)), {SDR: 2.5}, seed=seed, hash="same") for seed, tag in enumerate("ab")]
    assert [group.first.tag for group in gathered([Run.read(exp) for exp in exps], "test")] == ["a", "b"]
    again = experiment("c", scored(np.arange(6.0)), {SDR: 2.5}, seed=0, hash="same")  # the same seed, on another machine
    other = experiment("d", scored(np.arange(6.0)), {SDR: 2.5}, hash="other")
    assert len(gathered([Run.read(exp) for exp in (*exps, again, other)], "test")) == 4


def test_rows_are_counted_where_items_are_tables(experiment: MakeExperiment) -> None:
    one, two = (experiment(tag, scored(np.zeros(1)), {SDR: 0.0}) for tag in ("one", "two"))

    def counted() -> list[list[str]]:
        return [row for row in lines(of(one, two), "Figures") if row[0] in ("Items", "Rows")]

    assert counted() == [["Items", "1", "1"]]
    path = two / "scores" / "test.summary.json"
    files.write_json(path, json.loads(path.read_text()) | {"rows": 5405})
    assert counted() == [["Items", "1", "1"], ["Rows", "-", "5,405"]]


def test_a_baseline_is_a_section_of_the_page(experiment: MakeExperiment) -> None:
    one, two = (Run.read(experiment(tag, scored(np.arange(6.0)), {SDR: 2.5})) for tag in "ab")
    assert compare_page.section(two, None, "test") is None
    found, pictures = compare_page.section(two, one, "test")
    assert found.names == ["a", "b"]
    assert len(pictures) == 1
    with pytest.raises(UserError, match="different names"):
        compare_page.section(one, one, "test")


def test_a_report_holds_an_experiment_against_a_baseline(
    experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, exp = (experiment(tag, scored(np.arange(6.0) + more), {SDR: 2.5 + more}) for tag, more in (("base", 0), ("new", 1)))
    row = {"system": "Net", "config": "conf/paper.yaml", "data": "corpus/test", "metric": SDR, "value": 9, "source": "table 1"}
    paper = {"title": "A net", "authors": ["A"], "venue": "V", "year": 2020, "protocol": "All.", "rows": [row]}
    files.write_text(tmp_path / "paper.yaml", yaml.safe_dump(paper))
    monkeypatch.chdir(tmp_path)
    cli.main(["report", "--exp", "exp/new"])
    page = exp / "report" / "index.html"
    assert "Against the baseline" not in page.read_text()
    cli.main(["report", "--exp", "exp/new", "--baseline", "exp/base"])  # another page: not "done before"
    text = page.read_text()
    assert "Against the baseline exp/base</h2>" in text
    assert "3.50 (+1.00*)" in text
    assert "valid/loss by epoch." in text
    assert cli.state_of(["report", "--exp", "exp/new", "--baseline", "exp/base"]) == "done"
    files.append_jsonl(base / "metrics.jsonl", {"epoch": 3})
    assert cli.state_of(["report", "--exp", "exp/new", "--baseline", "exp/base"]) == "stale"
