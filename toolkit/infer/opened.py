"""A trained experiment, or a pack of one, as what it is."""

from __future__ import annotations

from pathlib import Path

from toolkit import config
from toolkit.infer.synthesizer import TrainedSynthesis
from toolkit.infer.tagger import TrainedTagger
from toolkit.infer.tracker import TrainedPitch
from toolkit.infer.trained import TrainedModel

Trained = TrainedModel | TrainedTagger | TrainedPitch | TrainedSynthesis

BY_TASK: dict[str, type[Trained]] = {"tagging": TrainedTagger, "pitch": TrainedPitch, "synthesis": TrainedSynthesis}


def opened(path: Path | str) -> Trained:
    """Open it; nothing in it is executed or unpickled.

    Raises:
        UserError: there is no trained model in it, or its configuration names what is not the toolkit's.
    """
    file = Path(path) / "config.yaml"
    task = config.read(file).get("task") if file.is_file() else None
    return BY_TASK.get(str(task), TrainedModel)(path)
