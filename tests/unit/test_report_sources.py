"""Reports of music: figures of single sources as columns, stems to be heard."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
import yaml

from toolkit import audio, files
from toolkit.data import manifest
from toolkit.report import display, examples, report, sound, spectrograms
from toolkit.report.compare import compare
from toolkit.report.results import Results, markdown
from toolkit.report.sources import columns, labels, metrics_table

SDR = "bsseval_v4_sdr/median_of_medians"
DATA = "musdb18/44100/test"
ROWS: list[dict[str, Any]] = [
    {"system": "UMX", "config": "conf/paper.yaml", "values": {"all": 5.33, "vocals": 6.32, "drums": 5.73}, "source": "here"},
    {"system": "UMX-HQ", "config": "conf/hq.yaml", "values": {"all": 5.41, "drums": 6.04}, "source": "here"},
    {"system": "X-UMX", "group": "Asteroid", "values": {"drums": 6.47, "vocals": 6.61}, "unverified": True},
]
MakeExperiment = Callable[..., Path]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "egs" / "musdb18" / "open_unmix"
    rows = [{**row, "data": DATA, "metric": SDR} for row in ROWS]
    paper = {"title": "Unmix", "authors": ["Ann Luo"], "venue": "JOSS", "year": 2019, "protocol": "All tracks.", "rows": rows}
    files.write_text(folder / "paper.yaml", yaml.safe_dump(paper))
    return folder


@pytest.fixture
def experiment(recipe: Path) -> MakeExperiment:
    """Write what an experiment's report is made of; vocals 1 dB above the mean, drums 1 dB below."""

    def make(tag: str, value: float, edition: str = "full", overrides: tuple[str, ...] = (), **info: Any) -> Path:
        exp = recipe / "exp" / tag
        run = {"recipe": "musdb18/open_unmix", "config": "conf/paper.yaml", "overrides": list(overrides), "seed": 0}
        run |= {"config_hash": "hash" + "".join(overrides), "edition": edition, "parameters": 8893348}
        files.write_json(exp / "run.json", {**run, **info})
        files.write_text(exp / "config.yaml", yaml.safe_dump({"data": {"sources": ["drums", "vocals"]}}))
        by_source = {"vocals": value + 1, "drums": value - 1, "accompaniment": 12.0}
        metrics = {SDR: value, **{f"{SDR}/{name}": figure for name, figure in by_source.items()}, "nsdr/mean": value}
        summary = {"data": DATA, "edition": edition, "items": 3, "metrics": metrics}
        files.write_json(exp / "scores" / "test.summary.json", summary)
        for number in range(3):
            sources = {name: {"bsseval_v4_sdr": figure + number} for name, figure in by_source.items()}
            line = {"id": f"item{number}", "sources": sources, "metrics": {"bsseval_v4_sdr": value + number}}
            files.append_jsonl(exp / "scores" / "test.jsonl", {**line, "assignment": ["drums", "vocals"]})
        return exp

    return make


def results_of(recipe: Path) -> str:
    return markdown(Results.read(recipe / "paper.yaml"), "musdb18/open_unmix")


