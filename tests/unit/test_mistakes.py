"""Mistakes of users end in one line, which says what is wrong, where, and what to do, and in exit code 2; nothing is lost."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import toolkit
from toolkit import audio, cli, files
from toolkit.cli import main
from toolkit.data import manifest
from toolkit.data.manifest import Item
from toolkit.data.records import Info, Summary
from toolkit.files import misfit
from toolkit.log import UserError

NAME = "sounds/all"
DATA = {**dict.fromkeys(("train", "valid", "test"), NAME), "sources": ["s1", "s2"], "workers": 0}
RUN = {"config": "conf/tiny.yaml", "recipe": "a/b", "config_hash": "h", "edition": "mini", "overrides": [], "commit": "c"}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any], untrained: Callable[..., Path]) -> Path:
    """A recipe with two experiments that are scored, their corpus, a configuration and a recording."""
    folder, tree = tmp_path_factory.mktemp("a recipe, größer"), {**tiny, "data": tiny["data"] | DATA}
    items = []
    for number in range(2):
        name = f"c{number}.wav"
        audio.write(folder / "data" / name, 0.1 * torch.randn(1, 1600), 8000)
        items.append(Item(f"i{number}", "all", 8000, 1600, 1, dict.fromkeys(("mixture", "s1", "s2"), name)))
    manifest.write(folder / "data" / f"{NAME}.jsonl", {"root": "..", "name": NAME, "edition": "mini"}, items)
    for seed, tag in enumerate("ab"):
        exp = untrained(folder / "exp" / tag, tree)
        files.write_json(exp / "run.json", {**RUN, "seed": seed})
        files.append_jsonl(exp / "metrics.jsonl", {"epoch": 1, "valid/loss": 1.0})
        files.write_json(exp / "predictions" / "test" / "made_by.json", {"weights": files.sha256(exp / "model.safetensors")})
        for item in items:
            files.append_jsonl(exp / "predictions" / "test" / "index.jsonl", {"id": item.id, "audio": {}})
            files.append_jsonl(exp / "scores" / "test.jsonl", {"id": item.id, "metrics": {"si_sdr": 1.0}})
        summary = {"data": NAME, "edition": "mini", "items": len(items), "metrics": {"si_sdr/mean": 1.0}}
        files.write_json(exp / "scores" / "test.summary.json", summary)
    files.write_text(folder / "conf" / "tiny.yaml", yaml.safe_dump(tree))
    return folder


@pytest.fixture
def house(furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, to be spoilt."""
    copied = Path(shutil.copytree(furnished, tmp_path / "größer"))
    monkeypatch.chdir(copied)
    return copied


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """The one line that a command ends in."""

    def run(words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(words.split())
        assert ended.value.code == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert [line.startswith("toolkit ") for line in lines].count(True) == 1
        return lines[-1]

    return run


DAMAGED = {
    "empty": b"",
    "cut short": b'{"config": "conf',
    "a list": b"[1]\n",
    "null": b"null\n",
    "another's": b'{"a": 1}\n',
    "not UTF-8": b'{"a": "\xe4"}\n',
    "no text": bytes(range(256)),
}
DAMAGES = ["another's", "no text"]
READERS = [
    *(("compare exp/a exp/b", "exp/a/run.json", damage) for damage in DAMAGED),
    *(("compare exp/a exp/b", "exp/a/scores/test.summary.json", damage) for damage in DAMAGES),
    *(("compare exp/a exp/b", "exp/a/scores/test.jsonl", damage) for damage in DAMAGES),
    *(("pack exp/a -o packed", "exp/a/run.json", damage) for damage in DAMAGES),
    *(("reference exp/a exp/b", "exp/b/metrics.jsonl", damage) for damage in DAMAGES),
    *(("infer --exp exp/a", "exp/a/config.yaml", damage) for damage in DAMAGES),
    *(("infer --exp exp/a", f"data/{NAME}.jsonl", damage) for damage in DAMAGES),
    *(("infer --exp exp/a --device cpu", "exp/a/model.safetensors", damage) for damage in DAMAGES),
    *(("score --exp exp/a --nj 1", "exp/a/predictions/test/made_by.json", damage) for damage in DAMAGES),
    *(("score --exp exp/a --nj 1", "exp/a/predictions/test/index.jsonl", damage) for damage in DAMAGES),
]


@pytest.mark.parametrize(("words", "name", "damage"), READERS)
def test_a_damaged_file_is_named(words: str, name: str, damage: str, house: Path, told: Callable[[str], str]) -> None:
    (house / name).write_bytes(DAMAGED[damage])
    line = told(words)
    assert Path(name).name in line or Path(name).parent.name in line
    assert "Next: " in line


def test_checkpoints_of_another_version(house: Path, told: Callable[[str], str]) -> None:
    words = "train --config conf/tiny.yaml --exp exp/n --device cpu --train.epochs"
    main([*words.split(), "1"])
    for step in (house / "exp" / "n" / "checkpoints").iterdir():
        (step / "SHA256SUMS").unlink()
        torch.save({"key": torch.load(step / "state.pt", weights_only=True)["key"]}, step / "state.pt")
    assert "exp/n/checkpoints: they are of another version, or damaged" in told(f"{words} 2")


def test_scores_that_lack_lines_are_not_compared(house: Path, told: Callable[[str], str]) -> None:
    path = house / "exp" / "a" / "scores" / "test.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    assert "expected 2 items, as test.summary.json says, found 1. Next: run the stage `score` with --force" in told(
        "compare exp/a exp/b"
    )


