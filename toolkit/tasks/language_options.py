"""Options of the task `language`: its data, model, loss, predictions, scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from toolkit.blocks.subwords import Subwords
from toolkit.losses.sequence import SequenceLikelihood
from toolkit.models.language_model import LanguageModel
from toolkit.tasks.options import Training, require_counts


@dataclass
class LanguageData:
    """Which sequences, and how batches are made of them.

    Args:
        train: manifest to train on, named below the data folder, e.g. ``nottingham/abc/train``.
        valid: manifest that chooses the best weights.
        test: manifest that results are reported on.
        batch_size: sequences in a batch.
        subwords: how texts become tokens; null where a corpus draws sequences of tokens.
        sequences: drawn in an epoch; as many as the training manifest says if null.
        workers: processes that load.

    Raises:
        ValueError: `sequences` is below 1.
    """

    train: str
    valid: str
    test: str
    batch_size: int
    subwords: Subwords | None = None
    sequences: int | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        require_counts("data", self, "sequences")


@dataclass
class LanguageInfer:
    """How predictions are made.

    Args:
        batch: sequences at once.
        length: tokens, at most, of what each hypothesis writes for a text that begins as an item does; 0 for nothing.
        temperature: what its logits are divided by; 0 takes the likeliest token.
        top_k: how many of the likeliest tokens are drawn from; all if null.
        seed: of what is drawn.

    Raises:
        ValueError: a number is out of its range.
    """

    batch: int = 250
    length: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require_counts("infer", self, "batch", "top_k")
        if self.length < 0:
            raise ValueError(f"infer.length: expected 0 or more, found {self.length}")
        if not self.temperature >= 0:
            raise ValueError(f"infer.temperature: expected 0, for the likeliest token, or more, found {self.temperature}")


@dataclass
class LanguageScore:
    """What is measured: nothing can be chosen, all of it always is.

    Args:
        metrics: not used.
    """

    metrics: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class LanguageConfig(Training):
    """Everything an experiment of this task is made of.

    Args:
        data: sequences and batches.
        model: tokens to what may come next.
        loss: negative log-likelihood, and who learns from a sequence.
        infer: how predictions are made.
        score: what is measured.
        task: this task's name.
    """

    data: LanguageData
    model: LanguageModel
    loss: SequenceLikelihood
    infer: LanguageInfer = field(default_factory=LanguageInfer)
    score: LanguageScore = field(default_factory=LanguageScore)
    task: Literal["language"] = "language"
