"""Pitch learned without labels: a sound transposed by some bins must be found that many bins higher (Riou et al. 2023, PESTO).

Letters: B batch, K bins of the pitch that a model gives probabilities of.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.losses.optimal_transport import transport

FAINT = 1e-7  # what smaller probabilities count as under a logarithm


class EquivarianceLoss(nn.Module, ABC):
    """Slot: how badly two pitches keep the interval between the sounds that they were found in."""

    @abstractmethod
    def forward(self, first: Tensor, second: Tensor, steps: Tensor) -> Tensor:
        """One number for probabilities (B, K) and (B, K), the second's sounds being higher by `steps` (B) bins, integers."""


class ClassEquivariance(EquivarianceLoss):
    """Bins count as much as their frequency, φ(y) = Σ rⁱ yᵢ, so that φ grows by rᵏ when y moves up by k bins.

    The Huber distances of φ(second) / φ(first) from rᵏ and of φ(first) / φ(second) from r⁻ᵏ, their mean.

    Args:
        bins_per_octave: r = 2^(1 / bins_per_octave).
        tau: where the Huber function goes from a parabola to a line, 2^(1/6) - 1 (a whole tone) if not given.

    Raises:
        ValueError: `bins_per_octave` is below 1, or `tau` not above 0.
    """

    def __init__(self, bins_per_octave: int = 36, tau: float = 2 ** (1 / 6) - 1) -> None:
        super().__init__()
        if bins_per_octave < 1 or tau <= 0:
            raise ValueError(f"bins_per_octave, tau: expected 1 or more and above 0, found {bins_per_octave} and {tau}")
        self.bins_per_octave, self.tau = bins_per_octave, tau

    def forward(self, first: Tensor, second: Tensor, steps: Tensor) -> Tensor:
        """The mean over the batch of (B, K), (B, K) and steps (B)."""
        ratio = 2 ** (steps.to(first) / self.bins_per_octave)
        low, high = self.project(first), self.project(second)
        up, down = high / low - ratio, low / high - 1 / ratio
        zero = torch.zeros_like(up)
        return (F.huber_loss(up, zero, delta=self.tau) + F.huber_loss(down, zero, delta=self.tau)) / 2

    def project(self, probabilities: Tensor) -> Tensor:
        """φ (B) of (B, K), the highest bin counting 1."""
        below = torch.arange(1 - probabilities.shape[-1], 1, device=probabilities.device, dtype=probabilities.dtype)
        return probabilities @ (2 ** (below / self.bins_per_octave))


