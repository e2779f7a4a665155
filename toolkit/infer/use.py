"""What a stranger is told of a trained model: what it gives, what it hears, and how it is used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from typing_extensions import Self


class Use(NamedTuple):
    """The lines of a model card that say what a model is good for.

    Attributes:
        gives: what comes out.
        hears: what goes in.
        command: words after `toolkit`, `{}` standing for the model's folder; empty where no verb uses it.
        python: lines that follow ``model = toolkit.load(...)``.
    """

    gives: str
    hears: str
    command: str
    python: str


class Usable(ABC):
    """What `toolkit.load` gives, whatever its task.

    Attributes:
        task: the task of the experiment, its model having the trained weights.
        device: where the model is, the CPU at first.
        kept: files of the experiment beside weights and configuration that it cannot do without.
    """

    kept: tuple[str, ...] = ()
    device = torch.device("cpu")
    task: Any  # each has a Task of its own class

    def to(self, device: torch.device | str) -> Self:
        """Move the model; what it is given stays where it is, and what it gives comes back to the CPU.

        Raises:
            ValueError: torch knows no such device, or finds none here; then the model stays where it was.
        """
        try:
            place = torch.device(device)
            self.task.model.to(place)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, TypeError, AssertionError) as error:  # the latter of a torch that was built without CUDA
            reason = str(error).partition("\n")[0]
            found = f"{device!r} ({reason})"
            raise ValueError(f"device: expected cpu, cuda or cuda:N that torch can use here, found {found}") from error
        self.device = place
        return self

    @property
    @abstractmethod
    def use(self) -> Use:
        """What a model card says of it."""
