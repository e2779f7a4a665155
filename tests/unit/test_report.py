"""Reports: the paper's table beside ours, a page an experiment, comparisons; all of tiny experiments made of sine waves."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from toolkit import audio, files
from toolkit.data import manifest
from toolkit.infer.tracker import PitchCurve
from toolkit.log import UserError
from toolkit.report import activity, curves, display, examples, figures, pitch_picture, report, spectrograms
from toolkit.report.compare import compare
from toolkit.report.results import Results, markdown, write_index
from toolkit.report.runs import Run
from toolkit.report.table import Table

DATA = "wsj0-2mix/8k/min/tt"
SI_SDRI = "si_sdr_improvement/mean"
PAPER: dict[str, Any] = {
    "title": "A network that separates",
    "authors": ["Yi Luo", "Nima Mesgarani"],
    "venue": "TASLP",
    "year": 2019,
    "arxiv": "1809.07454",
    "protocol": "All mixtures of tt.",
    "rows": [
        {"system": "Net", "config": "conf/paper.yaml", "data": DATA, "metric": SI_SDRI, "value": 15.3, "source": "table 1"},
        {
            "system": "Net, others",
            "config": "conf/others.yaml",
            "data": DATA,
            "metric": SI_SDRI,
            "value": 16.21,
            "source": "README",
        },
        {"system": "Quoted net", "data": DATA, "metric": SI_SDRI, "value": 10.8, "source": "table 1"},
        {"system": "Lost net", "config": "conf/lost.yaml", "data": DATA, "metric": SI_SDRI, "value": None, "unverified": True},
        {
            "system": "Net",
            "config": "conf/paper.yaml",
            "data": DATA,
            "metric": "bsseval_v3_sdr/mean",
            "value": 15.9,
            "source": "README",
        },
    ],
}
MakeExperiment = Callable[..., Path]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "egs" / "wsj0_mix" / "net"
    folder.mkdir(parents=True)
    (folder / "run.sh").write_text("")
    (folder / "paper.yaml").write_text(yaml.safe_dump(PAPER))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three mixtures of two tones, 0.3 s at 8 kHz."""
    folder = tmp_path / "data"
    time = torch.arange(2400) / 8000
    items = []
    for number in range(3):
        tones = [0.3 * torch.sin(2 * torch.pi * hertz * time).unsqueeze(0) for hertz in (200 + 50 * number, 900)]
        paths = {}
        for role, waveform in {"mixture": sum(tones), "s1": tones[0], "s2": tones[1]}.items():
            paths[role] = f"wav/{number}/{role}.wav"
            audio.write(folder / paths[role], torch.as_tensor(waveform), 8000)
        items.append(manifest.Item(f"item{number}", "tt", 8000, 2400, 1, paths))
    manifest.write(folder / f"{DATA}.jsonl", {"name": DATA, "root": str(folder), "edition": "mini"}, items)
    return folder


