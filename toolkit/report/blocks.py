"""`toolkit blocks`: what fits which slot, with the first line of its description and its options."""

from __future__ import annotations

import inspect
from importlib import import_module

from toolkit.config import subclasses
from toolkit.log import UserError, suggestion

SLOTS = {
    "Encoder": "toolkit.blocks",
    "Separator": "toolkit.blocks",
    "Decoder": "toolkit.blocks",
    "Scorer": "toolkit.blocks",
    "EncoderLayer": "toolkit.blocks",
    "DecoderLayer": "toolkit.blocks",
    "Bottleneck": "toolkit.blocks",
    "ResidualBranch": "toolkit.blocks",
    "Masker": "toolkit.blocks",
    "Feature": "toolkit.tasks.tagging",  # imports every feature there is
    "Frontend": "toolkit.blocks",
    "Backbone": "toolkit.blocks",
    "Pooling": "toolkit.blocks",
    "Head": "toolkit.blocks",
    "SeparationModel": "toolkit.models",
    "TaggingModel": "toolkit.models",
    "SeparationLoss": "toolkit.losses",
    "PairwiseLoss": "toolkit.losses",
    "Penalty": "toolkit.losses",
    "TaggingLoss": "toolkit.losses",
    "FeatureLoss": "toolkit.losses",
}


def table(slot: str | None = None) -> str:
    """One line a block: its name, what it is, its options with their defaults.

    Raises:
        UserError: no slot has that name.
    """
    if slot is not None and slot not in SLOTS:
        raise UserError(f"no slot is called {slot!r}{suggestion(slot, SLOTS)}")
    lines = []
    for name in [slot] if slot else SLOTS:
        base = getattr(import_module(SLOTS[name]), name)
        lines.append(f"{name}: {_first_line(base)}")
        for block in sorted(subclasses(base).items()):
            if block[1] is not base:
                lines.append(f"  {block[0]:<26} {_first_line(block[1])}")
                lines.append(f"  {'':<26} {_options(block[1])}")
    return "\n".join(lines)


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def _options(cls: type) -> str:
    shown = []
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):  # of a module without options
            continue
        if parameter.default is parameter.empty:
            shown.append(parameter.name)
        else:
            default = parameter.default if not isinstance(parameter.default, type) else parameter.default.__name__
            shown.append(f"{parameter.name}={default!r}" if isinstance(default, str) else f"{parameter.name}={default}")
    return f"({', '.join(shown)})"
