"""How the temperature of annealed multiple-choice learning falls (Perera et al. 2024, "Annealed multiple choice learning")."""

from abc import ABC, abstractmethod


class TemperatureSchedule(ABC):
    """Temperature by epoch, in the unit of the distance that is annealed."""

    @abstractmethod
    def __call__(self, epoch: int) -> float:
        """The temperature of an epoch, the first being 0."""


class LinearTemperature(TemperatureSchedule):
    """Falls by the same amount each epoch, then stays at 0.

    Args:
        start: temperature of the first epoch, in the unit of the distance.  Perera et al. 2024 take 0.05 of the mean distance
            between the sources and their mean; the gains of WSJ0-2mix make that 2.5 dB, those of WSJ0-3mix 3.16 dB.
        epochs: when it arrives at 0.
    """

    def __init__(self, start: float = 0.125, epochs: int = 100) -> None:
        self.start, self.epochs = start, epochs

    def __call__(self, epoch: int) -> float:
        """The temperature of an epoch, the first being 0."""
        return self.start * max(0.0, 1 - epoch / self.epochs)


class ExponentialTemperature(TemperatureSchedule):
    """Falls by the same factor each epoch.

    Args:
        start: temperature of the first epoch, in the unit of the distance; see `LinearTemperature`.
        decay: factor from one epoch to the next.
    """

    def __init__(self, start: float = 0.125, decay: float = 0.9) -> None:
        self.start, self.decay = start, decay

    def __call__(self, epoch: int) -> float:
        """The temperature of an epoch, the first being 0."""
        return self.start * self.decay**epoch
