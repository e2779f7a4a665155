"""Checkpoints: what a disk has changed is noticed, and the one before is gone on from."""

import errno
import pickle
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

from toolkit import files
from toolkit.log import UserError
from toolkit.train import checkpoint


def layer(value: float) -> nn.Module:
    model = nn.Linear(2, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def saved(folder: Path, steps: tuple[int, ...] = (1, 2)) -> Path:
    for step in steps:
        checkpoint.save(folder, step, layer(step), {"key": "k", "step": step})
    return folder


def flip(path: Path) -> None:
    """Change one bit of the last byte, which is in the middle of a tensor as far as safetensors is concerned."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip, cut, empty, Path.unlink])
@pytest.mark.parametrize("name", ["model.safetensors", "state.pt", "SHA256SUMS"])
def test_a_damaged_checkpoint_is_left_for_the_one_before(
    tmp_path: Path, damage, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(saved(tmp_path / "checkpoints") / "step-00000002" / name)
    model = layer(0)
    state = checkpoint.load_latest(tmp_path / "checkpoints", model, "k")
    assert state is not None
    if name == "SHA256SUMS" and damage is Path.unlink:  # as those that were written before there were sums
        assert state["step"] == 2
        return
    assert state["step"] == 1
    assert model.weight.eq(1).all()
    assert "a checkpoint is damaged, the one before, step-00000001, is taken (step-00000002: " in caplog.text


def test_where_all_are_damaged_the_next_command_is_told(tmp_path: Path) -> None:
    folder = saved(tmp_path / "checkpoints")
    flip(folder / "step-00000001" / "state.pt")
    cut(folder / "step-00000002" / "model.safetensors")
    why = "its files are not what was written"
    told = rf"all checkpoints are damaged \(step-00000002: {why}; step-00000001: {why}\)\. Next: .*rm -r .*checkpoints"
    with pytest.raises(UserError, match=told):
        checkpoint.load_latest(folder, layer(0), "k")


def test_an_older_checkpoint_without_sums_is_read_or_told(tmp_path: Path) -> None:
    folder = saved(tmp_path / "checkpoints", (1,))
    (folder / "step-00000001" / "SHA256SUMS").unlink()
    assert checkpoint.load_latest(folder, layer(0), "k") == {"key": "k", "step": 1}
    cut(folder / "step-00000001" / "model.safetensors")
    with pytest.raises(UserError, match=r"all checkpoints are damaged"):
        checkpoint.load_latest(folder, layer(0), "k")


def test_the_sums_are_those_of_a_well_known_tool(tmp_path: Path) -> None:
    folder = saved(tmp_path, (1,)) / "step-00000001"
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=folder, check=True)


def test_a_full_disk_leaves_the_checkpoints_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, (1,))

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("unexpected pos 576 vs 534")  # what torch makes of it

    (tmp_path / ".partial-1").mkdir()  # left by a run that was killed
    monkeypatch.setattr(torch, "save", full)
    monkeypatch.setattr(files, "_refusal", lambda path: OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, 2, layer(2), {"key": "k"})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("evil"),)


def test_what_is_pickled_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = saved(tmp_path / "checkpoints", (1,)) / "step-00000001"
    (folder / "SHA256SUMS").unlink()
    for content in (pickle.dumps({"key": Evil()}), b""):
        (folder / "state.pt").write_bytes(content)
        with pytest.raises(UserError, match=r"state\.pt cannot be read"):
            checkpoint.load_latest(folder.parent, layer(0), "k")
    torch.save({"key": Evil()}, folder / "state.pt")
    with pytest.raises(UserError, match=r"state\.pt cannot be read: Weights only load failed"):
        checkpoint.load_latest(folder.parent, layer(0), "k")
    torch.save(layer(1).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(UserError, match=r"weights\.pt is no safetensors file.*could run code and are not opened"):
        checkpoint.load_weights(layer(0), tmp_path / "weights.pt")
    assert not (tmp_path / "evil").exists()
