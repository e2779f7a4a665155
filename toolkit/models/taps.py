"""Reading intermediate activations of any model by name: for deep supervision, distillation, early exits, interpreters."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn


@contextmanager
def tap(model: nn.Module, taps: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Record what modules give while the context is open.

    >>> with tap(model, {"early": "separator.blocks.7"}) as activations:
    ...     estimate = model(mixture)
    >>> activations["early"]

    The activations keep their gradients.  A module that runs more than once leaves its last output.

    Args:
        model: any module.
        taps: a name of your own for each module, named as in `model.named_modules()`.

    Yields:
        The outputs by those names, filled as the model runs.

    Raises:
        ValueError: the model has no such module.
    """
    modules = dict(model.named_modules())
    activations: dict[str, Any] = {}
    with ExitStack() as stack:
        for name, path in taps.items():
            if path not in modules:
                near = ", ".join(difflib.get_close_matches(path, modules, 3)) or ", ".join(list(modules)[1:6])
                raise ValueError(f"tap {name!r}: the model has no module {path!r}; it has {near}")
            stack.enter_context(_recording(modules[path], name, activations))
        yield activations


@contextmanager
def _recording(module: nn.Module, name: str, activations: dict[str, Any]) -> Iterator[None]:
    def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
        activations[name] = output

    handle = module.register_forward_hook(record)
    try:
        yield
    finally:
        handle.remove()
