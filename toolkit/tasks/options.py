"""Options that every task shares: training, inference, scoring."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

LONGEST_CHUNK = 86400.0  # seconds
COMPILE_MODES = ("reduce-overhead", "max-autotune")


def require_counts(section: str, options: object, *names: str) -> None:
    """See that options, of which null is let pass, are 1 or more.

    Raises:
        ValueError: one is not.
    """
    for name in names:
        if (count := getattr(options, name)) is not None and count < 1:
            raise ValueError(f"{section}.{name}: expected at least 1, found {count}")


@dataclass
class TrainOptions:
    """How a model is trained.

    Args:
        epochs: passes over the training examples.
        init: weights to begin with, e.g. ``exp/paper/model.safetensors`` for a second stage of training; null for random ones.
            Those of a model without low-rank adapters also serve as the base of one that has some.
        clip_grad_norm: largest gradient norm (Euclidean, over all parameters); null for none.
        accumulate: batches whose gradients are added up before a step; an epoch ends with the last whole group of so many.
        precision: arithmetic of forward and loss: bf16 and, on a GPU, fp16 by autocast; with tf32 a GPU multiplies
            float32 numbers with ten bits of their fractions, with fp32 with all of them.
        ema: decays of moving averages of the weights, updated at each step.  The weights and all their averages are validated
            at each epoch's end, and the best of them is kept (as by Hybrid Demucs).
        ema_epoch: decays of more averages, updated at each epoch's end.
        compile: compile the model with `torch.compile`: true, or its mode `reduce-overhead` or `max-autotune`, which replay a
            step's kernels as CUDA graphs.
        channels_last: keep weights and output of two-dimensional convolutions with the channels as last axis in memory, which
            is faster on GPUs with bf16, fp16 or tf32.
        checkpoint_activations: modules whose activations are not kept but computed again in the backward pass: names of classes
            (``ResidualBlock``) or patterns of places in the model (``separator.blocks.*``).  Takes less memory, and up to a
            third more time; gradients are the same.
        seed: of weights, data order, crops and drop-out.
        monitor: value by which the best weights are chosen; smaller is better for a name that ends in `loss`,
            `distance` or `distortion`.
        plateau: value that a schedule waits for and that `patience` counts from; null for `monitor`.
        patience: epochs without improvement after which training ends; null for never.
        max_minutes: training ends after the step at which this time is over (counted over all resumed runs); null for no limit.
        checkpoint_every: steps between two checkpoints within an epoch (one more stands at each epoch's end).
        max_bad_steps: non-finite losses in a row after which training stops with an error.

    Raises:
        ValueError: an option is out of its range, or does not go with another.
    """

    epochs: int = 100
    init: str | None = None
    clip_grad_norm: float | None = 5.0
    accumulate: int = 1
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    ema: list[float] = field(default_factory=list)
    ema_epoch: list[float] = field(default_factory=list)
    compile: bool | str = False
    channels_last: bool = False
    checkpoint_activations: list[str] = field(default_factory=list)
    seed: int = 0
    monitor: str = "valid/loss"
    plateau: str | None = None
    patience: int | None = None
    max_minutes: float | None = None
    checkpoint_every: int = 1000
    max_bad_steps: int = 20

    def __post_init__(self) -> None:
        require_counts("train", self, "epochs", "accumulate", "checkpoint_every", "max_bad_steps")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"train.patience: expected 1 or more epochs, or null for no end, found {self.patience}")
        if self.clip_grad_norm is not None and not self.clip_grad_norm > 0:
            raise ValueError(f"train.clip_grad_norm: expected more than 0, or null for none, found {self.clip_grad_norm}")
        for name in ("ema", "ema_epoch"):
            for decay in getattr(self, name):
                if not 0 < decay < 1:
                    raise ValueError(f"train.{name}: expected decays between 0 and 1, found {decay}")
        for name in ("monitor", "plateau"):  # which of them there are is known after an epoch, which may take hours
            value = getattr(self, name)
            if value is not None and not value.startswith(("train/", "valid/")):
                raise ValueError(f"train.{name}: expected a name such as valid/loss, as in metrics.jsonl, found {value!r}")
        if isinstance(self.compile, str) and self.compile not in COMPILE_MODES:
            raise ValueError(f"train.compile: expected true, false, {' or '.join(COMPILE_MODES)}, found {self.compile!r}")
        if isinstance(self.compile, str) and self.accumulate > 1:  # a graph replayed again writes over the gradients so far
            raise ValueError(f"train.compile: expected true or false with train.accumulate above 1, found {self.compile!r}")


@dataclass
class Phase:
    """From an epoch on, another optimizer (with a learning rate of its own), beginning with the best weights so far.

    Args:
        epoch: the first epoch of the phase, counted from 0.
        optimizer: class and options.

    Raises:
        ValueError: `epoch` is negative.
    """

    epoch: int
    optimizer: Callable[[Iterable], Optimizer]

    def __post_init__(self) -> None:
        if self.epoch < 0:
            raise ValueError(f"phases: expected epochs counted from 0, found {self.epoch}")


@dataclass(kw_only=True)
class Training:
    """What the configuration of every task that trains has.

    Args:
        optimizer: class and options, built over the model's parameters.
        schedule: of the learning rate, stepped at each epoch's end.
        phases: later optimizers.
        train: how the model is trained.
    """

    optimizer: Callable[[Iterable], Optimizer]
    schedule: Callable[[Optimizer], LRScheduler] | None = None
    phases: list[Phase] = field(default_factory=list)
    train: TrainOptions = field(default_factory=TrainOptions)


@dataclass
class InferOptions:
    """How predictions are made.

    Args:
        chunk: seconds of signal seen at once, overlapped and added; null for the whole recording.
        overlap: share of a chunk that overlaps the next, 0 to 0.5.
        shifts: predictions averaged, each of the recording delayed by a random time of up to half a second (Défossez et al.
            2019, "Music source separation in the waveform domain", section 4.4); 0 for the recording as it is.

    Raises:
        ValueError: an option is out of its range.
    """

    chunk: float | None = None
    overlap: float = 0.25
    shifts: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 0.5:
            raise ValueError(f"infer.overlap: expected 0 to 0.5, found {self.overlap}")
        if self.chunk is not None and not 0 < self.chunk <= LONGEST_CHUNK:
            raise ValueError(f"infer.chunk: expected more than 0 seconds, up to {LONGEST_CHUNK:g}, found {self.chunk}")
        if self.shifts < 0:
            raise ValueError(f"infer.shifts: expected 0 or more, found {self.shifts}")


@dataclass
class ScoreOptions:
    """What is measured.

    Args:
        metrics: names of metrics; an improvement is over the unprocessed mixture.
    """

    metrics: list[str] = field(default_factory=lambda: ["si_sdr", "si_sdr_improvement"])
