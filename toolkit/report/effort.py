"""What an experiment's model costs: multiply-adds, counted on the meta device, and the time that its predictions took."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from toolkit import config
from toolkit.data import records
from toolkit.log import UserError
from toolkit.report import display
from toolkit.report.runs import Run
from toolkit.report.scored import Scored
from toolkit.tasks import Task, find
from toolkit.tasks.experiment import Experiment


class Work(NamedTuple):
    """What one example asks of a model.

    Attributes:
        multiply_adds: of the whole example; recurrences are left out.
        seconds: of audio that the example is; 0 where it is none.
        activations: bytes that the layers put out.
    """

    multiply_adds: float
    seconds: float
    activations: int

    @property
    def rate(self) -> str:
        """Multiply-adds of a second, where examples have some, else of an example: `1.25 G`."""
        return display.large(self.multiply_adds / (self.seconds or 1))

    @property
    def per(self) -> str:
        """What `rate` is of: `per second of audio`."""
        return "per second of audio" if self.seconds else "per example"

    def __str__(self) -> str:
        """`1.25 G per second of audio`."""
        return f"{self.rate} {self.per}"


class Pace(NamedTuple):
    """How long the stage `infer` took.

    Attributes:
        taken: seconds, for all items that were timed.
        heard: seconds that they last.
    """

    taken: float
    heard: float

    @property
    def factor(self) -> float:
        """Seconds for a second of audio."""
        return self.taken / self.heard

    def __str__(self) -> str:
        """`0.031 (12.4 s for 400.0 s of audio)`."""
        return f"{self.factor:.3g} ({self.taken:.1f} s for {self.heard:.1f} s of audio)"


def work(task: Task) -> Work:
    """Count on the meta device, on which the task was built; nothing is computed."""
    inputs, seconds = task.probe()
    held = [0]

    def count(module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor) and not list(module.children()):
            held[0] += output.numel() * output.element_size()

    model = task.model.eval()  # one example is no batch to normalise over
    hooks = [module.register_forward_hook(count) for module in model.modules()]
    with FlopCounterMode(display=False) as counter:
        model(inputs)
    for hook in hooks:
        hook.remove()
    return Work(counter.get_total_flops() / 2, seconds, held[0])


def work_of(run: Run) -> Work | None:
    """The same of an experiment; None where nothing is multiplied, or the toolkit cannot build the model any more."""
    path = run.folder / "config.yaml"
    if not path.is_file() or not run.info.get("parameters"):
        return None
    tree = config.read(path)
    try:
        find(tree.get("task", "separation"))  # imports the classes that a configuration of this task may name
        config.refuse_foreign(tree, str(path))
        found = work(Experiment(tree, str(path)).build("meta")[0])
    except (UserError, RuntimeError):  # the latter: what cannot be done without numbers
        return None
    return found if found.multiply_adds else None


def pace_of(scored: Scored) -> Pace | None:
    """How long the predictions of a split took; None where items do not sound, or nothing is known of their time or length."""
    folder = scored.run.folder / "predictions" / scored.split
    if scored.manifest is None or not (folder / "index.jsonl").is_file():
        return None
    lengths = {item.id: item.seconds for item in scored.manifest}
    timed = [row for row in records.predictions(folder).values() if "seconds" in row and row["id"] in lengths]
    taken, heard = sum(row["seconds"] for row in timed), sum(lengths[row["id"]] for row in timed)
    return Pace(taken, heard) if taken and heard else None
