"""Checkpoints: weights as safetensors, everything else that training needs to go on bit for bit beside them.

A checkpoint is a folder `checkpoints/step-00001234/` that is written under another name and renamed when it is whole; the
last two are kept.  In `SHA256SUMS` (which `sha256sum -c` reads) stands what its files were, so that one that a disk has
changed since is not gone on from: the one before is.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toolkit import files, log
from toolkit.blocks.low_rank import is_of_adapter
from toolkit.log import UserError
from toolkit.train import distributed

KEEP = 2
WEIGHTS, STATE, SUMS = "model.safetensors", "state.pt", "SHA256SUMS"
DATA = "-"  # in a key, between what tells the configuration and what tells the training data

logger = log.get(__name__)


def save_weights(model: nn.Module, path: Path | str) -> None:
    """Write a model's parameters and buffers as safetensors, atomically."""
    files.write_tensors(path, model.state_dict())


def load_weights(model: nn.Module, path: Path | str, adapters: bool = True) -> None:
    """Read weights that `save_weights` wrote into `model`.

    Args:
        model: of the same shapes.
        path: the file.
        adapters: whether the model's low-rank adapters must be in it; if not, and there are none, they stay as they are.

    Raises:
        UserError: the file is missing, is no safetensors file (a pickled one is not opened), or belongs to another model; the
            first differing tensor is named.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no weights at {path}. Next: run the stage `train`")
    stored, wanted = files.read_tensors(path, "give weights that `train` has written"), model.state_dict()
    if not adapters and not any(map(is_of_adapter, stored)):
        stored |= {name: value for name, value in wanted.items() if is_of_adapter(name)}
    for name in sorted(stored.keys() | wanted.keys()):
        found = tuple(stored[name].shape) if name in stored else "nothing"
        expected = tuple(wanted[name].shape) if name in wanted else "nothing"
        if found != expected:
            raise UserError(f"{path} belongs to another model: {name}: expected {expected}, found {found}")
    model.load_state_dict(stored)


def save(folder: Path, step: int, model: nn.Module, state: dict[str, Any]) -> None:
    """Write the checkpoint of `step` and drop all but the last two.

    Args:
        folder: the experiment's `checkpoints`.
        step: optimizer steps done.
        model: its weights go to `model.safetensors`.
        state: tensors, numbers, strings, lists and dicts of these: optimizer, schedule, random state, position.

    Raises:
        OSError: the disk is full, or nothing may be written; what was there before is still there.
    """
    final = folder / f"step-{step:08d}"
    partial = folder / f".partial-{os.getpid()}"
    for left in folder.glob(".partial-*"):  # by runs that were killed at this
        shutil.rmtree(left, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        save_weights(model, partial / WEIGHTS)
        with files.atomic(partial / STATE) as path:
            torch.save(state, path)
        files.write_text(partial / SUMS, _sums(partial))
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(final, ignore_errors=True)
    os.replace(partial, final)
    for old in _all(folder)[:-KEEP]:
        shutil.rmtree(old)


def load_latest(folder: Path, model: nn.Module, key: str, init: Path | str | None = None) -> dict[str, Any] | None:
    """Put the newest checkpoint's weights into `model` and return its state; None where there is none to go on from.

    A damaged checkpoint is told of and left for the one before.

    Args:
        folder: the experiment's `checkpoints`.
        model: receives the weights.
        key: what `state["key"]` must be: checkpoints of another configuration, or of other training data, are set aside, not
            continued.  What stands behind `DATA` may be missing there: older checkpoints do not tell their data.
        init: weights that `model` gets where there is no checkpoint to go on from.

    Raises:
        UserError: there are checkpoints, and all are damaged; or as of `load_weights` for `init`, nothing being set aside.
    """
    damaged: list[str] = []
    for path in reversed(_all(folder)):
        try:
            state = _read(path)
            if _continues(state["key"], key):
                load_weights(model, path / WEIGHTS)
        except UserError as error:
            damaged.append(f"{path.name}: {error}")
            continue
        if damaged:
            logger.warning("%s: a checkpoint is damaged, the one before, %s, is taken (%s)", folder, path.name, damaged[-1])
        if not _continues(state["key"], key):
            _begin(model, init)
            changed = "training data have" if state["key"].partition(DATA)[0] == key.partition(DATA)[0] else "configuration has"
            _set_aside(folder, state["key"], changed)
            return None
        return state
    if damaged:
        raise UserError(
            f"{folder}: all checkpoints are damaged ({'; '.join(damaged)}). "
            f"Next: bring back a copy of one, or begin the training anew: rm -r {folder}"
        )
    _begin(model, init)
    return None


def _begin(model: nn.Module, init: Path | str | None) -> None:
    if init is None:
        return
    if not Path(init).is_file():  # those of an experiment that was to come first
        raise UserError(
            f"train.init: expected weights, found no file {init}. "
            "Next: train the experiment that makes them, or name the file of another (--train.init)"
        )
    load_weights(model, init, adapters=False)


def _read(path: Path) -> dict[str, Any]:
    """The state of a checkpoint whose files are what they were.

    Raises:
        UserError: they are not, or cannot be read; nothing but tensors and plain values is ever unpickled.
    """
    missing = [name for name in (WEIGHTS, STATE) if not (path / name).is_file()]
    if missing:
        raise UserError(f"{' and '.join(missing)} is gone")
    if (path / SUMS).is_file() and (path / SUMS).read_bytes() != _sums(path).encode():  # older ones have none
        raise UserError("its files are not what was written")
    try:
        state = torch.load(path / STATE, map_location="cpu", weights_only=True)
        state["key"]
    except Exception as error:  # a file that is something else is refused in many ways
        raise UserError(f"{STATE} cannot be read: {' '.join(str(error).split())[:200]}") from error
    return state


def _sums(path: Path) -> str:
    return "".join(f"{files.sha256(path / name)}  {name}\n" for name in (WEIGHTS, STATE))


def _continues(found: str, key: str) -> bool:
    return found in (key, key.partition(DATA)[0])


def _set_aside(folder: Path, key: str, changed: str) -> None:
    """Keep the checkpoints of another configuration or of other data under another name."""
    aside = folder.with_name(f"checkpoints-of-{key}")
    distributed.wait()  # for all who read them
    if distributed.rank() == 0:
        logger.info("the %s changed: training begins anew, old checkpoints are now in %s", changed, aside)
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)
    distributed.wait()


def random_state() -> dict[str, Tensor | list[Tensor]]:
    """The state of torch's random generators."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def restore_random_state(state: dict[str, Any]) -> None:
    """Set torch's random generators to a saved state."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))
