"""Several hypotheses of a few numbers, from a few numbers: small fully connected networks for synthetic data."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks.slots import check_shape
from toolkit.models.base import Model

Activation = Literal["relu", "sigmoid"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "sigmoid": torch.sigmoid}


class Hypotheses(NamedTuple):
    """What may be true, and how likely.

    Attributes:
        points: (B, K, D).
        scores: (B, K), logits; None where all are as likely.
    """

    points: Tensor
    scores: Tensor | None

    def weights(self) -> Tensor:
        """Probabilities (B, K): the scores' sigmoids scaled to a sum of 1 (Letzelter et al. 2023), or 1 / K each."""
        if self.scores is None:
            return self.points.new_full(self.points.shape[:2], 1 / self.points.shape[1])
        return F.softmax(F.logsigmoid(self.scores), dim=1)


class HypothesisModel(Model):
    """Numbers to hypotheses.

    Attributes:
        inputs: numbers that it is given.
        outputs: D, numbers of a hypothesis.
        hypotheses: K.
    """

    inputs: int
    outputs: int
    hypotheses: int

    @abstractmethod
    def forward(self, inputs: Tensor) -> Hypotheses:
        """Map inputs (B, inputs) to hypotheses."""


class HypothesisMLP(HypothesisModel):
    """Layers that all hypotheses share, and a linear head for each of them, another for its score.

    As in the synthetic experiments of Letzelter et al. 2023, "Resilient multiple choice learning", whose defaults these are,
    and of Perera, Letzelter et al. 2024, "Annealed multiple choice learning", which bounds the hypotheses.

    Args:
        inputs: numbers that it is given.
        outputs: D, numbers of a hypothesis.
        hypotheses: K.
        hidden: sizes of the shared layers.
        scored: whether each hypothesis has a score.
        bounded: whether hypotheses are held between -1 and 1, by tanh.
        activation: of the shared layers.
    """

    def __init__(
        self,
        inputs: int = 1,
        outputs: int = 2,
        hypotheses: int = 20,
        hidden: Sequence[int] = (256, 256),
        scored: bool = True,
        bounded: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        _check(hypotheses, hidden)
        self.inputs, self.outputs, self.hypotheses = inputs, outputs, hypotheses
        self.bounded, self.activation = bounded, ACTIVATIONS[activation]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise([inputs, *hidden]))
        self.points = nn.Linear(hidden[-1], hypotheses * outputs)  # initialised as K heads are: that depends on the input alone
        self.scores = nn.Linear(hidden[-1], hypotheses) if scored else None

    def forward(self, inputs: Tensor) -> Hypotheses:
        """Map inputs (B, inputs) to K hypotheses."""
        check_shape(inputs, "inputs", batch=None, numbers=self.inputs)
        x = inputs
        for layer in self.layers:
            x = self.activation(layer(x))
        points = self.points(x).unflatten(1, (self.hypotheses, self.outputs))
        return Hypotheses(points.tanh() if self.bounded else points, None if self.scores is None else self.scores(x))


class HypothesisEnsemble(HypothesisModel):
    """K networks of one hypothesis each that share nothing, computed side by side.

    The independent ensemble of Letzelter et al. 2023, trained by the loss `NearestReference`.  With one hidden layer of 128
    sigmoids, the hypotheses in the notebook that was released with Perera, Letzelter et al. 2024, where they compete.

    Args:
        inputs: numbers that it is given.
        outputs: D, numbers of a hypothesis.
        hypotheses: K, how many networks.
        hidden: sizes of each one's layers.
        bounded: whether hypotheses are held between -1 and 1, by tanh.
        activation: of the hidden layers.
        apart: whether, while training, a batch is dealt out to the networks, as if each were trained without the others.
            Taught by the same batches, networks that could go either of two ways go the same way.
    """

    def __init__(
        self,
        inputs: int = 1,
        outputs: int = 2,
        hypotheses: int = 20,
        hidden: Sequence[int] = (256, 256),
        bounded: bool = False,
        activation: Activation = "relu",
        apart: bool = False,
    ) -> None:
        super().__init__()
        _check(hypotheses, hidden)
        self.inputs, self.outputs, self.hypotheses = inputs, outputs, hypotheses
        self.bounded, self.activation, self.apart = bounded, ACTIVATIONS[activation], apart
        self.layers = nn.ModuleList(SideBySide(hypotheses, a, b) for a, b in pairwise([inputs, *hidden, outputs]))

    def forward(self, inputs: Tensor) -> Hypotheses:
        """Map inputs (B, inputs) to a hypothesis of each network; networks that are trained apart, to one hypothesis in all.

        Raises:
            ValueError: networks are trained apart, and B is no multiple of K.
        """
        check_shape(inputs, "inputs", batch=None, numbers=self.inputs)
        if not (self.apart and self.training):
            return Hypotheses(self._points(inputs.expand(self.hypotheses, -1, -1)).transpose(0, 1), None)
        if len(inputs) % self.hypotheses:
            raise ValueError(f"expected a batch that {self.hypotheses} networks can share, found {len(inputs)} examples")
        shares = inputs.unflatten(0, (self.hypotheses, -1))
        return Hypotheses(self._points(shares).flatten(0, 1)[:, None], None)

    def _points(self, x: Tensor) -> Tensor:
        """Map what each network is given (K, B, inputs) to (K, B, D)."""
        *inner, last = self.layers
        for layer in inner:
            x = self.activation(layer(x))
        points: Tensor = last(x)
        return points.tanh() if self.bounded else points


class SideBySide(nn.Module):
    """K linear layers, each initialised as torch's own.

    Args:
        count: K.
        inputs: size of each one's input.
        outputs: size of each one's output.
    """

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(count, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, B, inputs) to (K, B, outputs)."""
        return torch.baddbmm(self.bias, x, self.weight)


def _check(hypotheses: int, hidden: Sequence[int]) -> None:
    if hypotheses < 1:
        raise ValueError(f"hypotheses: expected at least 1, found {hypotheses}")
    if not hidden:
        raise ValueError("hidden: expected the size of at least one layer, found none")
