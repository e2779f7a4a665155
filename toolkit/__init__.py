"""Reprise: what every recipe in `egs/` calls.  Importing it loads none of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.infer.trained import TrainedModel

__version__ = "0.1.0"


def load(path: Path | str) -> TrainedModel:
    """Open a trained experiment or a pack: ``stems = toolkit.load(path).separate(wave, sample_rate)``.

    Raises:
        UserError: there is no trained model in it, or its configuration names classes that are not the toolkit's.
    """
    from toolkit.infer.trained import TrainedModel

    return TrainedModel(path)