def test_a_damaged_record_of_a_stage_is_as_good_as_none(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for damage in DAMAGED.values():
        files.write_text(house / "exp" / "a" / ".stages" / "infer.json", "")
        (house / "exp" / "a" / ".stages" / "infer.json").write_bytes(damage)
        main(["infer", "--exp", "exp/a", "--status"])
        assert capsys.readouterr().out.split()[:2] == ["infer", "missing"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train --exp exp/n --train 3", "train: expected keys and values, found 3"),
        ("train --exp exp/n --train.seed -1", "train.seed: expected 0 or more"),
        ("train --exp exp/n --train.clip_grad_norm 0", "train.clip_grad_norm: expected more than 0"),
        ("train --exp exp/n --train.patience 0", "train.patience: expected 1 or more epochs"),
        ("train --exp exp/n --task [1]", "no task is called [1]"),
        ("train --exp exp/n --model.class_path 3", "model.class_path: expected the name of a block, found 3"),
        ("train --exp exp/n --model.init_args [1]", "init_args: expected keys and values, found [1]"),
        ("train --exp exp/n --data.sample_rate 0", "data.sample_rate: expected 1 Hz or more, found 0"),
        ("train --exp exp/n --data.segment -1", "data.segment: expected at least one sample"),
        ("train --exp exp/n --data.batch_size 0", "data.batch_size: expected 1 or more, found 0"),
        ("train --exp exp/n --data.workers -1", "data.workers: expected 0 or more, found -1"),
        ("train --exp exp/n --optimizer.lr -1", "optimizer: Invalid learning rate: -1"),
        ("train --exp exp/n --optimizer LBFGS", "optimizer: expected one that steps once a batch"),
        ("train --exp exp/n --optimizer.fused true --optimizer.foreach true", "optimizer: `fused` and `foreach` cannot be"),
        ("train --exp exp/n --schedule StepLR --schedule.step_size 0", "each of 100 epochs, found ZeroDivisionError"),
        ("train --exp exp/n --device quantum", "--device: expected auto, cpu, cuda or cuda:N, found 'quantum'"),
        ("train --exp conf/tiny.yaml", "Not a directory"),
        ("summary --model.encoder.filters -1", "config: "),
    ],
)
def test_an_option_that_makes_no_sense(words: str, expected: str, house: Path, told: Callable[[str], str]) -> None:
    verb, _, rest = words.partition(" ")
    device = "" if "--device" in words or verb == "summary" else " --device cpu"
    assert expected in told(f"{verb} --config conf/tiny.yaml {rest}{device}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("report --exp exp/a --dta data", "toolkit report: no option --dta. Next: toolkit report --help"),
        ("score --exp exp/a --split tset", "toolkit score: argument --split: invalid choice: 'tset' (choose from "),
        ("train --config c.yaml --expp exp/n", "toolkit train: the following arguments are required: --exp. Next: toolkit"),
        ("trian --config c.yaml", "toolkit: argument VERB: invalid choice: 'trian' (choose from "),
    ],
)
def test_a_misspelt_word_of_the_command_line(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    line = capsys.readouterr().err
    assert line.startswith(expected)
    assert line.endswith("--help\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    "text", ["extends: 3", "data: [1]", "1: 2", "data: &a {x: *a}", "data: " + "[" * 400, "a: 2020-13-45", "a: 1\na: 2"]
)
def test_a_configuration_that_is_none(text: str, house: Path, told: Callable[[str], str]) -> None:
    files.write_text(house / "conf" / "tiny.yaml", text)
    assert "expected" in (line := told("train --config conf/tiny.yaml --exp exp/n")) or "not YAML" in line


def test_a_training_that_is_refused_leaves_what_was_trained_as_it_was(house: Path, told: Callable[[str], str]) -> None:
    before = (house / "exp" / "a" / "config.yaml").read_bytes()
    told("train --config conf/tiny.yaml --exp exp/a --device cpu --optimizer.lr -1")
    told("train --config conf/tiny.yaml --exp exp/a --device cpu --data.train sounds/none")
    assert (house / "exp" / "a" / "config.yaml").read_bytes() == before


def test_a_stereo_corpus_and_a_mono_model(house: Path, told: Callable[[str], str]) -> None:
    path = house / "data" / f"{NAME}.jsonl"
    path.write_text(path.read_text().replace('"channels": 1', '"channels": 2'))
    line = told("train --config conf/tiny.yaml --exp exp/n --device cpu")
    assert f"{NAME}.jsonl: expected 1 channels, as the model has, found 2. Next: --model.audio_channels 2" in line
    assert "--data.downmix true" in line


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ('"id": "i0"', '"id": "../../i0"', "id: expected a name, found '../../i0'"),
        ('"frames": 1600', '"frames": -5', "Expected `int` >= 0 - at `$.frames`"),
        ('"mixture": "c0.wav"', '"mixture": 3', "Expected `str`, got `int` - at `$.audio[...]`"),
        ('"root": ".."', '"root": 3', "Expected `str`, got `int` - at `$.root`"),
    ],
)
def test_a_manifest_that_was_written_by_hand(
    key: str, value: str, expected: str, house: Path, told: Callable[[str], str]
) -> None:
    path = house / "data" / f"{NAME}.jsonl"
    path.write_text(path.read_text().replace(key, value))
    shutil.rmtree(house / "exp" / "a" / "predictions")
    assert expected in told("infer --exp exp/a --device cpu")


