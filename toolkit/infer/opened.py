"""A trained experiment, or a pack of one, as what it is."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from toolkit import __version__, config, files
from toolkit.log import UserError

if TYPE_CHECKING:
    from toolkit.infer.autoencoder import TrainedLatent
    from toolkit.infer.hypothesizer import TrainedHypotheses
    from toolkit.infer.synthesizer import TrainedSynthesis
    from toolkit.infer.tagger import TrainedTagger
    from toolkit.infer.tracker import TrainedPitch
    from toolkit.infer.trained import TrainedSeparation
    from toolkit.infer.writer import TrainedLanguage

    Sounding: TypeAlias = TrainedSeparation | TrainedTagger | TrainedPitch | TrainedSynthesis
    Trained: TypeAlias = Sounding | TrainedHypotheses | TrainedLanguage | TrainedLatent

PACKED_BY = "packed_by"  # in a pack's run.json: the version of the toolkit that made it
BY_TASK = {  # the others separate
    "tagging": "toolkit.infer.tagger.TrainedTagger",
    "pitch": "toolkit.infer.tracker.TrainedPitch",
    "synthesis": "toolkit.infer.synthesizer.TrainedSynthesis",
    "language": "toolkit.infer.writer.TrainedLanguage",
    "latent": "toolkit.infer.autoencoder.TrainedLatent",
    "hypotheses": "toolkit.infer.hypothesizer.TrainedHypotheses",
}


def opened(path: Path | str) -> Trained:
    """Open it; nothing in it is executed or unpickled.

    Args:
        path: folder of the experiment, or of the pack.

    Raises:
        UserError: there is no trained model in it, or its configuration names what is not the toolkit's; of a pack that another
            version made, both versions are told.
    """
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"expected the folder of a trained experiment or of a pack, found {path!r}. Next: toolkit.load(FOLDER)")
    folder = Path(path)
    file = folder / "config.yaml"
    task = config.read(file).get("task") if file.is_file() else None
    module, _, name = BY_TASK.get(str(task), "toolkit.infer.trained.TrainedSeparation").rpartition(".")
    try:
        return getattr(import_module(module), name)(folder)
    except UserError as error:
        version = _packed_by(folder)
        if version == __version__:
            raise
        raise UserError(f"{error} (it was packed by Reprise {version}, this is {__version__})") from error


def _packed_by(folder: Path) -> str:
    """The version that made a pack; this one, where that is not told."""
    try:
        told: dict[str, Any] = files.read_json(folder / "run.json", dict[str, Any])
    except (OSError, UserError):
        return __version__
    return str(told.get(PACKED_BY, __version__))
