"""`toolkit blocks`: what fits which slot, with the first line of its description and its options."""

from __future__ import annotations

import inspect
from importlib import import_module

from toolkit.config import subclasses
from toolkit.log import UserError, suggestion
from toolkit.tasks import TASKS, find

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
    "Feature": "toolkit.blocks.features",
    "Frontend": "toolkit.blocks",
    "Backbone": "toolkit.blocks",
    "Pooling": "toolkit.blocks",
    "Head": "toolkit.blocks",
    "Controller": "toolkit.blocks",
    "Synthesizer": "toolkit.blocks",
    "Effect": "toolkit.blocks",
    "PitchEncoder": "toolkit.blocks",
    "FrameAugmentation": "toolkit.blocks",
    "SeparationModel": "toolkit.models",
    "TaggingModel": "toolkit.models",
    "SynthesisModel": "toolkit.models",
    "PitchModel": "toolkit.models",
    "LanguageModel": "toolkit.models",
    "HypothesisModel": "toolkit.models",
    "LatentModel": "toolkit.models",
    "SeparationLoss": "toolkit.losses",
    "WeightedPairs": "toolkit.losses",
    "PairwiseLoss": "toolkit.losses",
    "Penalty": "toolkit.losses",
    "TaggingLoss": "toolkit.losses",
    "FeatureLoss": "toolkit.losses",
    "SynthesisLoss": "toolkit.losses",
    "EquivarianceLoss": "toolkit.losses",
    "ReconstructionLoss": "toolkit.losses",
    "DivergenceLoss": "toolkit.losses",
}


def table(slot: str | None = None) -> str:
    """Two lines a block: its name and what it is, then its options with their defaults.

    Raises:
        UserError: no slot has that name.
    """
    if slot is not None and slot not in SLOTS:
        raise UserError(f"no slot is called {slot!r}{suggestion(slot, SLOTS)}")
    if slot in (None, "Feature"):
        for task in TASKS:
            find(task)  # between them they import every feature there is
    lines = []
    for name in [slot] if slot else SLOTS:
        base = getattr(import_module(SLOTS[name]), name)
        lines.append(f"{name}: {_first_line(base)}")
        for title, block in sorted(subclasses(base).items()):
            if block is not base and not title.startswith("_"):
                lines.append(f"  {title:<26} {_first_line(block)}")
                lines.append(f"  {'':<26} {_options(block)}")
    return "\n".join(lines)


def _first_line(cls: type) -> str:
    """The first sentence, which the name of a paper may make longer than a line."""
    paragraph = (inspect.getdoc(cls) or "").partition("\n\n")[0].splitlines()
    ends = next((number for number, line in enumerate(paragraph, 1) if line.endswith(".")), 1)
    return " ".join(paragraph[:ends])


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
