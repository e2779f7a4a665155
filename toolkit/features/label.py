"""A feature of all items of a manifest that is made from their labels."""

from __future__ import annotations

from pathlib import Path

from toolkit.blocks.features import LabelFeature
from toolkit.data import store
from toolkit.data.manifest import Manifest


def label(feature: LabelFeature, manifest: Manifest, folder: Path) -> Path:
    """Store it, in one shard: labels are small.

    Args:
        feature: what is made.
        manifest: of the items.
        folder: of the store.

    Returns:
        The store's file `store.json`.

    Raises:
        UserError: an item lacks the label.
    """
    header = manifest.header
    made_from = {"feature": feature.name, "manifest": header["name"], "fingerprint": header.get("fingerprint")}
    rows = [(item.id, feature.of_labels(item).numpy()) for item in manifest]
    store.write(folder, made_from, rows)
    return folder / "store.json"
