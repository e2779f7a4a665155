"""Two convolutions over time, (batch, channels, frames), in forms that are quicker to train on a CPU than `nn.Conv1d`.

Both are `nn.Conv1d` in all else: the same parameters, names and initial values.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class PointwiseConv(nn.Conv1d):
    """Convolution of kernel size 1: one matrix product for each example, without the reordering that a convolution does.

    Args:
        channels: size of axis 1 of the input.
        out_channels: size of axis 1 of the output.
        bias: whether there is one.
    """

    def __init__(self, channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, L) to (B, out_channels, L)."""
        return pointwise(x, self.weight, self.bias)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply each frame of (B, N, L) by a weight (M, N, 1) and add a bias (M): (B, M, L)."""
    matrices = weight.squeeze(-1).expand(x.shape[0], -1, -1)  # not len(x), which is a fixed number where x is traced
    return torch.bmm(matrices, x) if bias is None else torch.baddbmm(bias[:, None], matrices, x)


class DepthwiseConv(nn.Conv1d):
    """Dilated convolution of every channel with a kernel of its own; as many frames come out as go in.

    Args:
        channels: size of axis 1.
        kernel_size: frames that are weighted; odd, unless causal.
        dilation: distance of those frames.
        causal: look back only, else equally far to both sides.
        bias: whether there is one.

    Raises:
        ValueError: an even kernel cannot lie centred.
    """

    def __init__(self, channels: int, kernel_size: int = 3, dilation: int = 1, causal: bool = False, bias: bool = True) -> None:
        if kernel_size % 2 == 0 and not causal:
            raise ValueError(f"kernel_size: expected an odd number of frames, found {kernel_size}")
        super().__init__(channels, channels, kernel_size, dilation=dilation, groups=channels, bias=bias)
        reach = (kernel_size - 1) * dilation
        self.left = reach if causal else reach // 2
        self.right = reach - self.left

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, channels, L)."""
        dilation = self.dilation[0]
        shifting = dilation > 1 and x.device.type == "cpu" and x.dtype == self.weight.dtype
        if shifting and not torch.compiler.is_compiling():
            offsets = tuple(tap * dilation - self.left for tap in range(self.kernel_size[0]))
            return _ShiftedSum.apply(x, self.weight.squeeze(1), self.bias, offsets)
        if self.left != self.right:
            x = F.pad(x, (self.left, self.right))
        around = self.left if self.left == self.right else 0  # zeros on both sides need no copy
        return F.conv1d(x, self.weight, self.bias, padding=around, dilation=dilation, groups=self.groups)


class _ShiftedSum(torch.autograd.Function):
    """out[t] = bias + Σ weight[tap] · x[t + offset[tap]]: half the time of oneDNN's backward pass of dilated kernels."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, offsets: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.offsets, ctx.has_bias = offsets, bias is not None
        summed = _shifted_sum(x, weight, offsets)
        return summed if bias is None else summed.add_(bias[:, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad_x = _shifted_sum(grad, weight, tuple(-offset for offset in ctx.offsets))
        products = [(_cut(grad, offset) * _cut(x, -offset)).sum((0, 2)) for offset in ctx.offsets]
        return grad_x, torch.stack(products, 1), grad.sum((0, 2)) if ctx.has_bias else None, None


def _shifted_sum(x: Tensor, weight: Tensor, offsets: tuple[int, ...]) -> Tensor:
    out = x * weight[:, offsets.index(0), None]
    for tap, offset in zip(weight.unbind(1), offsets, strict=True):
        if offset != 0:
            _cut(out, offset).add_(_cut(x, -offset) * tap[:, None])
    return out


def _cut(x: Tensor, offset: int) -> Tensor:
    """The frames t of x for which t + offset is a frame too."""
    return x[..., max(-offset, 0) : max(x.shape[-1] - max(offset, 0), 0)]