class CrossEntropy(nn.Module):
    """Cross-entropy of two distributions over pitches, each being the other's target, which has no gradient; their mean.

    Args:
        softmax: put a softmax over what the model gives, although these are probabilities: so does the authors' training code,
            which gives probabilities to `torch.nn.CrossEntropyLoss`.  Without it this is the paper's formula.
    """

    def __init__(self, softmax: bool = True) -> None:
        super().__init__()
        self.softmax = softmax

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The mean over the batch of (B, K) and (B, K): the loss of invariance, where both were the same sound before."""
        return (self._against(first, second.detach()) + self._against(second, first.detach())) / 2

    def _against(self, found: Tensor, wanted: Tensor) -> Tensor:
        logs = found.log_softmax(-1) if self.softmax else found.clamp(min=FAINT).log()
        return -(wanted * logs).sum(-1).mean()


class ShiftedCrossEntropy(EquivarianceLoss):
    """The cross-entropy of the first and of the second moved down again, zeros coming in from beyond the ends.

    Args:
        most: steps that may occur, up or down.
        softmax: see `CrossEntropy`.

    Raises:
        ValueError: `most` is below 0.
    """

    def __init__(self, most: int = 16, softmax: bool = True) -> None:
        super().__init__()
        if most < 0:
            raise ValueError(f"most: expected 0 or more, found {most}")
        self.most, self.entropy = most, CrossEntropy(softmax)

    def forward(self, first: Tensor, second: Tensor, steps: Tensor) -> Tensor:
        """The mean over the batch of (B, K), (B, K) and steps (B)."""
        padded = F.pad(second, (2 * self.most, 2 * self.most))
        bins = torch.arange(first.shape[-1] + 2 * self.most, device=second.device)
        moved = padded.gather(1, bins + steps[:, None] + self.most)
        return self.entropy(F.pad(first, (self.most, self.most)), moved)


class TransportEquivariance(EquivarianceLoss):
    """The squared Wasserstein-2 distance of the second from the first moved up, in octaves (after Torres et al. 2025).

    That abstract names the objective without its details; these are ours.

    Args:
        bins_per_octave: of the pitch.
        order: of the distance, which is not brought back by a root.

    Raises:
        ValueError: `bins_per_octave` or `order` is below 1.
    """

    def __init__(self, bins_per_octave: int = 36, order: float = 2.0) -> None:
        super().__init__()
        if bins_per_octave < 1 or order < 1:
            raise ValueError(f"bins_per_octave, order: expected 1 or more, found {bins_per_octave} and {order}")
        self.bins_per_octave, self.order = bins_per_octave, order

    def forward(self, first: Tensor, second: Tensor, steps: Tensor) -> Tensor:
        """The mean over the batch of (B, K), (B, K) and steps (B), in squared octaves if `order` is 2."""
        bins = torch.arange(first.shape[-1], device=first.device, dtype=first.dtype) / self.bins_per_octave
        return transport(first, second, bins + steps[:, None].to(bins) / self.bins_per_octave, bins, self.order).mean()


class GradientNormWeights(nn.Module):
    """Losses weighted so that none of them moves the last layer much more than the others do.

    The weights are 1 - gᵢ / Σ g, where g are moving averages of the norms of the losses' gradients at one tensor.  A loss that
    stands alone has weight 1.  The averages are saved with the module, so that training goes on where it stopped.

    Args:
        initial: name of each loss to its weight at the first step, 0 to 1, but for the first step's gradients.
        average: how much of an average stays at each step.

    Raises:
        ValueError: there is no loss, or a weight or `average` is beyond its limits.
    """

    norms: Tensor

    def __init__(self, initial: dict[str, float], average: float = 0.999) -> None:
        super().__init__()
        if not initial or not 0 <= average < 1 or not all(0 <= weight <= 1 for weight in initial.values()):
            raise ValueError(f"initial, average: expected weights of 0 to 1 and 0 to less than 1, found {initial}, {average}")
        self.names, self.average = tuple(initial), average
        self.register_buffer("norms", 1 - torch.tensor(list(initial.values())))

    def weights(self) -> dict[str, float]:
        """What each loss counts now."""
        return dict(zip(self.names, self._weights().tolist(), strict=True))

    def forward(self, losses: dict[str, Tensor], tensor: Tensor) -> Tensor:
        """The weighted sum; while training the averages take a step first, where there are gradients.

        Args:
            losses: by the names given in the beginning, all of them.
            tensor: whose gradients are measured, such as the weight of the last layer.

        Raises:
            ValueError: other losses than those named.
        """
        if set(losses) != set(self.names):
            raise ValueError(f"losses: expected {', '.join(self.names)}, found {', '.join(losses)}")
        ordered = [losses[name] for name in self.names]
        if self.training and torch.is_grad_enabled() and all(loss.requires_grad for loss in ordered):
            found = [torch.autograd.grad(loss, tensor, retain_graph=True)[0].norm() for loss in ordered]
            self.norms.lerp_(torch.stack(found).detach().to(self.norms), 1 - self.average)
        return (self._weights().to(ordered[0]) * torch.stack(ordered)).sum()

    def _weights(self) -> Tensor:
        if len(self.names) == 1:
            return torch.ones_like(self.norms)
        return 1 - self.norms / self.norms.sum().clamp(min=FAINT)
