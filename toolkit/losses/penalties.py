"""What is added to the loss for the weights' sake, whatever is in a batch."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from toolkit.dsp.precision import full_precision

MEGABYTE = 2**18  # elements of float32


class Penalty(nn.Module, ABC):
    """A slot of the training of any model; has no parameters of its own."""

    @abstractmethod
    def forward(self, model: nn.Module) -> Tensor:
        """What is added to the loss of each batch: one value, ()."""


class SVDPenalty(Penalty):
    """The squares of the largest singular values of large weights, estimated from random projections.

    Défossez 2021, "Hybrid spectrogram and waveform source separation", "Stabilizing training"; Halko et al. 2011.
    A convolution's weight is the matrix that maps what it sees at one place to its output channels; of a transposed convolution
    it is the matrix from one place of what it makes to each of its output channels.  The singular vectors are found without
    gradient; as they are those of a maximum, the gradient through the value alone is the same.

    Args:
        weight: what the sum is multiplied with.
        min_size: of the tensors that are penalised, in MB of float32.
        rank: directions of the projection.
        iterations: of the subspace.
        convolutions_only: leave out the matrices of linear and recurrent layers.
    """

    def __init__(
        self,
        weight: float = 1e-5,
        min_size: float = 1.0,
        rank: int = 100,
        iterations: int = 4,
        convolutions_only: bool = False,
    ) -> None:
        super().__init__()
        self.weight, self.min_size, self.rank, self.iterations = weight, min_size, rank, iterations
        self.convolutions_only = convolutions_only

    def forward(self, model: nn.Module) -> Tensor:
        """The weighted sum over the model's matrices, in float32 also under autocast."""
        total = torch.zeros((), device=next(model.parameters()).device)
        with full_precision(total):
            for matrix in self._matrices(model):
                total = total + self._largest(matrix).square()
        return self.weight * total

    def _matrices(self, model: nn.Module) -> Iterator[Tensor]:
        for module in model.modules():
            for parameter in module.parameters(recurse=False):
                axes, large = parameter.ndim, parameter.numel() >= self.min_size * MEGABYTE
                if not large or axes < 2 or (axes == 2 and self.convolutions_only):
                    continue
                transposed = isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d)
                yield (parameter.transpose(0, 1) if transposed else parameter).flatten(1)

    def _largest(self, matrix: Tensor) -> Tensor:
        """The largest singular value, with gradient."""
        with torch.no_grad():
            left, _, right = torch.svd_lowrank(matrix, min(self.rank, *matrix.shape), self.iterations)
        return left[:, 0] @ matrix @ right[:, 0]
