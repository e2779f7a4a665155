"""Pages of language models: losses with the lines they may reach, matrices, tunes to be seen and heard."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from toolkit import files
from toolkit.corpora import _nottingham_mini, markov_mixtures
from toolkit.corpora._markov_mixtures import MIXTURES
from toolkit.data import abc, manifest
from toolkit.data.manifest import Item
from toolkit.dsp.notes import STEPS
from toolkit.report import markov_figures, report, tunes

CHAINS, TUNES = "markov_mixtures/transition1/32/stationary/test", "nottingham/abc/test"
JIG = "M:6/8\nK:G\nGBd gdB|ABA G3|\n"


def recipe_of(folder: Path, data: str, metric: str) -> Path:
    row = {"system": "MCL", "data": data, "metric": metric, "value": 0.5, "config": "conf/paper.yaml", "source": "a line"}
    paper = {"title": "Chains", "authors": ["Ann Ode"], "venue": "V", "year": 2025, "protocol": "All.", "rows": [row]}
    files.write_text(folder / "paper.yaml", yaml.safe_dump(paper))
    return folder


def experiment(recipe: Path, tag: str, data: str, row: dict, stored: dict, losses: list[float]) -> Path:
    """What training, prediction and scoring of one item leave behind."""
    exp = recipe / "exp" / tag
    tree = {"task": "language", "data": {"test": data}, "train": {"seed": 0}}
    files.write_text(exp / "config.yaml", yaml.safe_dump(tree))
    files.write_json(exp / "run.json", {"config": "conf/paper.yaml", "seed": 0, "edition": "mini", "config_hash": tag})
    for step, loss in enumerate(losses, 1):
        files.append_jsonl(exp / "metrics.jsonl", {"epoch": step, "step": 10 * step, "valid/loss": loss, "train/loss": loss})
    files.append_jsonl(exp / "scores" / "test.jsonl", row)
    summary = {"split": "test", "data": data, "edition": "mini", "items": 1, "skipped": 0, "metrics": row["metrics"]}
    files.write_json(exp / "scores" / "test.summary.json", summary)
    files.append_jsonl(exp / "predictions" / "test" / "index.jsonl", stored)
    return exp


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of two hypotheses beside an experiment of one."""
    folder = tmp_path_factory.mktemp("chains")
    markov_mixtures.make_mini(folder / "corpus")
    markov_mixtures.prepare(folder / "corpus", folder / "data")
    recipe = recipe_of(folder / "egs" / "synthetic" / "lora_mcl", CHAINS, "token_loss/winner")
    lines = {"mle_line/given_first": 0.5246, "mle_line/in_sight": 0.53, "band_low/given_first": 0.5022}
    metrics = {"token_loss/winner": 0.511, **lines, "band_high/entropy_rate": 0.5081}
    found = MIXTURES["transition1"][::-1].tolist()
    row = {"id": "test", "metrics": metrics, "winners": [190, 210]}
    stored = {"id": "test", "alone": found, "in_sequences": found}
    exp = experiment(recipe, "mcl", CHAINS, row, stored, [math.nan, 0.52, 0.51])
    experiment(recipe, "mle", CHAINS, row, {"id": "test", "alone": found[:1], "in_sequences": found[:1]}, [0.69, 0.54, 0.53])
    experiment(recipe, "others", "markov_mixtures/transition2/64/stationary/test", row, stored, [0.6])
    return report(exp, recipe / "paper.yaml", "test", folder / "data").read_text()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a model that has gone on with a tune: one hypothesis wrote another tune, one no tune at all."""
    folder = tmp_path_factory.mktemp("tunes")
    recipe = recipe_of(folder / "egs" / "nottingham" / "lm", TUNES, "bits_per_character/mixture")
    labels = {"text": JIG, "title": "A <jig>", "meter": "6/8", "key": "G", "prompt": "M:6/8\nK:G\n"}
    path = folder / "data" / f"{TUNES}.jsonl"
    head = {"root": ".", "name": TUNES, "corpus": "nottingham", "edition": "mini"}
    manifest.write(path, head, [Item("jigs.abc/1", "test", 0, len(JIG), 0, {}, labels)])
    texts = ["M:6/8\nK:G\nd3 B3|GAB|\n", "nonsense"]
    row = {"id": "jigs.abc/1", "metrics": {"bits_per_character/mixture": 1.9, "token_loss/mixture": 2.25}, "winners": [0, 1]}
    exp = experiment(recipe, "mini", TUNES, row, {"id": "jigs.abc/1", "written": texts}, [3.0, 2.0])
    return report(exp, recipe / "paper.yaml", "test", folder / "data").read_text()


def test_losses_are_drawn_over_what_can_be_reached(chains):
    (label,) = re.findall(r'aria-label="(Validation loss over steps[^"]*)"', chains)
    assert label == "Validation loss over steps of mcl, mle; levels: optimum of MLE, optimum of MLE with what this model sees"
    assert "optimum of MCL" in chains


def test_learned_matrices_stand_below_the_chains_they_are_of(chains):
    (label,) = re.findall(r'aria-label="(Transition matrices[^"]*)"', chains)
    first, second = np.round(MIXTURES["transition1"], 2).tolist()
    assert label.count(str([first, second])) == 3  # the hypotheses came in the other order


def test_tunes_are_seen_and_heard(written):
    assert written.count("<audio") == 2
    assert written.count("Piano roll of") == 2
    assert "Best: A &lt;jig&gt;" in written
    assert "2.2500 nats" in written
    assert "1 of 2 bars are as long as the meter" in written
    assert "1 of 2 bars that were written in 2 tunes" in written
    assert "no tune" in written
    assert "<pre>nonsense</pre>" in written


def test_who_serves_which_meter(written, lines):
    assert lines(written, "6/8") == [["1", "0", "1"]]


def test_notes_follow_one_another_in_steps():
    found = tunes.note_events(tunes.as_tune("M:3/4\nL:1/4\nK:C\nC/2z/2 [EG]2|(3CDE c'|\n"))
    assert [(note.onset, note.duration, note.pitch) for note in found] == [
        (0, 6, 60),
        (12, 24, 64),
        (12, 24, 67),
        (36, 8, 60),
        (44, 8, 62),
        (52, 8, 64),
        (60, 12, 84),
    ]
    assert tunes.bar_steps(tunes.as_tune("M:6/8\nK:C\nC3 C3|\n")) == 3 * STEPS
    assert tunes.bar_steps(tunes.as_tune("K:C\nC3 C3|\n")) == 4 * STEPS


@pytest.mark.parametrize("text", ["", "K:C\n", "M:6/8\nGBd", "K:C\nz4|\n", 'K:G\n"G"|:|\n'])
def test_what_holds_no_note_is_shown_as_text(text):
    shown = tunes.shown("by the model", text)
    assert (shown.text, shown.audio, shown.picture) == (text, "", "")


@pytest.mark.parametrize(
    ("text", "bar"),
    [
        ("M:2/4\nK:C\n" + "z4|" * 40 + "C4|\n", 24),  # a page of rests
        ("M:4/4\nK:C\nC999999|\n", 48),  # a note of days
        ("M:1/128\nK:C\nC4|\n", 48),  # bars of no step,
        ("M:999999/8\nK:C\nC4|\n", 48),  # or of years
        ("K:|\nC4|\n", 48),  # no key
    ],
)
def test_a_model_may_write_any_nonsense(text, bar):
    shown = tunes.shown("by the model", text)
    assert tunes.bar_steps(tunes.as_tune(text)) == bar
    assert shown.picture.startswith('<svg role="img" aria-label="Piano roll of 1 notes in ')
    assert 0 < len(shown.audio) < 2_000_000


def test_every_generated_tune_can_be_shown():
    for text in _nottingham_mini.collection(seed=3, tunes=2).values():
        for tune in abc.parse(text).tunes:
            shown = tunes.shown("one", tune.text())
            assert shown.audio.startswith("data:audio/flac;base64,")
            assert 0 < shown.full_bars[0] <= shown.full_bars[1]


def test_pictures_of_chains_of_three_states():
    chain = np.full((3, 3), 1 / 3)
    assert markov_figures.matrices({"true": [chain, chain], "learned": [chain]}).count("0.33") >= 27
    assert "levels: line" in markov_figures.loss_and_lines({"a": ([1, 2], [0.9, 0.5])}, {"line": 0.4}, highest=0.6)


def test_losses_are_named_below_them_where_no_line_runs():
    picture = markov_figures.loss_and_lines({"a": ([1, 2], [0.9, 0.5])}, {"line": 0.8})
    place = {name: float(y) for y, name in re.findall(r' y="([\d.]+)"[^>]*>(step|line|a)</text>', picture)}
    assert place["step"] < place["line"] == place["a"]
