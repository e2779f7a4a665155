"""Losses of taggers: cross-entropy over the labels there are, and what may be added to it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Labelled(NamedTuple):
    """What a tagging loss is given of a batch.

    Attributes:
        labels: (B, K), from 0 to 1.
        mask: (B, K), 1 where there is a label.
        embeddings: of the teacher, (B, L, D); (B, 0, 0) where there is no teacher.
        activations: of the model's modules that `taps` names.
    """

    labels: Tensor
    mask: Tensor
    embeddings: Tensor
    activations: dict[str, Tensor]


class TaggingLoss(nn.Module, ABC):
    """Loss of logits against labels.

    Attributes:
        taps: the activations it reads: a name of its own for each module, named as in `model.named_modules()`.
        parts: what the last batch's loss was put together from, by name; empty if there is but one.
        needs_teacher: whether it reads a teacher's embeddings.
        weights: files of another experiment that it reads.
    """

    taps: dict[str, str]
    parts: dict[str, Tensor]
    needs_teacher: bool = False
    weights: tuple[Path, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.taps, self.parts = {}, {}

    def prepare(self, load: Callable[[Path], nn.Module]) -> None:
        """Called before training begins or goes on, with what loads the trained model of an experiment (its folder)."""

    @abstractmethod
    def forward(self, logits: Tensor, batch: Labelled) -> Tensor:
        """The loss of a batch (one number) of logits (B, K)."""


class BinaryCrossEntropy(TaggingLoss):
    """The mean over all labels that there are, each tag a decision of its own."""

    def forward(self, logits: Tensor, batch: Labelled) -> Tensor:
        """The mean for logits (B, K): (); 0 of a batch without any label."""
        losses = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")
        return (losses * batch.mask).sum() / torch.clamp(batch.mask.sum(), min=1)
