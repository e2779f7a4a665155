"""A trained experiment, or a pack of one, as what it is."""

from __future__ import annotations

from pathlib import Path

from toolkit import config
from toolkit.infer.tagger import TrainedTagger
from toolkit.infer.trained import TrainedModel


def opened(path: Path | str) -> TrainedModel | TrainedTagger:
    """Open it; nothing in it is executed or unpickled.

    Raises:
        UserError: there is no trained model in it, or its configuration names what is not the toolkit's.
    """
    file = Path(path) / "config.yaml"
    is_tagger = file.is_file() and config.read(file).get("task") == "tagging"
    return TrainedTagger(path) if is_tagger else TrainedModel(path)
