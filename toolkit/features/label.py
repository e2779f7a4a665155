"""A feature of all items of a manifest that is made from their labels."""

from __future__ import annotations

from pathlib import Path

from toolkit import log
from toolkit.blocks.features import LabelFeature
from toolkit.data.manifest import Manifest
from toolkit.data.store import StoreWriter, origin

logger = log.get(__name__)


def label(feature: LabelFeature, manifest: Manifest, folder: Path) -> Path:
    """Store it, in one shard: labels are small.  What an earlier run has stored of the same manifest is kept.

    Args:
        feature: what is made.
        manifest: of the items.
        folder: of the store.

    Returns:
        The store's file `store.json`.

    Raises:
        UserError: an item lacks the label.
    """
    made_from = origin(feature.name, manifest)
    writer = StoreWriter(folder, made_from)
    if writer.is_finished:
        logger.info("%s of %s: was stored before", feature.name, manifest.name)
    else:
        writer.write(0, [(item.id, feature.of_labels(item).numpy()) for item in manifest])
        writer.finish(1)
    return folder / "store.json"
