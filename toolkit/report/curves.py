"""What was written down in training, as lines over epochs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from toolkit.report import display
from toolkit.report.figures import Curve

COUNTED = "step"  # of a validation, which tells no more than the epoch does


def keys(rows: Iterable[dict[str, Any]]) -> list[str]:
    """What is drawn of lines of `metrics.jsonl`, in order of appearance: splits with quantities, `valid/loss`."""
    found = dict.fromkeys(key for row in rows for key in row if "/" in key)
    return [key for key in found if key.partition("/")[2] != COUNTED]


def name(quantity: str) -> str:
    """What a quantity is called beside its curve: `loss`, `SI-SDR (dB)`."""
    return display.label(quantity).replace("_", " ")


def opening(quantity: str) -> str:
    """The same where a sentence begins: `Loss`; but what papers call mAP stays as it is."""
    called = name(quantity)
    return called if quantity.partition("@")[0] in display.METRICS else f"{called[0].upper()}{called[1:]}"


def curve(rows: list[dict[str, Any]], key: str) -> Curve:
    """Epochs, and a quantity's values as they are shown, of the lines of `metrics.jsonl` that have it.

    Args:
        rows: the lines.
        key: split and quantity: `valid/loss`.
    """
    scale = display.metric(key.partition("/")[2]).scale
    known = [(row["epoch"], scale * row[key]) for row in rows if key in row and math.isfinite(row[key])]
    return [x for x, _ in known], [y for _, y in known]