@pytest.fixture
def experiment(recipe: Path) -> MakeExperiment:
    """Write an experiment's folder as training, inference and scoring would, without any audio."""

    def make(
        tag: str, value: float, edition: str = "full", seed: int = 0, overrides: tuple[str, ...] = (), **info: Any
    ) -> Path:
        exp = recipe / "exp" / tag
        config = {
            "model": {"class_path": "toolkit.models.Net", "init_args": {"blocks": 8}},
            "train": {"seed": seed, "epochs": 2},
        }
        files.write_text(exp / "config.yaml", yaml.safe_dump(config))
        run = {
            "recipe": "wsj0_mix/net",
            "config": "conf/paper.yaml",
            "overrides": list(overrides),
            "command": f"toolkit train --config conf/paper.yaml --data ../data --exp exp/{tag}",
            "commit": "abc1234",
            "config_hash": "hash" + "".join(overrides),
            "seed": seed,
            "device": "cpu",
            "parameters": 5050545,
            "train_seconds": 7200.0,
            "edition": edition,
            "data": {"train": "wsj0-2mix/8k/min/tr", "valid": "wsj0-2mix/8k/min/cv", "test": DATA},
            "finished": f"2026-11-21T0{seed}:00:00+0000",
        }
        files.write_json(exp / "run.json", {**run, **info})
        for epoch in (1, 2):
            row = {"epoch": epoch, "lr": 1e-3 / epoch, "train/loss": -value * epoch / 2, "valid/loss": -value / 2}
            files.append_jsonl(exp / "metrics.jsonl", row)
        lines = []
        for number in range(3):
            shown = {"si_sdr_improvement": value + number - 1, "bsseval_v3_sdr": value + number}
            lines.append(
                {"id": f"item{number}", "sources": {"s1": shown, "s2": shown}, "metrics": shown, "assignment": ["s2", "s1"]}
            )
        files.write_text(exp / "scores" / "test.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        metrics = {SI_SDRI: value, "si_sdr_improvement/median": value, "bsseval_v3_sdr/mean": value + 1}
        summary = {"split": "test", "data": DATA, "edition": edition, "items": 3, "skipped": 0, "metrics": metrics}
        files.write_json(exp / "scores" / "test.summary.json", summary)
        return exp

    return make


def predict(exp: Path, data: Path) -> None:
    """Store the references, in the wrong order and far too loud, as predictions."""
    for item in manifest.Manifest.open(data / f"{DATA}.jsonl"):
        stored = {}
        for role, other in (("s1", "s2"), ("s2", "s1")):
            stored[role] = f"{item.id}/{role}.wav"
            loud = 20 * audio.read(data / item.audio[other])
            audio.write(exp / "predictions" / "test" / stored[role], loud, 8000, subtype="FLOAT")
        files.append_jsonl(exp / "predictions" / "test" / "index.jsonl", {"id": item.id, "audio": stored, "seconds": 0.1})


def cells(text: str, system: str) -> list[str]:
    """The first row of a Markdown text that begins with a system."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {system} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def change(recipe: Path, row: int, **said: Any) -> None:
    """Say something else in a row of `paper.yaml`; None takes it away."""
    paper = yaml.safe_load((recipe / "paper.yaml").read_text())
    merged = {**paper["rows"][row], **said}
    paper["rows"][row] = {key: value for key, value in merged.items() if value is not None}
    (recipe / "paper.yaml").write_text(yaml.safe_dump(paper))


def results_of(recipe: Path) -> str:
    return markdown(Results.read(recipe / "paper.yaml"), "wsj0_mix/net")


def test_a_full_run_stands_below_the_paper(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("paper", 15.5)
    text = results_of(recipe)
    assert text.splitlines()[0].startswith("<!-- Generated by")
    assert f"## {DATA}" in text
    assert cells(text, "System") == ["System", "From", "SI-SDRi, mean (dB)", "SDR, mean (dB)", "Ours"]
    assert cells(text, "Net") == ["Net", "this paper", "15.3 [1]", "15.9 [2]", "below"]
    assert cells(text, "Net, ours") == ["Net, ours", "seed 0", "15.50 (+0.20)", "16.50 (+0.60)", ""]


def test_what_a_run_was_made_with_is_said_once(recipe: Path, experiment: MakeExperiment) -> None:
    assert "## Runs" not in results_of(recipe)
    experiment("paper", 15.5)
    _, _, runs = results_of(recipe).partition("## Runs on full corpora")
    assert cells(runs, "Net") == ["Net", DATA, "exp/paper", "0", "5.05 M", "2.0 h", "cpu", "hash", "abc1234"]
    assert results_of(recipe).count("abc1234") == 1


def test_parameters_stand_beside_the_papers(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("paper", 15.5)
    change(recipe, 2, parameters=5_100_000)
    text = results_of(recipe)
    assert [cells(text, name)[-1] for name in ("Net, ours", "Quoted net", "Lost net")] == ["5.05 M", "5.1 M", ""]


def test_rows_without_an_experiment_say_so(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("paper", 15.5)
    text = results_of(recipe)
    assert cells(text, "Net, others")[1:] == ["this paper [2]", "16.21", "", "not run"]
    assert cells(text, "Quoted net")[4] == "-"
    assert cells(text, "Lost net")[2:] == ["not found", "", "not run"]


def test_what_holds_for_all_figures_of_a_system_is_said_once(recipe: Path) -> None:
    assert cells(results_of(recipe), "Net")[1:4] == ["this paper", "15.3 [1]", "15.9 [2]"]
    change(recipe, 4, source="table 1")
    assert cells(results_of(recipe), "Net")[1:4] == ["this paper [1]", "15.3", "15.9"]
    change(recipe, 4, source=None, unverified=True)
    assert cells(results_of(recipe), "Net")[1:4] == ["this paper", "15.3 [1]", "15.9 (unverified)"]
    change(recipe, 0, source=None, unverified=True)
    assert cells(results_of(recipe), "Net")[1:4] == ["this paper, unverified", "15.3", "15.9"]


def test_a_note_is_said_once(recipe: Path) -> None:
    for number in (0, 1, 4):
        change(recipe, number, note="one seed")
    change(recipe, 2, note="no seeds")
    assert results_of(recipe).endswith("## Notes\n\n- Net; Net, others: one seed\n- Quoted net: no seeds\n")


def test_a_note_on_all_of_many_systems_names_their_table(recipe: Path) -> None:
    paper = yaml.safe_load((recipe / "paper.yaml").read_text())
    many = {"group": "others again", "data": "songs/test", "metric": "si_sdr/mean", "note": "two seeds", "source": "table 2"}
    paper["rows"].append({**many, "rows": [{"system": f"Net {size}", "value": 9.5} for size in range(5)]})
    (recipe / "paper.yaml").write_text(yaml.safe_dump(paper))
    assert results_of(recipe).endswith("## Notes\n\n- songs/test, others again: two seeds\n")


def test_seeds_give_mean_and_deviation_and_the_best_apart(recipe: Path, experiment: MakeExperiment) -> None:
    for seed, value in enumerate((15.0, 15.6, 16.0)):
        experiment(f"paper_seed{seed}", value, seed=seed, overrides=("--train.seed", str(seed)), config_hash="same")
    table, of_seeds, runs = re.split(r"\| System \| Of the seeds|## Runs", results_of(recipe))
    assert cells(table, "Net, ours")[1:4] == ["seeds 0, 1, 2", "15.53 ± 0.50 (+0.23)", "16.53 ± 0.50 (+0.63)"]
    assert cells(of_seeds, "Net") == ["Net", "best (seed)", "16.00 (2)", "17.00 (2)"]
    assert "| Net | median | 15.60 | 16.60 |" in of_seeds
    assert cells(runs, "Net")[2:4] == ["exp/paper_seed0, exp/paper_seed1, exp/paper_seed2", "0, 1, 2"]


def test_of_two_runs_with_one_seed_the_later_stands(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("again", 15.0, finished="2026-11-22T00:00:00+0000")
    experiment("first", 12.0)
    assert cells(results_of(recipe), "Net, ours")[2] == "15.00 (-0.30)"


def test_of_runs_before_and_after_a_change_of_the_config_the_later_stand(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("before", 12.0, config_hash="before")
    experiment("today", 15.0, config_hash="today", finished="2026-11-22T00:00:00+0000")
    assert cells(results_of(recipe), "Net, ours")[2] == "15.00 (-0.30)"


def test_what_no_row_claims_is_said_once(recipe: Path, experiment: MakeExperiment) -> None:
    """Of two systems that one configuration reproduces, the first has the figures that neither of them claims."""
    experiment("paper", 15.5)
    change(recipe, 4, system="Net, by others", config="conf/others.yaml")
    change(recipe, 2, system="Net again", config="conf/paper.yaml")
    text = results_of(recipe)
    assert cells(text, "Net, ours")[2:4] == ["15.50 (+0.20)", "16.50"]
    assert cells(text, "Net again, ours")[2:4] == ["15.50 (+4.70)", ""]
    assert cells(text.partition("## Runs")[2], "Net; Net again")[2] == "exp/paper"


@pytest.mark.parametrize("edition", ["mini", "partial (251 speakers)"])
def test_less_than_the_full_corpus_never_stands_in_the_papers_table(
    recipe: Path, experiment: MakeExperiment, edition: str
) -> None:
    experiment("small", 3.25, edition=edition)
    text = results_of(recipe)
    assert cells(text, "Net")[4] == "not run"
    table, _, rest = text.partition("not comparable)")
    assert "3.25" not in table
    assert cells(rest, "exp/small")[1] == "3.25"


def test_trained_on_mini_and_tested_on_full_is_not_full(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("mixed", 3.25, edition="mini")
    summary = files.read_json(exp / "scores" / "test.summary.json")
    files.write_json(exp / "scores" / "test.summary.json", {**summary, "edition": "full"})
    assert cells(results_of(recipe), "Net")[4] == "not run"


def test_a_swap_is_a_row_of_its_own(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("dprnn", 16.4, overrides=("--model.separator", "DPRNN"))
    text = results_of(recipe)
    assert cells(text, "Net")[4] == "not run"
    swap = cells(text, "conf/paper.yaml --model.separator DPRNN")
    assert swap[1:] == ["exp/dprnn, seed 0", "16.40", "17.40", ""]


def test_of_an_option_said_twice_the_last_word_counts() -> None:
    words = ["--train.epochs", "5", "--model.norm", "gLN", "--train.epochs", "3", "--model.norm=2"]
    assert Run(Path("exp/twice"), {"config": "conf/paper.yaml", "overrides": words}, {}).description == (
        "conf/paper.yaml --model.norm 2 --train.epochs 3"
    )


def test_an_experiment_started_from_elsewhere_is_recognised(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("paper", 15.5, config="egs/wsj0_mix/net/conf/paper.yaml")
    assert cells(results_of(recipe), "Net, ours")[2] == "15.50 (+0.20)"


def test_what_is_not_scored_yet_is_named_here_alone(recipe: Path, experiment: MakeExperiment) -> None:
    """On the terminal and in the index, which stay on this machine; `RESULTS.md` is kept with the recipe."""
    (experiment("half", 1.0) / "scores" / "test.summary.json").unlink()
    exp = experiment("paper", 15.5)
    report(exp, recipe / "paper.yaml")
    assert (exp / "report" / "table.txt").read_text().endswith("\n\nNot scored yet: exp/half.\n")
    assert "Not scored yet: half." in (recipe / "exp" / "index.html").read_text()
    assert "half" not in (recipe / "RESULTS.md").read_text()


def test_runs_on_the_full_corpus_outlive_their_folders(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    """The figures of `RESULTS.md` come from a file that is kept with the recipe, whoever made them."""
    mini = experiment("mini", 3.25, edition="mini", config="conf/mini.yaml")
    report(mini, recipe / "paper.yaml", "test")
    assert not (recipe / "RESULTS.json").exists()
    for seed in (0, 1):
        report(experiment(f"paper_{seed}", 15.5 + seed, seed=seed), recipe / "paper.yaml", "test")
    shutil.rmtree(recipe / "exp")
    assert cells(results_of(recipe), "Net, ours")[2] == "16.00 ± 0.71 (+0.70)"
    report(experiment("paper_1", 15.7, seed=1), recipe / "paper.yaml", "test")  # made anew: that one counts
    assert [row["tag"] for row in files.read_json(recipe / "RESULTS.json")] == ["paper_0", "paper_1"]
    assert cells(results_of(recipe), "Net, ours")[2] == "15.60 ± 0.14 (+0.30)"


def test_the_paper_of_another_recipe_is_refused(recipe: Path, experiment: MakeExperiment) -> None:
    """Else its tables, and the page, would have an experiment of a recipe that it knows nothing of."""
    other = Path(shutil.copytree(recipe, recipe.with_name("other")))
    exp = experiment("paper", 15.0)
    with pytest.raises(UserError, match=rf"expected the paper of the recipe .*Next: --paper {recipe}/paper\.yaml"):
        report(exp, other / "paper.yaml")
    assert not (exp / "report").exists()
    assert not (other / "RESULTS.md").exists()


def test_a_wrong_folder_of_data_is_told(
    recipe: Path, tmp_path: Path, experiment: MakeExperiment, caplog: pytest.LogCaptureFixture
) -> None:
    report(experiment("paper", 15.0), recipe / "paper.yaml", "test", tmp_path / "dta")
    assert f"no such manifest: {tmp_path}/dta/{DATA}.jsonl: the page has no examples. Next: give --data" in caplog.text


def test_a_small_run_of_the_same_name_does_not_replace_one_that_is_kept(recipe: Path, experiment: MakeExperiment) -> None:
    report(experiment("paper", 15.5), recipe / "paper.yaml")
    shutil.rmtree(recipe / "exp")
    report(experiment("paper", 3.25, edition="mini"), recipe / "paper.yaml")
    table, _, small = (recipe / "RESULTS.md").read_text().partition("not comparable)")
    assert cells(table, "Net, ours")[2] == "15.50 (+0.20)"
    assert cells(small, "exp/paper")[1] == "3.25"
    index = (recipe / "exp" / "index.html").read_text()
    assert index.count(">paper<") == 2
    assert index.count('href="paper/report/index.html"') == 1  # only of the small one there is a page
    assert len(files.read_json(recipe / "RESULTS.json")) == 1


def test_a_run_of_several_splits_is_kept_once(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    files.write_json(exp / "scores" / "valid.summary.json", files.read_json(exp / "scores" / "test.summary.json"))
    report(exp, recipe / "paper.yaml")
    assert [sorted(row["summaries"]) for row in files.read_json(recipe / "RESULTS.json")] == [["test", "valid"]]


@pytest.mark.parametrize("metrics", [{SI_SDRI: float("nan")}, {SI_SDRI: None}, {}], ids=str)
def test_a_run_without_a_figure_is_reported_like_others(
    recipe: Path, experiment: MakeExperiment, metrics: dict[str, float | None]
) -> None:
    """It stands behind them in the index, whose order it does not upset."""
    exp = experiment("b_silent", 0.0, seed=1)
    summary = files.read_json(exp / "scores" / "test.summary.json")
    files.write_json(exp / "scores" / "test.summary.json", {**summary, "metrics": metrics})
    for tag, value, seed in (("a", 15.0, 0), ("c", 16.0, 2), ("d", 14.0, 3)):
        experiment(tag, value, seed=seed)
    report(exp, recipe / "paper.yaml")
    assert re.search(r" this +- +exp/b_silent", (exp / "report" / "table.txt").read_text())
    names = re.findall(r'<th scope="row">(?:<a [^>]+>)?(\w+)', (recipe / "exp" / "index.html").read_text())
    assert names == ["c", "a", "d", "b_silent"]


def test_report_writes_page_table_and_results(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment("mini", 3.25, edition="mini", config="conf/mini.yaml")
    predict(exp, data)
    page = report(exp, recipe / "paper.yaml", "test", data)
    html, table = page.read_text(), (exp / "report" / "table.txt").read_text()
    assert page == exp / "report" / "index.html"
    assert (recipe / "RESULTS.md").is_file()
    for row in PAPER["rows"]:
        assert row["system"] in table
        assert row["system"] in html
    assert re.search(r"paper +15\.3 .*\n +ours +not run .*\n +this +3\.25 +exp/mini.*not comparable", table)
    assert "Mini corpus." in html
    assert "toolkit train --config conf/paper.yaml" in html


def test_a_published_figure_on_other_data_is_told_with_its_data(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    summary = files.read_json(exp / "scores" / "test.summary.json")
    files.write_json(exp / "scores" / "test.summary.json", {**summary, "data": "wsj0-2mix/16k/min/tt"})
    report(exp, recipe / "paper.yaml")
    table = (exp / "report" / "table.txt").read_text()
    assert re.search(rf"on wsj0-2mix/16k/min/tt\n +paper +15\.3 .*, on {DATA}\n +ours +not run .*, on {DATA}\n", table)


def test_a_page_is_whole_in_itself(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    predict(exp, data)
    html = report(exp, recipe / "paper.yaml", "test", data).read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#|https://arxiv\.org)', html)
    assert html.count("<audio") == 3 * 5  # best, median, worst: a mixture, two references, two estimates
    assert len(html) < 8_000_000
    assert "Mini corpus" not in html
    assert "15.50 (+0.20)" in html
    assert "<h3>Runs on full corpora</h3>" in html


def test_what_was_left_out_of_the_data_is_told(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    assert "No stage complained, no item was skipped." in report(exp, recipe / "paper.yaml", "test", data).read_text()
    path = data / f"{DATA}.jsonl"
    head, *items = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(head) | {"skipped": 2}), *items, ""]))
    html = report(exp, recipe / "paper.yaml", "test", data).read_text()
    assert "no item was skipped" not in html
    assert "2 of what the corpus has were left out" in html


def test_commands_of_a_page_can_be_pasted(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    command = "toolkit train --config conf/paper.yaml --data '../my data' --exp exp/paper"
    page = report(experiment("paper", 14.0, command=command), recipe / "paper.yaml", "test", data)
    words = [shlex.split(line) for line in unescape(page.read_text()).splitlines() if line.startswith("toolkit infer")]
    assert words == [["toolkit", "infer", "--exp", "exp/paper", "--data", "../my data", "--split", "test"]]


def test_a_report_is_the_same_each_time(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    predict(exp, data)
    first = report(exp, recipe / "paper.yaml", "test", data).read_text()
    assert report(exp, recipe / "paper.yaml", "test", data).read_text() == first


def test_an_estimate_is_shown_with_its_reference_and_as_loud(data: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    predict(exp, data)
    rows = examples.choose(files.read_jsonl(exp / "scores" / "test.jsonl"), "si_sdr_improvement")
    source = manifest.Manifest.open(data / f"{DATA}.jsonl")
    shown = examples.load(exp, "test", source, rows, "si_sdr_improvement", 7_000_000, [])
    assert [example.place for example in shown] == ["best", "median", "worst"]
    clips = {clip.title: clip for clip in shown[0].clips}
    assert list(clips) == ["mixture", "s1, reference", "s1, estimate", "s2, reference", "s2, estimate"]
    assert clips["s1, estimate"].audio == clips["s1, reference"].audio
    assert clips["s1, estimate"].scores == {"si_sdr_improvement": 16.5, "bsseval_v3_sdr": 17.5}


def test_an_item_whose_sound_is_gone_is_left_out_and_told(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    predict(exp, data)
    (exp / "predictions" / "test" / "item1" / "s2.wav").unlink()
    (data / "wav" / "2" / "s1.wav").unlink()
    page = report(exp, recipe / "paper.yaml", "test", data).read_text()
    assert re.findall(r"the sound of (\w+) was not found", page) == ["item2", "item1"]
    assert page.count("<audio") == 5  # of item0


def test_examples_are_cut_to_the_room_there_is(data: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    predict(exp, data)
    source = manifest.Manifest.open(data / f"{DATA}.jsonl")
    best = {"best": files.read_jsonl(exp / "scores" / "test.jsonl")[2]}
    wide, tight = (
        examples.load(exp, "test", source, best, "si_sdr_improvement", 5 * examples.PICTURE + room, [])
        for room in (10**6, 8000)
    )
    assert len(tight[0].clips[0].audio) < len(wide[0].clips[0].audio)
    assert sum(len(clip.audio) for clip in tight[0].clips) < 9000


def test_choosing_leaves_out_what_has_no_figure() -> None:
    values = {"a": 1.0, "b": float("nan"), "c": 3.0, "d": 2.0}
    rows = [{"id": name, "metrics": {"si_sdr": value}} for name, value in values.items()]
    assert {place: row["id"] for place, row in examples.choose(rows, "si_sdr").items()} == {
        "best": "c",
        "median": "d",
        "worst": "a",
    }


def test_nothing_is_chosen_twice() -> None:
    rows = [{"id": name, "metrics": {"si_sdr": value}} for name, value in (("a", 1.0), ("b", float("nan")), ("c", 3.0))]
    assert {place: row["id"] for place, row in examples.choose(rows, "si_sdr").items()} == {"best": "c", "worst": "a"}
    assert list(examples.choose(rows[:1], "si_sdr")) == ["best"]
    assert examples.choose(rows[1:2], "si_sdr") == {}


def test_what_a_page_lacks_is_named(recipe: Path, data: Path, experiment: MakeExperiment) -> None:
    exp = experiment("bare", 15.5)
    for name in ("metrics.jsonl", "scores/test.jsonl", "config.yaml"):
        (exp / name).unlink()
    html = report(exp, recipe / "paper.yaml", "test", data).read_text()
    for lack in ("curves of the training", "scores of single items", "resolved configuration"):
        assert lack in html
    assert (
        "no predictions of the split test" in report(experiment("kept", 1.0), recipe / "paper.yaml", "test", data).read_text()
    )
    assert "--data says in which folder" in report(experiment("kept", 1.0), recipe / "paper.yaml").read_text()


def test_complaints_of_the_stages_are_shown(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    line = "2026-11-21 07:00:00,000 WARNING toolkit.infer.run: skipped <item9>: truncated\n"
    files.write_text(exp / "logs" / "infer.log", "2026-11-21 07:00:00,000 INFO toolkit.infer.run: fine\n" + line * 2)
    html = report(exp, recipe / "paper.yaml").read_text()
    assert html.count("infer: skipped &lt;item9&gt;: truncated") == 1
    assert "fine" not in html


def test_an_experiment_without_scores_is_told_the_next_command(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    with pytest.raises(UserError, match=r"no scores of the split valid.*Next: toolkit score --exp .*paper --split valid"):
        report(exp, recipe / "paper.yaml", "valid")
    with pytest.raises(UserError, match="Next: toolkit train"):
        report(recipe / "exp" / "nothing", recipe / "paper.yaml")


def test_the_index_stands_between_its_markers(recipe: Path, experiment: MakeExperiment) -> None:
    egs = recipe.parents[1]
    readme = egs.parent / "README.md"
    readme.write_text("# Top\n\n<!-- results:begin -->\nold\n<!-- results:end -->\n\nTail\n")
    write_index(egs, readme)
    text = readme.read_text()
    assert text.startswith("# Top\n")
    assert text.endswith("Tail\n")
    assert "old" not in text
    assert cells(text, "[wsj0_mix/net](egs/wsj0_mix/net/RESULTS.md)")[-2:] == ["15.3", "not run"]
    experiment("paper", 15.5)
    write_index(egs, readme)
    assert cells(readme.read_text(), "[wsj0_mix/net](egs/wsj0_mix/net/RESULTS.md)")[-1] == "15.50"
    readme.write_text(readme.read_text() + "\n<!-- reproduced:begin -->\n<!-- reproduced:end -->\n")
    write_index(egs, readme)
    reproduced = readme.read_text().partition("<!-- reproduced:begin -->")[2]
    figures = [line.split(" | ")[1:7] for line in reproduced.splitlines() if "wsj0_mix/net" in line]
    assert figures == [["Net", DATA, "SI-SDRi, mean (dB)", "15.3", "15.50", "+0.20"]]
    elsewhere = egs.parent / "site" / "README.md"
    files.write_text(elsewhere, readme.read_text())
    write_index(egs, elsewhere)
    assert "| [wsj0_mix/net](../egs/wsj0_mix/net/RESULTS.md) |" in elsewhere.read_text()
    readme.write_text("no markers")
    with pytest.raises(UserError, match="expected the lines"):
        write_index(egs, readme)


def test_comparing_shows_what_differs_and_by_how_much(recipe: Path, experiment: MakeExperiment) -> None:
    one, two = experiment("one", 15.0), experiment("two", 15.4, seed=1)
    text = compare([one, two])
    assert re.search(r"train\.seed +0 +1\n", text)
    assert "epochs" not in text.lower().split("figures")[0]
    assert re.search(r"SI-SDRi, mean \(dB\) +15\.00 +15\.40 \(\+0\.40\)\n", text)


def test_figures_of_different_editions_get_no_difference(recipe: Path, experiment: MakeExperiment) -> None:
    text = compare([experiment("full", 15.0), experiment("small", 3.0, edition="mini")])
    assert re.search(r"SI-SDRi, mean \(dB\) +15\.00 +3\.00\n", text)
    assert "Not all were measured on the same data" in text


def test_a_comparison_is_written_as_markdown_or_page(recipe: Path, experiment: MakeExperiment) -> None:
    exps = [experiment("one", 15.0), experiment("two", 15.4, seed=1)]
    compare(exps, out=recipe / "compare.md")
    compare(exps, out=recipe / "compare.html")
    assert "| SI-SDRi, mean (dB) | 15.00 | 15.40 (+0.40) |" in (recipe / "compare.md").read_text()
    assert (recipe / "compare.html").read_text().count("<svg") == 2


def test_only_scored_experiments_of_one_recipe_are_compared(recipe: Path, experiment: MakeExperiment) -> None:
    one = experiment("one", 15.0)
    with pytest.raises(UserError, match="at least two"):
        compare([one])
    with pytest.raises(UserError, match="no scores of the split valid"):
        compare([one, one], "valid")
    with pytest.raises(UserError, match="of one recipe"):
        compare([one, experiment("two", 15.0, recipe="librimix/net")])


def test_what_stands_beside_a_picture_is_no_longer_than_it() -> None:
    assert "a$b$c" in figures.curves({"a$b$c": ([1, 2], [0.5, 0.4])}, "loss")
    picture = figures.curves({"valid": ([1, 2], [0.5, 0.4])}, "Divergence of the codes (nats)")
    assert "Divergence of the codes (nats) over epoch" in picture
    assert ">Divergence of the codes<" in picture.replace("\n", "")


def test_pictures_take_their_colours_from_the_page() -> None:
    for picture in (
        figures.curves({"training": ([1], [2.0]), "validation": ([1], [2.5])}, "loss"),
        figures.distribution({"": [1.0, 2.0, 4.0]}, "SI-SDRi (dB)"),
        figures.distribution({"2 sources": [1.0, 2.0], "3 sources": [0.0]}, "SI-SDRi (dB)"),
        spectrograms.spectrogram(torch.randn(100), 8000, loudest=1.0),
    ):
        assert picture.startswith('<svg role="img" aria-label=')
        assert "var(--ink)" in picture
        assert not re.search(r"#0[14a]0[25b]0", picture)


def test_a_name_with_dollar_signs_is_no_formula(tmp_path: Path) -> None:
    name = "A$AP_$.mp3"
    activity.draw(tmp_path / "tags.png", name, [name], torch.rand(1, 3), every=1.0)
    curve = PitchCurve(torch.arange(3) / 10, torch.full((3,), 220.0), torch.full((3,), 0.5))
    pitch_picture.draw(tmp_path / "pitch.png", name, curve, torch.zeros(4, 3), [110.0, 220.0, 440.0, 880.0])
    assert {path.name for path in tmp_path.iterdir()} == {"tags.png", "pitch.png"}


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        (SI_SDRI, "SI-SDRi, mean (dB)"),
        ("mcl_si_sdr/median", "MCL SI-SDR, median (dB)"),
        ("stoi", "STOI"),
        ("new_metric/mean", "new_metric, mean"),
    ],
)
def test_metrics_are_called_as_in_papers(identity: str, shown: str) -> None:
    assert display.label(identity) == shown


def test_quantities_of_the_training_by_name() -> None:
    assert [curves.opening(name) for name in ("loss", "own_part", "average_precision", "nsdr")] == [
        "Loss",
        "Own part",
        "mAP",
        "nSDR (dB)",
    ]
    assert curves.name("own_part") == "own part"


def test_numbers_as_they_are_read() -> None:
    assert display.number(float("nan"), SI_SDRI) == "-"
    assert [display.signed(value, SI_SDRI) for value in (0.2, -0.2, -0.001)] == ["+0.20", "-0.20", "+0.00"]
    assert [display.count(value) for value in (None, 12, 5050545, 23600000)] == ["-", "12", "5.05 M", "23.6 M"]
    assert [display.count(value) for value in (999, 999_499, 999_500, 999_999_999)] == ["999", "999 k", "1 M", "1 G"]
    assert [display.duration(value) for value in (None, 42.2, 210, 25560)] == ["-", "42 s", "3.5 min", "7.1 h"]


def test_a_table_as_text_and_as_markdown() -> None:
    table = Table(["a", "n", "empty"], [["x|y", "1", ""], ["z", "10", "-"]], numeric=["n"])
    assert table.without_empty(["empty"]).text() == "a     n\n---  --\nx|y   1\nz    10\n"
    assert table.markdown().splitlines()[1:3] == ["| --- | ---: | --- |", "| x\\|y | 1 |  |"]


def test_headings_of_a_wide_table_are_broken() -> None:
    narrow = Table(["System", "a b c"], [["x", "1"]], numeric=["a b c"])
    assert narrow.text().splitlines()[0] == "System  a b c"
    wide = Table(["System", "a b c"], [["x" * 120, "100"]], numeric=["a b c"])
    assert [line[120:] for line in wide.text().splitlines()] == ["  a b", "    c", "  ---", "  100"]
    empty = Table(["", "heading " * 20], [])
    assert empty.text().splitlines() == [*["  heading"] * 20, "  -------"]


def test_a_terminal_has_metrics_one_by_one_where_they_are_wide_together(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 15.5)
    report(exp, recipe / "paper.yaml")
    printed = (exp / "report" / "table.txt").read_text()
    assert re.search(r"Net +this paper +15\.3 +15\.9 +below\nNet, ours +seed 0 +15\.50 \(\+0\.20\) +16\.50 ", printed)
    change(recipe, 1, system="Net " + "with all that others did to it " * 3)
    report(exp, recipe / "paper.yaml")
    first, second = (exp / "report" / "table.txt").read_text().split(f"\nSDR, mean (dB) on {DATA}\n")
    assert re.search(r"Net +this paper +15\.3 +below\n", first)
    assert re.search(r"Net, ours +seed 0 +16\.50 \(\+0\.60\)\n", second)
