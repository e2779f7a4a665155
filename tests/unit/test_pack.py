"""`toolkit pack`: an experiment as a folder to give away, which is opened without trust."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import toolkit
from toolkit import files
from toolkit.cli import main
from toolkit.infer.pack import pack
from toolkit.log import UserError

RUN = {
    "recipe": "wsj0_mix/conv_tasnet",
    "config": "conf/mini.yaml",
    "overrides": [],
    "command": "toolkit train --config conf/mini.yaml --data ../data --exp exp/mini",
    "commit": "abc1234",
    "config_hash": "0123456789ab",
    "seed": 0,
    "device": "cpu",
    "torch": "2.14",
    "parameters": 1234,
    "epochs": 8,
    "train_seconds": 90.0,
    "data": {"train": "wsj0-2mix/8k/min/tr", "valid": "wsj0-2mix/8k/min/cv", "test": "wsj0-2mix/8k/min/tt"},
    "edition": "full",
    "finished": "2026-11-21T08:00:00+0000",
}


@pytest.fixture(scope="module")
def trained(untrained: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment as it is after the stage `score`."""
    folder = untrained(tmp_path_factory.mktemp("exp") / "mini")
    files.write_json(folder / "run.json", RUN)
    metrics = {"si_sdr/mean": 3.254, "si_sdr/median": 4.0}
    summary = {"data": "wsj0-2mix/8k/min/tt", "edition": "full", "items": 24, "skipped": 0, "metrics": metrics}
    files.write_json(folder / "scores" / "test.summary.json", summary)
    files.append_jsonl(folder / "metrics.jsonl", {"epoch": 1})
    return folder


@pytest.fixture
def exp(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "exp")


