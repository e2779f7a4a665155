"""Checkpoints: weights as safetensors, everything else that training needs to go on bit for bit beside them.

A checkpoint is a folder `checkpoints/step-00001234/` that is written under another name and renamed when it is whole; the
last two are kept.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from toolkit import files, log
from toolkit.blocks.low_rank import is_of_adapter
from toolkit.log import UserError

KEEP = 2

logger = log.get(__name__)


def save_weights(model: nn.Module, path: Path | str) -> None:
    """Write a model's parameters and buffers as safetensors, atomically."""
    with files.atomic(path) as partial:
        save_file({name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}, partial)


def load_weights(model: nn.Module, path: Path | str, adapters: bool = True) -> None:
    """Read weights that `save_weights` wrote into `model`.

    Args:
        model: of the same shapes.
        path: the file.
        adapters: whether the model's low-rank adapters must be in it; if not, and there are none, they stay as they are.

    Raises:
        UserError: the file is missing or belongs to another model; the first differing tensor is named.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no weights at {path}. Next: run the stage `train`")
    stored, wanted = load_file(path), model.state_dict()
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
    """
    final = folder / f"step-{step:08d}"
    partial = folder / f".partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_weights(model, partial / "model.safetensors")
    torch.save(state, partial / "state.pt")
    shutil.rmtree(final, ignore_errors=True)
    os.replace(partial, final)
    for old in _all(folder)[:-KEEP]:
        shutil.rmtree(old)


def load_latest(folder: Path, model: nn.Module, key: str) -> dict[str, Any] | None:
    """Put the newest checkpoint's weights into `model` and return its state; None where there is none to go on from.

    Args:
        folder: the experiment's `checkpoints`.
        model: receives the weights.
        key: what `state["key"]` must be: checkpoints of another configuration are set aside, not continued.
    """
    for path in reversed(_all(folder)):
        state = torch.load(path / "state.pt", weights_only=True)
        if state["key"] != key:
            aside = folder.with_name(f"checkpoints-of-{state['key']}")
            logger.info("the configuration has changed: training begins anew, old checkpoints are now in %s", aside)
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(folder, aside)
            return None
        load_weights(model, path / "model.safetensors")
        return state
    return None


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
