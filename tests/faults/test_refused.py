"""Inputs that are damaged or evil: refused in one line, and nothing of them is executed."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import House, Row
from test_ended import last
from torch import nn

from toolkit import config
from toolkit.corpora import _archives
from toolkit.data import store, tables
from toolkit.data.manifest import Item, Manifest, write
from toolkit.log import UserError
from toolkit.models.compressed import Compressed
from toolkit.models.vggish import read_released
from toolkit.report.paper import Paper
from toolkit.train import checkpoint

pytestmark = pytest.mark.faults


class Evil:
    """Unpickled, it leaves a mark."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def refused(row: Row, function: Callable[[], Any], place: Path) -> None:
    """Count whether a function refuses what it is given, and nothing was executed."""
    with pytest.raises(UserError) as caught:
        function()
    assert not (place / "executed").exists()
    row.count(True)
    row.told = row.told or str(caught.value).replace(str(place), "…")[:160]


def packed(path: Path, kind: str, name: str, content: bytes = b"x", link: str = "") -> Path:
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16 if link else 0
            bundle.writestr(info, link or content, zipfile.ZIP_DEFLATED)
        return path
    with tarfile.open(path, "w:gz") as tar:
        header = tarfile.TarInfo(name)
        header.size = 0 if link else len(content)
        header.type, header.linkname = (tarfile.SYMTYPE if link else tarfile.REGTYPE), link
        tar.addfile(header, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("fault", "name", "link", "size"),
    [
        ("archive with a path that begins with /", "/etc/x", "", 1),
        ("archive with .. in a path", "a/../../x", "", 1),
        ("archive with a link that points outside", "a", "../../x", 1),
        ("archive that would become a thousand times as large", "zeros", "", 1 << 21),
    ],
)
def test_archives(
    fault: str, name: str, link: str, size: int, tmp_path: Path, row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_archives, "MOST_BYTES", 1 << 20)
    line = row(fault, "fetch")
    for kind in ("zip", "tar"):
        path = packed(tmp_path / f"a.{kind}", kind, name, bytes(size), link)
        refused(line, lambda path=path: _archives.extract(path, tmp_path / "out"), tmp_path)  # type: ignore[misc]
    assert not list((tmp_path / "out").iterdir())


def test_yaml_with_tags_of_objects(tmp_path: Path, row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = row("YAML with tags of objects", "all that read one")
    text = "!!python/object/apply:os.mkdir [executed]"
    (tmp_path / "a.yaml").write_text(f"train: {text}")
    refused(line, lambda: config.read(tmp_path / "a.yaml"), tmp_path)
    refused(line, lambda: config.parse_overrides(["--train.epochs", text]), tmp_path)
    refused(line, lambda: Paper.read(tmp_path / "a.yaml"), tmp_path)


def test_pickles(tmp_path: Path, row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = row("pickle in the place of weights, states, arrays", "all that read one")
    evil = tmp_path / "model.safetensors"
    evil.write_bytes(pickle.dumps(Evil()))
    torch.save({"weight": Evil()}, tmp_path / "evil.pt")
    np.save(tmp_path / "00000.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    step = tmp_path / "checkpoints" / "step-00000001"
    checkpoint.save(step.parent, 1, nn.Linear(1, 1), {"key": "k"})
    (step / "SHA256SUMS").unlink()
    torch.save({"key": "k", "x": Evil()}, step / "state.pt")
    write(tmp_path / "m.jsonl", {"root": ".", "name": "m"}, [Item("a", "train", 0, 1, 0, {"x": "00000.npy"})])
    listed = Manifest.open(tmp_path / "m.jsonl")
    (tmp_path / "00000.jsonl").write_text('{"id": "a", "start": 0, "frames": 1}\n')
    (tmp_path / "store.json").write_text('{"shards": 1}')
    readers: list[Callable[[], Any]] = [
        lambda: checkpoint.load_weights(nn.Linear(1, 1), evil),
        lambda: checkpoint.load_weights(nn.Linear(1, 1), tmp_path / "evil.pt"),
        lambda: checkpoint.load_latest(step.parent, nn.Linear(1, 1), "k"),
        lambda: read_released(tmp_path / "evil.pt", "vggish-10086976.pth", check=False),
        lambda: read_released(evil, "vggish-10086976.pth", check=False),
        lambda: Compressed.load(evil),
        lambda: tables.read(listed, listed[0], "x"),
        lambda: store.Store(tmp_path),
    ]
    for read in readers:
        refused(line, read, tmp_path)


def test_weights_that_are_damaged_or_pickled(house: House, tmp_path: Path, row: Callable[..., Row]) -> None:
    line = row("weights that are cut short, or pickled", "infer")
    folder = house.before("infer", tmp_path / "house")
    weights = folder / "exp" / "model.safetensors"
    for content in (weights.read_bytes()[:-9], pickle.dumps(Evil())):
        weights.write_bytes(content)
        ended = house.run("infer", folder)
        assert ended.code == 2
        assert not (folder / "executed").exists()
        line.told = last(ended)
        line.count("is no safetensors file" in line.told)
    assert line.survived == line.tried