@pytest.fixture(scope="module")
def sound(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack as it should be."""
    return pack(trained, tmp_path_factory.mktemp("packs") / "pack")


@pytest.fixture
def packed(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "pack")


def changed(packed: Path, place: list[str], value: Any) -> None:
    tree = yaml.safe_load((packed / "config.yaml").read_text())
    node = tree
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    (packed / "config.yaml").write_text(yaml.safe_dump(tree))


def test_a_pack_gives_what_the_experiment_gives(exp: Path, tmp_path: Path) -> None:
    wave = 0.1 * torch.randn(2, 9000)
    before = toolkit.load(exp).separate(wave, 11025)
    main(["pack", str(exp), "-o", str(tmp_path / "pack")])
    shutil.rmtree(exp)
    model = toolkit.load(tmp_path / "pack").to("cpu")
    assert model.sources == ["s1", "s2"]
    assert all(before[name].equal(waveform) for name, waveform in model.separate(wave, 11025).items())


def test_what_is_in_a_pack(packed: Path) -> None:
    inside = {str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file()}
    assert inside == {"MODEL_CARD.md", "config.yaml", "model.safetensors", "run.json", "scores/test.summary.json"}
    card = (packed / "MODEL_CARD.md").read_text()
    for told in ("LDC93S6A", "1,234 parameters", "3.25", "edition of the data: full", RUN["command"], "abc1234", "s1, s2"):
        assert told in card
    assert "not comparable" not in card


def test_the_cards_lines_can_be_pasted(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(packed.parent)
    lines = (packed / "MODEL_CARD.md").read_text().partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {"wave": torch.randn(1, 900), "sample_rate": 8000}
    exec(lines, names)
    assert names["stems"].keys() == {"s1", "s2"}


def test_figures_of_less_than_the_full_corpus_are_called_so(exp: Path, tmp_path: Path) -> None:
    files.write_json(exp / "run.json", {**RUN, "edition": "mini"})
    card = (pack(exp, tmp_path / "pack") / "MODEL_CARD.md").read_text()
    assert "not comparable with published figures" in card
    assert "Licence of the data: none needed" in card


def test_what_was_measured_in_the_models_place_has_a_column(exp: Path, tmp_path: Path) -> None:
    metrics = {
        "lsd/mean": 3.0,
        "untrained/lsd/mean": 9.0,
        "frechet_distance@log_mel": 5.0,
        "real/frechet_distance@log_mel": 1.0,
    }
    summary = {"data": "urmp/test", "edition": "full", "items": 1, "skipped": 0, "metrics": metrics}
    files.write_json(exp / "scores" / "test.summary.json", summary)
    card = (pack(exp, tmp_path / "pack") / "MODEL_CARD.md").read_text()
    assert "1 item of urmp/test, edition" in card
    assert "| Metric | trained | untrained | real |" in card
    assert "| Fréchet distance, log mel | 5.000 | - | 1.000 |" in card


def test_of_tables_the_rows_are_counted_too(exp: Path, tmp_path: Path) -> None:
    summary = {
        "data": "dmelodies/seed0/test",
        "edition": "full",
        "items": 1,
        "rows": 102912,
        "skipped": 0,
        "metrics": {"mig": 0.1},
    }
    files.write_json(exp / "scores" / "test.summary.json", summary)
    card = (pack(exp, tmp_path / "pack") / "MODEL_CARD.md").read_text()
    assert "1 item of dmelodies/seed0/test, 102,912 rows, edition" in card


def test_the_corpus_is_that_of_the_data_whatever_the_recipe(exp: Path, tmp_path: Path) -> None:
    files.write_json(exp / "run.json", {**RUN, "recipe": "urmp/pesto", "data": {"train": "urmp/train", "test": "mir1k/test"}})
    card = (pack(exp, tmp_path / "pack") / "MODEL_CARD.md").read_text()
    assert "Corpus: urmp, mir1k" in card
    assert "mir1k: none stated by its makers" in card


def test_nothing_is_written_over_and_nothing_half_is_left(exp: Path, tmp_path: Path) -> None:
    pack(exp, tmp_path / "pack")
    with pytest.raises(UserError, match="exists already"):
        pack(exp, tmp_path / "pack")
    (exp / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no weights"):
        pack(exp, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exp", "pack"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["model", "class_path"], "os.system"),
        (["model", "class_path"], "evil.MaskedSeparator"),
        (["model", "class_path"], "toolkit.files.Path"),
        (["model"], "evil.MaskedSeparator"),
        (["model", "init_args", "separator", "class_path"], "subprocess.Popen"),
        (["optimizer", "class_path"], "evil.Adam"),
        (["schedule"], {"class_path": "torch.optim.lr_scheduler.LambdaLR", "init_args": {"lr_lambda": "evil.run"}}),
        (["model", "init_args", "sources"], "evil.run"),
    ],
    ids=str,
)
def test_a_configuration_that_names_anything_foreign_is_refused(
    packed: Path, monkeypatch: pytest.MonkeyPatch, place: list[str], value: Any
) -> None:
    (packed / "evil.py").write_text("open('executed', 'w')\nclass MaskedSeparator: pass\nAdam = run = MaskedSeparator\n")
    monkeypatch.chdir(packed)
    monkeypatch.syspath_prepend(str(packed))
    changed(packed, place, value)
    with pytest.raises(UserError, match="which is no class of the toolkit"):
        toolkit.load(packed)
    assert not (packed / "executed").exists()


def test_a_configuration_that_runs_code_as_yaml_is_refused(packed: Path, tmp_path: Path) -> None:
    with (packed / "config.yaml").open("a") as stream:
        stream.write(f"extra: !!python/object/apply:os.mkdir ['{tmp_path / 'executed'}']\n")
    with pytest.raises(UserError, match="not YAML"):
        toolkit.load(packed)
    assert not (tmp_path / "executed").exists()


def test_a_pack_of_another_version_says_so_where_it_cannot_be_opened(packed: Path) -> None:
    files.write_json(packed / "run.json", {**RUN, "packed_by": "9.0.0"})
    assert toolkit.load(packed).sources == ["s1", "s2"]  # what can be opened is
    changed(packed, ["model", "init_args", "of_a_later_year"], 1)
    with pytest.raises(UserError, match=r"no option \'of_a_later_year\'.*packed by Reprise 9\.0\.0, this is"):
        toolkit.load(packed)


def test_damaged_and_missing_weights(packed: Path) -> None:
    weights = packed / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"model\.safetensors is no safetensors file"):
        toolkit.load(packed)
    weights.rename(packed / "model.compressed.safetensors")  # which only a quantized model has
    with pytest.raises(UserError, match=r"no weights at .*model\.safetensors\. Next:"):
        toolkit.load(packed)


def test_weights_are_not_unpickled(packed: Path) -> None:
    torch.save({"weight": torch.ones(1)}, packed / "model.safetensors")
    with pytest.raises(UserError, match="safetensors"):
        toolkit.load(packed)


def test_importing_the_toolkit_loads_none_of_its_parts() -> None:
    code = "import sys, toolkit; toolkit.load; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