def test_weights_that_may_not_be_read_are_not_said_to_be_missing(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError):
        files.read_tensors(house / "exp" / "a" / "model.safetensors")


@pytest.mark.parametrize(
    ("wave", "rate"),
    [
        (torch.zeros(800), 0),
        (torch.zeros(800), -8000),
        (torch.zeros(800), 8000.5),
        (torch.zeros(800), None),
        (torch.full((800,), torch.nan), 8000),
        (torch.zeros(0), 8000),
        (None, 8000),
    ],
)
def test_a_waveform_that_is_none(wave: Any, rate: Any, furnished: Path) -> None:
    model = toolkit.load(furnished / "exp" / "a")
    with pytest.raises(ValueError, match="expected"):
        model.separate(wave, rate)  # type: ignore[union-attr]


def test_what_is_no_experiment_is_not_loaded(furnished: Path) -> None:
    for path in (furnished, furnished / "nowhere", furnished / "conf" / "tiny.yaml"):
        with pytest.raises(UserError, match="no trained experiment"):
            toolkit.load(path)
    for value in (None, 3, b"exp", [furnished]):
        with pytest.raises(UserError, match="expected the folder of a trained experiment or of a pack, found"):
            toolkit.load(value)  # type: ignore[arg-type]


def test_what_was_never_trained_is_not_scored(told: Callable[[str], str], house: Path) -> None:
    wanted = "toolkit score: exp/c is no trained experiment (no config.yaml). Next: run the stage `train`"
    assert told("score --exp exp/c --data data --split test") == wanted


def test_a_gpu_whose_memory_does_not_suffice(told: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1.00 GiB")

    monkeypatch.setitem(cli.VERBS, "blocks", replace(cli.VERBS["blocks"], run=run))
    wanted = "toolkit blocks: CUDA out of memory. Tried to allocate 2.00 GiB. Next: train with a smaller --data.batch_size, "
    assert told("blocks").startswith(wanted)
    with pytest.raises(torch.OutOfMemoryError):
        main(["blocks", "--debug"])


def test_whoever_reads_what_is_printed_may_have_read_enough(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    words = ["fetch", "wsj0_mix", "--status", "--data", str(tmp_path)]
    ended = subprocess.run([sys.executable, "-m", "toolkit", *words], stdout=writes, stderr=subprocess.PIPE, text=True)
    os.close(writes)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_the_first_value_that_is_of_another_type_is_told_with_its_place() -> None:
    assert not misfit({"config": "c", "seed": 1, "train_seconds": 1, "more": None}, Info)
    assert misfit({"seed": 1}, Info) == "Object missing required field `config`"
    assert misfit({"config": "c", "seed": True}, Info) == "Expected `int`, got `bool` - at `$.seed`"
    assert misfit({"config": "c", "overrides": ["a", 3]}, Info) == "Expected `str`, got `int` - at `$.overrides[1]`"
    assert misfit({"data": "d", "metrics": {"x/mean": "y"}}, Summary).startswith("Expected `float | null`, got `str` - at")
    assert misfit([], Summary) == "Expected `object`, got `array`"