def cells(text: str, system: str) -> list[str]:
    """The first row of a Markdown text that begins with a system."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {system} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_sources_are_columns_and_ours_is_the_next_line(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("paper", 5.40)
    text = results_of(recipe)
    assert cells(text, "System")[:6] == ["System", "From", "All", "drums", "vocals", "Ours"]
    assert cells(text, "UMX")[:6] == ["UMX", "this paper [1]", "5.33", "5.73", "6.32", "below"]
    assert cells(text, "UMX, ours")[:6] == ["UMX, ours", "seed 0", "5.40 (+0.07)", "4.40 (-1.33)", "6.40 (+0.08)", ""]
    assert cells(text, "UMX-HQ")[2:6] == ["5.41", "6.04", "", "not run"]
    assert cells(text, "X-UMX")[1:6] == ["Asteroid, unverified", "", "6.47", "6.61", "-"]


def test_swaps_and_small_corpora_by_source(recipe: Path, experiment: MakeExperiment) -> None:
    experiment("swap", 5.0, overrides=("--model.layers", "3"))
    experiment("small", 1.0, edition="mini")
    table, _, rest = results_of(recipe).partition("not comparable)")
    assert cells(table, "conf/paper.yaml --model.layers 3")[2:5] == ["5.00", "4.00", "6.00"]
    assert "1.00" not in table
    assert cells(rest, "Experiment")[1:6] == ["Metric", "All", "drums", "vocals", "accompaniment"]
    assert cells(rest, "exp/small")[1:6] == ["SDR v4, median of medians (dB)", "1.00", "0.00", "2.00", "12.00"]


def test_a_page_of_music(recipe: Path, experiment: MakeExperiment) -> None:
    exp = experiment("paper", 5.40)
    html = report(exp, recipe / "paper.yaml").read_text()
    assert re.search(r"UMX, ours +seed 0 +5\.40 \(\+0\.07\)", (exp / "report" / "table.txt").read_text())
    assert "SDR v4 (dB) of single estimates by source" in html
    assert html.index("drums (n = 3)") < html.index("vocals (n = 3)") < html.index("accompaniment (n = 3)")


def test_comparing_shows_the_sources_of_the_first_metric(experiment: MakeExperiment) -> None:
    text = compare([experiment("one", 5.4), experiment("two", 5.0)])
    assert re.search(r"SDR v4, median of medians \(dB\) +5\.40 +5\.00 \(-0\.40\)\n", text)
    assert re.search(r"SDR v4, median of medians, vocals \(dB\) +6\.40 +6\.00 \(-0\.40\)\n", text)


@pytest.mark.parametrize(("epochs", "missed"), [(0, False), (3, True)])
def test_where_nothing_is_trained_no_curve_is_missed(
    recipe: Path, experiment: MakeExperiment, epochs: int, missed: bool
) -> None:
    exp = experiment("oracle", 8.2, epochs=epochs)
    assert ("curves of the training" in report(exp, recipe / "paper.yaml").read_text()) == missed


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        ("bsseval_v4_sdr/median_of_medians/vocals", "SDR v4, median of medians, vocals (dB)"),
        ("bsseval_v4_sir_permuted/pooled_mean", "SIR v4, permuted, pooled mean (dB)"),
        ("bsseval_v4_sdr_improvement/pooled_mad", "SDRi v4, pooled mad (dB)"),
    ],
)
def test_metrics_of_music_by_name(identity: str, shown: str) -> None:
    assert display.label(identity) == shown


def test_the_figures_of_a_summary_by_source() -> None:
    metrics = {f"{SDR}/vocals": 2.0, SDR: 1.0, f"{SDR}/guitar": 0.5, f"{SDR}/drums": 0.0, "nsdr/mean": 3.0}
    assert columns(metrics, SDR) == ["All", "drums", "vocals", "guitar"]
    assert columns(metrics, "nsdr/mean") == []
    table = metrics_table({"metrics": metrics})
    assert table.rows[0] == ["SDR v4, median of medians (dB)", "1.00", "0.00", "2.00", "0.50"]
    assert table.rows[1] == ["nSDR, mean (dB)", "3.00", "-", "-", "-"]


def test_a_metric_of_all_sources_together_is_not_lost_beside_one_of_single_ones() -> None:
    table = metrics_table({"metrics": {f"{SDR}/vocals": 2.0, f"{SDR}/drums": 0.0, "nsdr/mean": 3.0}})
    assert table.columns == ["Metric", "All", "drums", "vocals"]
    assert [row[1:] for row in table.rows] == [["-", "0.00", "2.00"], ["3.00", "-", "-"]]


def test_a_source_goes_by_its_name_where_that_is_clear() -> None:
    sir = f"{SDR.replace('sdr', 'sir')}/vocals"
    assert labels([SDR, f"{SDR}/drums", f"{SDR}/vocals"]) == ["All", "drums", "vocals"]
    assert labels([SDR, f"{SDR}/drums", f"{SDR}/vocals", sir]) == [
        "SDR v4, median of medians, all (dB)",
        "drums",
        "SDR v4, median of medians, vocals (dB)",
        "SIR v4, median of medians, vocals (dB)",
    ]


def test_examples_of_sources_that_are_sums_of_stems(tmp_path: Path) -> None:
    exp, groups = tmp_path / "exp", {"both": ["bass", "drums"], "first": ["bass"]}
    files.write_text(exp / "config.yaml", yaml.safe_dump({"data": {"sources": groups}}))
    tones = {name: 0.3 * torch.sin(hertz * torch.arange(2400) / 1273)[None] for name, hertz in (("bass", 200), ("drums", 900))}
    for role, tone in {**tones, "mixture": tones["bass"] + tones["drums"]}.items():
        audio.write(tmp_path / "wav" / f"{role}.wav", tone, 8000, "FLOAT")
    paths = {role: f"wav/{role}.wav" for role in ("mixture", "bass", "drums")}
    item = manifest.Item("song", "test", 8000, 2400, 1, paths)
    manifest.write(tmp_path / "test.jsonl", {"name": "test", "root": str(tmp_path), "edition": "mini"}, [item])
    for name in groups:
        audio.write(exp / "predictions" / "test" / f"{name}.wav", tones["bass"], 8000, "FLOAT")
    stored = {"id": "song", "audio": {name: f"{name}.wav" for name in groups}, "seconds": 0.1}
    files.write_text(exp / "predictions" / "test" / "index.jsonl", json.dumps(stored) + "\n")
    row = {"id": "song", "metrics": {"nsdr": 1.0}, "sources": {}, "assignment": list(groups)}
    source = manifest.Manifest.open(tmp_path / "test.jsonl")
    (example,) = examples.load(exp, "test", source, {"best": row}, "nsdr", 7_000_000, [])
    clips = {clip.title: clip.audio for clip in example.clips}
    assert list(clips) == ["mixture", "both, reference", "both, estimate", "first, reference", "first, estimate"]
    assert clips["both, reference"] == clips["mixture"]
    assert clips["first, reference"] == clips["first, estimate"]


def test_signals_are_cut_only_where_room_lacks() -> None:
    noise = [(0.1 * torch.randn(1, 16000), 8000), (0.1 * torch.randn(1, 8000), 8000)]
    seconds, whole = sound.fitting(noise, room=10**6, longest=1.5)
    assert seconds == 1.5
    room = len(sound.address(whole[0], 8000))
    shorter, cut = sound.fitting(noise, room, longest=1.5)
    assert 0.7 < shorter < 1.0
    assert 0.7 * room < sum(len(sound.address(one, 8000)) for one in cut) <= room
    assert sound.fitting(noise, room=0, longest=1.5)[0] == sound.SHORTEST


def test_the_bass_of_music_is_more_than_the_lowest_line() -> None:
    """Speech stands on an even scale, music on that of mels; a tone is where its frequency is, loud between silent rows."""
    seconds = torch.arange(44100) / 44100
    for rate, hertz in ((16000, 1000), (44100, 1000), (44100, 60)):
        tone = torch.sin(2 * torch.pi * hertz * seconds * 44100 / rate)
        axis = spectrograms.heard(rate)
        level = spectrograms.levels(tone, rate, axis)
        row = int(level.mean(1).argmax())
        assert abs((axis.edges[row] + axis.edges[row + 1]) / 2 - hertz) < 1.5 * rate / 1024
        assert level.max() == spectrograms.LEVELS
        assert level[-20:, 20:-20].max() == 0
    assert spectrograms.heard(44100).edges[20] < 300 < spectrograms.heard(16000).edges[20]
    picture = spectrograms.spectrogram(tone, 44100, spectrograms.loudest_point(tone, 44100))
    assert picture.count("data:image/png;base64,") == 1
    assert ">0.5<" in picture.replace(" ", "")


def test_music_is_heard_as_mp3() -> None:
    tone = torch.sin(torch.arange(44100) / 10)[None]
    seconds, (encoded,) = sound.fitting([(tone, 44100)], room=30_000, longest=10.0)
    assert 1 < seconds <= 10
    (clip,) = examples._clips({"mixture": tone}, 44100, seconds, iter([encoded]), {})
    assert clip.audio.startswith("data:audio/mpeg;base64,")
    assert len(clip.audio) <= 30_000
    _, (four,) = sound.fitting([(tone.expand(4, -1), 44100)], room=30_000, longest=1.0)
    heard, rate = soundfile.read(io.BytesIO(four))
    assert heard.ndim == 1
    assert rate == 44100
