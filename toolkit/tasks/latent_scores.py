"""What is measured of the codes of one table: reconstruction, and how its dimensions stand for attributes."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from toolkit.data import tables
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.losses.latent import kl_divergence
from toolkit.metrics.disentanglement_protocols import PROTOCOLS
from toolkit.metrics.reconstruction import most_frequent_pixels, most_frequent_tokens
from toolkit.tasks.latent_options import LatentScore

ATTRIBUTES = "attributes"  # role, and label of the names


def scores_of(manifest: Manifest, item: Item, found: dict[str, Tensor], role: str, options: LatentScore) -> dict[str, Any]:
    """The protocol's metrics of one table.

    Args:
        manifest: that the table stands in.
        item: the table.
        found: what was predicted of it, see `LatentLearning.predict`.
        role: of its items, `tokens` or `pictures`.
        options: which protocol, and of which codes.

    Returns:
        `id`; `rows`, how many were scored; `metrics`, means over them; `most_frequent`, the accuracy if all had the most
        frequent token or pixel at each place; `attributes`, metric to values by attribute; `dependence` (Z, A), the
        nats that the protocol finds each dimension to tell of each attribute; `nats` (Z), how far each dimension is from a
        standard normal one.

    Raises:
        UserError: a table is missing, or attributes have not as many names.
    """
    accuracy = found["reconstruction_accuracy"].double()
    variational = kl_divergence(found["means"][..., None], found["log_variances"][..., None]).mean(0)
    metrics = {
        "reconstruction_accuracy": accuracy.mean().item(),
        "reconstructed_whole": (accuracy == 1).double().mean().item(),
        "nats": variational.sum().item(),
    }
    items = tables.read(manifest, item, role)[: len(accuracy)]
    same = most_frequent_pixels(items) if role == "pictures" else most_frequent_tokens(items)
    row: dict[str, Any] = {"id": item.id, "rows": len(accuracy), "metrics": metrics, "most_frequent": same, "attributes": {}}
    row["nats"] = variational.tolist()
    if ATTRIBUTES not in item.audio:
        return row
    codes = found[options.codes].double().numpy()
    names, attributes = names_of(manifest, item), tables.read(manifest, item, ATTRIBUTES)[: len(codes)]
    protocol = PROTOCOLS[options.protocol]
    information = protocol.information(codes, attributes)
    values = protocol.metrics(codes, attributes, information=information)
    row["metrics"] |= {name: float(np.mean(value)) for name, value in values.items()}
    by_attribute = {name: value for name, value in values.items() if len(value) == len(names) and name != "modularity"}
    row["attributes"] = {name: dict(zip(names, value.tolist(), strict=True)) for name, value in by_attribute.items()}
    return {**row, "dependence": information.codes.tolist()}


def names_of(manifest: Manifest, item: Item) -> list[str]:
    """The names of a table's attributes.

    Raises:
        UserError: there are not as many as attributes.
    """
    names, columns = item.labels.get(ATTRIBUTES, []), tables.read(manifest, item, ATTRIBUTES).shape[1]
    if len(names) != columns:
        raise UserError(
            f"{manifest.path}: {item.id}: expected names of {columns} attributes, found {len(names)}. Next: prepare"
        )
    return list(names)
