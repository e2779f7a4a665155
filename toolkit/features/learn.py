"""What is learned from a whole training manifest before any model is trained."""

from __future__ import annotations

from pathlib import Path

from toolkit import files, log
from toolkit.blocks.features import LearnedFeature
from toolkit.data.manifest import Manifest
from toolkit.data.store import origin

MARK = "made_from.json"  # written last

logger = log.get(__name__)


def learn(feature: LearnedFeature, manifest: Manifest, folder: Path) -> Path:
    """Learn it; what an earlier run has learned from the same manifest is kept.

    Args:
        feature: what is learned.
        manifest: to learn from.
        folder: of the file.

    Returns:
        The file.

    Raises:
        UserError: nothing can be learned from these items.
    """
    path = folder / feature.file
    made_from = origin(feature.name, manifest)
    mark = folder / MARK
    if path.is_file() and mark.is_file() and files.read_json(mark) == made_from:
        logger.info("%s of %s: was learned before", feature.name, manifest.name)
    else:
        mark.unlink(missing_ok=True)
        feature.learn(manifest, path)
        files.write_json(mark, made_from)
    return path
