"""Activation checkpointing: chosen modules keep only their inputs, and compute the rest again in the backward pass.

After Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174), by `torch.utils.checkpoint`.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

from toolkit.log import UserError, suggestion


def apply(model: nn.Module, chosen: Sequence[str]) -> list[str]:
    """Let modules of a model compute their activations twice instead of keeping them.

    Weights keep their names, hooks on a chosen module work as before, and a copy of the model does the same with its own
    weights.  Of modules within each other the outermost counts.

    Args:
        model: is changed.
        chosen: names of classes, or patterns of qualified names as in `model.named_modules()`; `*` is anything.

    Returns:
        The names of the modules.

    Raises:
        UserError: nothing in the model is called so.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    found: list[str] = []
    for pattern in chosen:
        names = [name for name, module in modules.items() if type(module).__name__ == pattern or fnmatchcase(name, pattern)]
        if not names:
            known = _repeated(modules)
            raise UserError(
                "train.checkpoint_activations: expected classes of the model's modules, or patterns of their places, "
                f"found {pattern!r}{suggestion(pattern, known)}"
            )
        found += names
    outermost = [name for name in modules if name in found and not any(_is_within(name, other) for other in found)]
    for name in outermost:
        vars(modules[name])["forward"] = functools.partial(_forward, modules[name])  # a copy of the model gets its own
    return outermost


def _is_within(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")


def _repeated(modules: dict[str, nn.Module]) -> list[str]:
    """Classes of which there are several modules that are made of others: the blocks of which a model is built."""
    counts = Counter(type(module).__name__ for module in modules.values() if any(True for _ in module.children()))
    return [name for name, count in counts.items() if count > 1] or sorted({type(m).__name__ for m in modules.values()})


def _forward(module: nn.Module, *inputs: Any, **options: Any) -> Any:
    """What stands for the `forward` of a chosen module."""
    run = functools.partial(type(module).forward, module)
    if not (module.training and torch.is_grad_enabled()):
        return run(*inputs, **options)
    if torch.compiler.is_compiling():  # the compiler itself sees to it that nothing but activations is computed twice
        return checkpoint(run, *inputs, use_reentrant=False, **options)
    return checkpoint(run, *inputs, use_reentrant=False, context_fn=functools.partial(_contexts, module), **options)


def _contexts(module: nn.Module) -> tuple[Any, Any]:
    """Around the first computation, and around the second."""
    return contextlib.nullcontext(), _undone(module)


@contextlib.contextmanager
def _undone(module: nn.Module) -> Iterator[None]:
    """Running statistics of norms are as before when it is over; what a norm in training puts out does not depend on them."""
    norms = [part for part in module.modules() if isinstance(part, _NormBase) and part.training]
    kept = [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers(recurse=False)]
    try:
        yield
    finally:
        for buffer, before in kept:
            buffer.copy_(before)
