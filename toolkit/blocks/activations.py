"""Activations by their names."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Activation = Literal[
    "linear", "relu", "prelu", "leaky_relu", "elu", "gelu", "mish", "silu", "snake", "sigmoid", "tanh", "softmax"
]


class PReLU(nn.PReLU):
    """Rectifier with a learned slope for negative values (He et al. 2015).

    PyTorch's backward pass on a CPU writes the slope's gradient out for every element before it sums; with one shared slope
    it is a dot product here, which takes a third of the time.

    Args:
        channels: 1 for one slope, or the size of axis 1 for a slope each.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Rectify (batch, channels, *)."""
        on_cpu = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()
        if on_cpu and self.num_parameters == 1 and x.dtype == self.weight.dtype:
            return _SharedSlope.apply(x, self.weight)
        return F.prelu(x, self.weight.to(x.dtype))


class _SharedSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return F.prelu(x, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        grad_slope = torch.dot(grad.flatten(), x.clamp(max=0).flatten())
        return torch.ops.aten.leaky_relu_backward(grad, x, slope.item(), False), grad_slope[None]


class Snake(nn.Module):
    """x + sin²(a·x) / a with a learned frequency a: a bias towards periodic signals (Ziyin et al. 2020).

    Args:
        channels: 1 for one frequency, or the size of axis 1 for a frequency each.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Activate (batch, channels, *)."""
        frequency = self.weight.view(-1, *[1] * (x.dim() - 2))
        return x + (frequency * x).sin().square() / (frequency + 1e-9)  # which may come to rest at 0


PLAIN: dict[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "mish": nn.Mish,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
LEARNED: dict[str, type[PReLU] | type[Snake]] = {"prelu": PReLU, "snake": Snake}


def build(name: Activation, channels: int = 1) -> nn.Module:
    """The activation of that name for tensors (batch, channels, *); softmax goes over axis 1.

    Args:
        name: which.
        channels: how many parameters a learned activation has: 1, or one for each channel of axis 1.

    Raises:
        ValueError: there is no such activation.
    """
    if name in LEARNED:
        return LEARNED[name](channels)
    if name == "softmax":
        return nn.Softmax(dim=1)
    if name not in PLAIN:
        raise ValueError(f"activation: expected one of {', '.join(get_args(Activation))}, found {name!r}")
    return PLAIN[name]()
