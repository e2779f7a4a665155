"""Values over time to one vector: means with weights of many kinds, extremes, statistics.

Where frames are tagged before they are pooled, those that give one number a value fit: all but `StatisticsPooling` and
`MaxMeanPooling`, which give two.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from toolkit.blocks.inits import initialised
from toolkit.blocks.tagging import Pooling, WeightedPooling

EPS = 1e-7  # gates stay so far from 0 and 1
LEAST_VARIANCE = 1e-8


class MeanPooling(WeightedPooling):
    """The mean: all frames count alike."""

    def weights(self, values: Tensor, features: Tensor) -> Tensor:
        """One over the number of frames, (B, 1, L)."""
        return values.new_full((values.shape[0], 1, values.shape[-1]), 1 / values.shape[-1])


class SoftmaxPooling(WeightedPooling):
    """Each value is weighted by its softmax over the frames: between the mean and the maximum (Wang, Li & Metze 2019)."""

    def weights(self, values: Tensor, features: Tensor) -> Tensor:
        """The softmax (B, values, L)."""
        return values.softmax(-1)


class AutoPooling(WeightedPooling):
    """Softmax pooling of a learned sharpness for each value (McFee, Salamon & Bello 2018, "Adaptive pooling operators").

    A sharpness of 0 gives the mean, 1 softmax pooling, infinity the maximum.

    Args:
        channels: of the features, which are not looked at.
        values: what is pooled of each frame.
        sharpness: that all values begin with; 0 in the authors' code.
    """

    def __init__(self, channels: int, values: int, sharpness: float = 0.0) -> None:
        super().__init__(channels, values)
        self.sharpness = nn.Parameter(torch.full((values, 1), float(sharpness)))

    def weights(self, values: Tensor, features: Tensor) -> Tensor:
        """The softmax of the values times their sharpness, (B, values, L)."""
        return (self.sharpness * values).softmax(-1)


class AttentionPooling(WeightedPooling):
    """Each value is weighted by what a linear layer hears in the frame's features (Kong et al. 2018; Gururani et al. 2019).

    Args:
        channels: of the features.
        values: what is pooled of each frame.
        gate: `sigmoid`, a gate for each frame by itself, divided by the sum of the gates; `softmax` over the frames.

    Raises:
        ValueError: there is no such gate.
    """

    def __init__(self, channels: int, values: int, gate: Literal["sigmoid", "softmax"] = "sigmoid") -> None:
        super().__init__(channels, values)
        if gate not in ("sigmoid", "softmax"):
            raise ValueError(f"gate: expected sigmoid or softmax, found {gate!r}")
        self.gate = gate
        self.score = initialised(nn.Conv1d(channels, values, 1), "he_uniform")

    def weights(self, values: Tensor, features: Tensor) -> Tensor:
        """The gates (B, values, L), adding up to one."""
        scores = self.score(features).to(values.dtype)  # which may be finer than the features'
        if self.gate == "softmax":
            return scores.softmax(-1)
        gates = scores.sigmoid().clamp(EPS, 1 - EPS)
        return gates / gates.sum(-1, keepdim=True)


class MaxPooling(Pooling):
    """The largest value."""

    def forward(self, values: Tensor, features: Tensor) -> Tensor:
        """The maxima (B, values)."""
        return values.amax(-1)


class LastFrame(Pooling):
    """The last frame's values, where a recurrent network has heard everything."""

    def forward(self, values: Tensor, features: Tensor) -> Tensor:
        """The last (B, values)."""
        return values[..., -1]


class StatisticsPooling(Pooling):
    """The mean and, below it, the deviation (Snyder et al. 2018, "X-vectors")."""

    statistics = 2

    def forward(self, values: Tensor, features: Tensor) -> Tensor:
        """Means and deviations (B, 2 · values)."""
        variance = values.var(-1, correction=0)  # one frame has none
        return torch.cat([values.mean(-1), variance.clamp(min=LEAST_VARIANCE).sqrt()], dim=1)


class MaxMeanPooling(Pooling):
    """The largest value and, below it, the mean (Pons et al. 2018, "End-to-end learning for music audio tagging at scale")."""

    statistics = 2

    def forward(self, values: Tensor, features: Tensor) -> Tensor:
        """Maxima and means (B, 2 · values)."""
        return torch.cat([values.amax(-1), values.mean(-1)], dim=1)
