"""Reports of tagging: means with intervals, figures of each tag, clips with their probabilities and what is attended to."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from toolkit import audio, files
from toolkit.data import manifest
from toolkit.metrics import tagging as metrics
from toolkit.report import display, report, tagged
from toolkit.report.compare import compare
from toolkit.report.results import Results, markdown
from toolkit.report.sources import columns, tag_lines

DATA = "openmic2018/test"
NAMES = ["average_precision", "roc_auc", "f1@0.5"]
TAGS = [f"tag_{letter}" for letter in "zyxwvutsrqponm"]  # 14, in the order of the header, which is not the alphabet's
ROWS: list[dict[str, Any]] = [
    {"system": "ATT", "config": "conf/paper.yaml", "metric": "average_precision/mean", "value": 0.8, "source": "table 1"},
    {"system": "RNN", "config": "conf/rnn.yaml", "metric": "average_precision/mean", "value": None, "unverified": True},
    {
        "system": "Forest",
        "config": "conf/forest.yaml",
        "metric": "f1@0.5/mean",
        "values": {"all": 0.78, **{tag: round(0.7 + place / 100, 2) for place, tag in enumerate(TAGS)}},
        "source": "notebook",
    },
]
MakeExperiment = Callable[..., Path]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "egs" / "openmic2018" / "attention_mil"
    rows = [{**row, "data": DATA} for row in ROWS]
    paper = {
        "title": "Attention",
        "authors": ["Ann Luo"],
        "venue": "ISMIR",
        "year": 2019,
        "protocol": "All clips.",
        "rows": rows,
    }
    files.write_text(folder / "paper.yaml", yaml.safe_dump(paper, sort_keys=False))
    return folder


@pytest.fixture
def experiment(recipe: Path) -> MakeExperiment:
    """Write what a report is made of; a clip in three has no label of a tag."""

    def make(
        tag: str, tags: list[str] = TAGS, edition: str = "full", seed: int = 0, attention: bool = True, **info: Any
    ) -> Path:
        exp, clips = recipe / "exp" / tag, 30
        random = torch.Generator().manual_seed(seed)
        run = {"recipe": "openmic2018/attention_mil", "config": "conf/paper.yaml", "overrides": ["--train.seed", str(seed)]}
        run |= {"seed": seed, "config_hash": run["config"], "edition": edition, "parameters": 55336, "epochs": 2}
        files.write_json(exp / "run.json", {**run, **info})
        files.write_text(exp / "config.yaml", yaml.safe_dump({"task": "tagging", "train": {"seed": seed}}))
        for epoch in (1, 2):
            files.append_jsonl(exp / "metrics.jsonl", {"epoch": epoch, "train/loss": 1 / epoch, "valid/average_precision": 0.5})
        labels = torch.rand(clips, len(tags), generator=random) < 0.4
        labels[0], labels[1] = False, True
        known = torch.rand(clips, len(tags), generator=random) < 2 / 3
        known[:2] = True
        probabilities = (0.3 * labels + 0.7 * torch.rand(clips, len(tags), generator=random)).double().tolist()
        rows = []
        for number, (p, y, m) in enumerate(zip(probabilities, labels.tolist(), known.tolist(), strict=True)):
            given = [int(label) if there else None for label, there in zip(y, m, strict=True)]
            rows.append({"id": f"clip{number}", "tags": tags, "probabilities": p, "labels": given})
            line = {"id": f"clip{number}", "probabilities": p, "seconds": 0.1}
            if attention:
                line |= {"attention": [[0.1, 0.2, 0.7]] * len(tags), "activity": [[0.5, 0.9, 0.1]] * len(tags)}
            files.append_jsonl(exp / "predictions" / "test" / "index.jsonl", line)
        files.write_text(exp / "scores" / "test.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        summary = {"split": "test", "data": DATA, "edition": edition, "items": clips, "skipped": 0, "tags": tags}
        summary |= {"metrics": metrics.summarise(rows, NAMES, tags), "intervals": metrics.intervals(rows, NAMES, 50)}
        files.write_json(exp / "scores" / "test.summary.json", summary)
        return exp

    return make


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The clips, 0.5 s of stereo noise at 8 kHz."""
    folder = tmp_path / "data"
    items = []
    for number in range(30):
        audio.write(folder / f"clip{number}.wav", 0.1 * torch.randn(2, 4000), 8000)
        items.append(manifest.Item(f"clip{number}", "test", 8000, 4000, 2, {"recording": f"clip{number}.wav"}))
    manifest.write(folder / f"{DATA}.jsonl", {"name": DATA, "root": str(folder), "edition": "mini"}, items)
    return folder


