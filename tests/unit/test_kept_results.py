"""What is kept of an earlier run: predictions that still follow from the same weights, settings, items and files; no scores."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from toolkit import audio, files
from toolkit.data import manifest
from toolkit.data.manifest import Item
from toolkit.infer.run import infer
from toolkit.log import UserError
from toolkit.score import run
from toolkit.score.run import score

STEMS = ("low", "high")
RATE = 8000


def config(kind: str, metrics: list[str]) -> dict[str, Any]:
    names = dict.fromkeys(("train", "valid", "test"), "songs/all")
    return {
        "task": "oracle",
        "data": {**names, "sample_rate": RATE, "sources": list(STEMS), "segment": None, "batch_size": 1},
        "model": {"class_path": "Oracle", "init_args": {"kind": kind, "sources": 2, "audio_channels": 1, "n_fft": 256}},
        "score": {"metrics": metrics},
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two songs of noise, of which one stem is smooth."""
    items = []
    for name in ("a", "b"):
        low = torch.randn(1, 2000).cumsum(-1) / 100
        stems = {"low": low, "high": 0.1 * torch.randn(1, 2000)}
        for role, wave in {**stems, "mixture": sum(stems.values())}.items():
            audio.write(tmp_path / "songs" / name / f"{role}.wav", wave, RATE, subtype="FLOAT")
        roles = {role: f"{name}/{role}.wav" for role in ("mixture", *STEMS)}
        items.append(Item(name, "test", RATE, 2000, 1, roles))
    manifest.write(tmp_path / "songs" / "all.jsonl", {"root": ".", "name": "songs/all", "edition": "mini"}, items)
    return tmp_path


@pytest.fixture
def oracle(data: Path, untrained: Callable[..., Path]) -> Callable[..., Path]:
    """Separate and score by an oracle; whatever it is made with, it has the same weights."""

    def separate(kind: str = "irm2", metrics: list[str] = ["si_sdr"]) -> Path:  # noqa: B006
        exp = untrained(data / "exp", config(kind, metrics))
        infer(exp, data, "test", "cpu")
        score(exp, data, "test", 1)
        return exp

    return separate


def figures(exp: Path) -> dict[str, float]:
    return files.read_json(exp / "scores" / "test.summary.json")["metrics"]


def test_the_same_again_is_kept(oracle: Callable[..., Path]) -> None:
    exp = oracle()
    kept = [exp / "predictions/test/a/low.wav", exp / "predictions/test/index.jsonl"]
    before, made = figures(exp), [path.stat().st_mtime_ns for path in kept]
    oracle()
    assert figures(exp) == before
    assert [path.stat().st_mtime_ns for path in kept] == made


def test_scored_again_all_is_scored_as_the_code_of_a_metric_may_have_changed(
    oracle: Callable[..., Path], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp, scored, score_item = oracle(), [], run.score_item
    monkeypatch.setattr(run, "score_item", lambda work: scored.append(work.stored["id"]) or score_item(work))
    score(exp, data, "test", 1)
    assert scored == ["a", "b"]


def test_another_model_of_the_same_weights_predicts_anew(oracle: Callable[..., Path]) -> None:
    ratios = figures(oracle("irm2"))
    assert figures(oracle("mix")) != ratios
    assert figures(oracle("irm2")) == ratios


def test_other_metrics_and_other_items_are_scored_anew(oracle: Callable[..., Path], data: Path) -> None:
    before, path = figures(oracle()), data / "songs" / "all.jsonl"
    path.write_text(path.read_text().replace("b/high.wav", "b/low.wav"))  # another reference
    assert figures(oracle()) != before
    assert "si_sdr_improvement/mean" in figures(oracle(metrics=["si_sdr_improvement"]))


def test_a_prediction_that_has_gone_is_asked_for_and_made_again(oracle: Callable[..., Path], data: Path) -> None:
    exp = oracle()
    before, lost = figures(exp), exp / "predictions" / "test" / "b" / "low.wav"
    lost.unlink()
    with pytest.raises(UserError, match=r"no such prediction: .*low\.wav\. Next: run the stage `infer` with --force"):
        score(exp, data, "test", 1)  # and no figures of what is left, nor of what an earlier run has scored
    oracle()
    assert lost.is_file()
    assert figures(exp) == before


def test_a_manifest_is_opened_once_for_all_items(
    oracle: Callable[..., Path], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp, opened = oracle(), []
    open_ = manifest.Manifest.open
    monkeypatch.setattr(run.Manifest, "open", lambda path: opened.append(path) or open_(path))
    score(exp, data, "test", 1)
    assert opened == [data / "songs" / "all.jsonl"]


def test_nothing_is_written_of_figures_that_cannot_be_summed_up(
    oracle: Callable[..., Path], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp = oracle()
    scored, summed = exp / "scores" / "test.jsonl", exp / "scores" / "test.summary.json"
    before = scored.read_text(), summed.read_text()

    def fail(*_: Any) -> None:
        raise UserError("no stored features")

    monkeypatch.setattr("toolkit.tasks.separation.Separation.compare", fail)
    files.write_json(exp / "config.yaml", json.loads(json.dumps(config("irm2", ["si_sdr_improvement"]))))
    with pytest.raises(UserError, match="no stored features"):
        score(exp, data, "test", 1)
    assert (scored.read_text(), summed.read_text()) == before
