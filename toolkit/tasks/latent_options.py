"""Options of the task `latent`: its data, model, losses, predictions, scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from torch.optim import Optimizer

from toolkit.losses.latent import VariationalLoss
from toolkit.losses.total_correlation import TotalCorrelation
from toolkit.models.latent import LatentModel
from toolkit.tasks.options import Training, require_counts


@dataclass
class LatentData:
    """Which tables, and how batches are made of their rows.

    Args:
        train: manifest to train on, named below the data folder, e.g. ``bach_chorales/all_meters/train``.
        valid: manifest that is validated on.
        test: manifest that results are reported on.
        batch_size: rows in a batch; FactorVAE takes one half of them for the model, the other one for the discriminator.
        items: role of the items.
        workers: processes that load; 0 is best for rows that are in memory.
    """

    train: str
    valid: str
    test: str
    batch_size: int
    items: Literal["tokens", "pictures"] = "tokens"
    workers: int = 0


@dataclass
class LatentInfer:
    """How predictions are made.

    Args:
        rows: of each table, the first ones; null for all.
        batch_size: rows at once.
        examples: rows, evenly far from each other, whose reconstructions and traversals are kept.
        traverse: from minus this to this each dimension of an example's code is moved.
        steps: how many values it takes on its way.
        seed: of the codes that are drawn.

    Raises:
        ValueError: a count is below 1.
    """

    rows: int | None = None
    batch_size: int = 256
    examples: int = 8
    traverse: float = 4.0
    steps: int = 9
    seed: int = 0

    def __post_init__(self) -> None:
        require_counts("infer", self, "rows", "batch_size", "examples", "steps")


@dataclass
class LatentScore:
    """What is measured.

    Args:
        protocol: whose metrics of disentanglement, see `toolkit.metrics.disentanglement_protocols`.
        codes: what they are computed of: codes that are drawn, as published, or the means of the posteriors.
    """

    protocol: Literal["ar_vae", "dmelodies", "latte"] = "ar_vae"
    codes: Literal["drawn", "means"] = "drawn"


@dataclass(kw_only=True)
class LatentConfig(Training):
    """Everything an experiment of this task is made of.

    Args:
        data: tables and batches.
        model: items to codes and back.
        loss: reconstruction, divergence, attributes.
        total_correlation: FactorVAE's further part of the loss, with its discriminator; null for none.
        discriminator_optimizer: class and options; Adam with 1e-4 if null, as in the dMelodies benchmark.
        infer: how predictions are made.
        score: what is measured.
        task: this task's name.
    """

    data: LatentData
    model: LatentModel
    loss: VariationalLoss
    total_correlation: TotalCorrelation | None = None
    discriminator_optimizer: Callable[[Iterable], Optimizer] | None = None
    infer: LatentInfer = field(default_factory=LatentInfer)
    score: LatentScore = field(default_factory=LatentScore)
    task: Literal["latent"] = "latent"
