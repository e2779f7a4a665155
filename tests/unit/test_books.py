"""What each stage reads, as its command line and its configuration tell."""

from pathlib import Path

import pytest

from toolkit import files
from toolkit.cli import main

CONFIG = """
data: {train: bells/train, valid: bells/valid, test: bells/test}
model: {class_path: Tagger, init_args: {head: {class_path: LinearHead, init_args: {init: he_uniform}}}}
loss: {class_path: EAsT, init_args: {teacher: exp/teacher_0.5}}
train: {init: exp/paper/model.safetensors}
"""


def test_training_reads_manifests_and_the_weights_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_text("conf.yaml", CONFIG)
    Path("exp/teacher_0.5").mkdir(parents=True)  # an experiment, whatever its name ends in
    main(["train", "--config", "conf.yaml", "--exp", "exp/new", "--status"])
    inputs = capsys.readouterr().out.split(maxsplit=2)[2].partition(" -> ")[0].split(", ")
    weights = ["exp/teacher_0.5/model.safetensors", "exp/paper/model.safetensors"]
    assert sorted(inputs) == sorted(["data/bells/train.jsonl", "data/bells/valid.jsonl", *weights])
