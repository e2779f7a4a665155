"""Schedules of the learning rate that torch does not have; its own are named in a config as they are."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau


class DelayedPlateau(ReduceLROnPlateau):
    """Lower the rate on a plateau, but not before an epoch (SpeechBrain's WSJ0Mix recipes).

    Args:
        optimizer: whose rate is changed.
        factor: what the rate is multiplied by.
        patience: epochs without improvement that are borne.
        start: epochs during which the rate stays and nothing is counted.
    """

    def __init__(self, optimizer: Optimizer, factor: float = 0.5, patience: int = 2, start: int = 85) -> None:
        super().__init__(optimizer, factor=factor, patience=patience)
        self.start = start

    def step(self, metrics: float, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take one epoch's monitored value."""
        super().step(metrics)
        if self.last_epoch <= self.start:
            self.num_bad_epochs = 0