def results_of(recipe: Path) -> str:
    return markdown(Results.read(recipe / "paper.yaml"), "openmic2018/attention_mil")


def cells(text: str, first: str) -> list[str]:
    """The first row of a Markdown text that begins with a cell."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def of(exp: Path, identity: str) -> float:
    return files.read_json(exp / "scores" / "test.summary.json")["metrics"][identity]


def test_the_mean_stands_beside_the_paper(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper")
    value = of(exp, "average_precision/mean")
    text = results_of(recipe)
    assert cells(text, "ATT") == ["ATT", "this paper [1]", "0.8", "", "below"]
    assert cells(text, "ATT, ours")[1:3] == ["seed 0", f"{value:.3f} ({value - 0.8:+.3f})"]
    report(exp, recipe / "paper.yaml")
    table = (exp / "report" / "table.txt").read_text()
    assert re.search(rf"mAP on {DATA}\n  paper +0\.8 .*\n  ours +{value:.3f} .*\n  this +{value:.3f} +exp/paper", table)


def test_many_tags_are_lines_of_a_table_of_their_own(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("forest", config="conf/forest.yaml", epochs=0)
    text = results_of(recipe)
    mean = of(exp, "f1@0.5/mean")
    assert cells(text, "System") == ["System", "From", "mAP", "F1 at 0.5", "Ours"]
    assert cells(text, "Forest")[1:] == ["this paper [2]", "", "0.78", "below"]
    assert cells(text, "Forest, ours")[3] == f"{mean:.3f} ({mean - 0.78:+.3f})"
    assert cells(text.partition("### F1 at 0.5 by tag")[2], "Tag") == ["Tag", "Forest [2]", "Forest, ours"]
    ours = of(exp, "f1@0.5/mean/tag_y")
    assert cells(text, "tag_y") == ["tag_y", "0.71", f"{ours:.3f} ({ours - 0.71:+.3f})"]
    assert text.index("| tag_z |") < text.index("| tag_m |")
    assert "F1 at 0.5 by tag on" in report(exp, recipe / "paper.yaml").read_text()
    assert "tag_y" not in (exp / "report" / "table.txt").read_text()  # on a terminal the means are enough


def test_tags_are_no_columns_where_they_are_many(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("small", edition="mini")
    _, _, rest = results_of(recipe).partition("not comparable)")
    assert cells(rest, "Experiment")[:4] == ["Experiment", "mAP", "F1 at 0.5", "Seeds"]
    ids = [f"roc_auc/mean/{tag}" for tag in TAGS]
    assert columns(["roc_auc/mean", *ids], "roc_auc/mean") == []
    assert tag_lines(["roc_auc/mean", *ids], "roc_auc/mean") == TAGS
    assert columns(["roc_auc/mean", *ids[:2]], "roc_auc/mean") == ["All", "tag_y", "tag_z"]
    assert tag_lines(["roc_auc/mean", *ids[:2]], "roc_auc/mean") == []


def test_a_page_shows_means_with_intervals_and_each_tag(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper")
    html = report(exp, recipe / "paper.yaml").read_text()
    low, high = files.read_json(exp / "scores" / "test.summary.json")["intervals"]["roc_auc/mean"]
    assert f">{low:.3f} to {high:.3f}</td>" in html
    assert "mAP by epoch" in html
    labels = [row["labels"][0] for row in files.read_jsonl(exp / "scores" / "test.jsonl") if row["labels"][0] is not None]
    _, line = re.findall(r'<tr><th scope="row">tag_z</th>(.*)</tr>', html)  # the paper's, then this experiment's
    figures = [f"{of(exp, f'{name}/mean/tag_z'):.3f}" for name in NAMES]
    assert re.findall(r">([\d.]+)</td>", line) == [*figures, str(sum(labels)), str(len(labels))]
    assert html.index('row">tag_z<') < html.index('row">tag_m<')
    assert "The upright mark" in html
    assert "Table of the" not in html


def test_seeds_give_mean_and_deviation_of_each_tag(recipe: Path, experiment: MakeExperiment) -> None:
    exps = [experiment(f"seed{seed}", seed=seed) for seed in range(3)]
    values = torch.tensor([of(exp, "average_precision/mean/tag_z") for exp in exps])
    html = report(exps[0], recipe / "paper.yaml").read_text()
    assert f"{values.mean():.3f} ± {values.std():.3f}" in html
    assert "whiskers reach one standard deviation" in html
    assert "Seeds 0, 1, 2" in html


def test_a_long_table_unfolds(recipe: Path, experiment: MakeExperiment) -> None:
    html = report(experiment("many", [f"t{number}" for number in range(50)]), recipe / "paper.yaml").read_text()
    assert "<summary>Table of the 50 tags</summary>" in html
    assert "AP by tag, continued." in html  # two pictures side by side


def test_clips_are_heard_and_seen(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper")
    html = report(exp, recipe / "paper.yaml", "test", data).read_text()
    assert html.count("<audio") == 3
    assert html.count("attention (area") == 3
    assert "activity (line" in html
    assert len(html) < 8_000_000
    assert not re.search(r'(?:src|href)="(?!data:|#)', html)
    assert report(exp, recipe / "paper.yaml", "test", data).read_text() == html


def test_without_attention_there_is_the_spectrogram_alone(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    html = report(experiment("plain", attention=False), recipe / "paper.yaml", "test", data).read_text()
    assert html.count("<audio") == 3
    assert "attention (area" not in html


def test_clips_are_chosen_by_the_entropy_of_their_labelled_tags() -> None:
    rows = [
        {"probabilities": [0.9, 0.5], "labels": [1, None]},
        {"probabilities": [0.9, 0.5], "labels": [1, 0]},
        {"probabilities": [1.0, 0.5], "labels": [0, None]},
        {"probabilities": [0.9, 0.5], "labels": [None, None]},
        {"probabilities": [math.nan, 0.5], "labels": [1, 0]},
    ]
    losses = [tagged.cross_entropy(row) for row in rows]
    assert losses[0] == pytest.approx(-math.log(0.9))
    assert losses[1] == pytest.approx(-(math.log(0.9) + math.log(0.5)) / 2)
    assert losses[2] == pytest.approx(-math.log(tagged.EPS))
    assert losses[3:] == [None, None]


def test_of_many_labelled_tags_those_that_matter_are_shown() -> None:
    tags = [str(number) for number in range(50)]
    labels: list[int | None] = [0] * 48 + [1, None]
    bars, left_out = tagged.bars({"tags": tags, "probabilities": [number / 100 for number in range(50)], "labels": labels})
    assert [bar.tag for bar in bars] == [str(number) for number in range(48, 48 - tagged.MOST_BARS, -1)]
    assert left_out == 49 - tagged.MOST_BARS
    labels[0] = 1
    bars, _ = tagged.bars({"tags": tags, "probabilities": [number / 100 for number in range(50)], "labels": labels})
    assert (bars[-1].tag, bars[-1].there) == ("0", True)


def test_what_is_not_there_is_named(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper")
    lines = [line for line in (data / f"{DATA}.jsonl").read_text().splitlines() if line]
    without = [line.replace(re.search(r'"audio": ({.*?})', line)[1], "{}") for line in lines[1:]]  # type: ignore[index]
    files.write_text(data / f"{DATA}.jsonl", "\n".join([lines[0], *without]) + "\n")
    html = report(exp, recipe / "paper.yaml", "test", data).read_text()
    assert html.count("was not found</li>") == 3
    assert "<audio" not in html
    (exp / "scores" / "test.jsonl").unlink()
    html = report(exp, recipe / "paper.yaml", "test", data).read_text()
    assert "scores of single items" in html
    assert "With the tag" not in html


def test_comparing_shows_what_each_tag_gained(experiment: MakeExperiment) -> None:
    text = compare([experiment("one"), experiment("two", seed=1)])
    assert re.search(r"mAP +0\.\d{3} +0\.\d{3} \([+-]0\.\d{3}\)\n", text)
    assert re.search(r"AP, tag m +0\.\d{3} +0\.\d{3} \([+-]0\.\d{3}\)\n", text)


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        ("average_precision/mean", "mAP"),
        ("average_precision/mean/male vocal", "AP, male vocal"),
        ("roc_auc/mean", "ROC-AUC"),
        ("f1@0.4/mean", "F1 at 0.4"),
        ("precision@0.5/mean/mallet_percussion", "Precision at 0.5, mallet percussion"),
        ("average_precision", "mAP"),
    ],
)
def test_metrics_of_tags_by_name(identity: str, shown: str) -> None:
    assert display.label(identity) == shown
    assert display.number(0.81249, identity) == "0.812"
