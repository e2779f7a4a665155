"""Networks from pitch and loudness to the parameters of a synthesizer."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from toolkit.blocks.slots import check_shape
from toolkit.blocks.synthesis import Controller, State

FEW = 256  # frames


class CausalTCN(Controller):
    """Dilated convolutions that only look back (Caspe et al. 2022, "DDX7", released code).

    As released, only the first and the last pair of convolutions have a residual path.

    Args:
        conditions: values of each frame that come in.
        parameters: values of each frame that come out.
        hidden: channels within.
        kernel_size: frames a convolution weights.
        blocks: pairs of convolutions, dilated by 1, 2, 4, …
        dropout: share of the channels' frames that are dropped while training.

    Attributes:
        receptive_field: frames that one is computed from.

    Raises:
        ValueError: fewer than two blocks.
    """

    def __init__(
        self,
        conditions: int,
        parameters: int,
        hidden: int = 128,
        kernel_size: int = 3,
        blocks: int = 5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(conditions, parameters)
        if blocks < 2:
            raise ValueError(f"blocks: expected 2 or more, found {blocks}")
        self.receptive_field = 1 + 2 * (kernel_size - 1) * (2**blocks - 1)
        widths = [conditions, *[hidden] * (blocks - 1), parameters]
        self.pairs = nn.ModuleList(
            _ConvPair(width, hidden, out, kernel_size, 2**number, dropout, number in (0, blocks - 1), number == blocks - 1)
            for number, (width, out) in enumerate(pairwise(widths))
        )

    def step(self, conditions: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map the next frames (B, L, conditions) to (B, L, parameters), see `Controller`."""
        check_shape(conditions, "conditions", batch=None, frames=None, conditions=self.conditions)
        x, carried = conditions.transpose(1, 2), State()
        for number, pair in enumerate(self.pairs):
            x, own = pair(x, _of(f"{number}.", state))
            carried |= {f"{number}.{name}": value for name, value in own.items()}
        return x.transpose(1, 2), carried


class _ConvPair(nn.Module):
    """Two causal convolutions with normalised weights, rectified and dropped out; the last pair's output is left as it is."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        out: int,
        kernel_size: int,
        dilation: int,
        dropout: float,
        residual: bool,
        last: bool,
    ) -> None:
        super().__init__()
        self.last = last
        self.first = weight_norm(_CausalConv(channels, hidden, kernel_size, dilation=dilation))
        self.second = weight_norm(_CausalConv(hidden, out, kernel_size, dilation=dilation))
        self.residual = _CausalConv(channels, out, 1) if residual else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map the next frames (B, channels, L) to (B, out, L); the state is empty at the start."""
        carried = {}
        hidden, carried["first"] = self.first.step(x, _of("first.", state))
        out, carried["second"] = self.second.step(self.dropout(hidden.relu()), _of("second.", state))
        if not self.last:
            out = self.dropout(out.relu())
        if self.residual is not None:
            beside, carried["residual"] = self.residual.step(x, _of("residual.", state))
            out = out + beside
        return out, {f"{part}.{name}": value for part, own in carried.items() for name, value in own.items()}


class _CausalConv(nn.Conv1d):
    """A convolution that only looks back.

    Of a few frames it is one matrix product, as a dilated convolution takes long to begin.  Where nothing is
    learned, the matrix is carried along, so that its weights are normalised once a stream.
    """

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map the next frames (B, channels, L) to (B, out, L); the state is empty at the start."""
        taps, dilation, frames = self.kernel_size[0], self.dilation[0], x.shape[-1]
        reach = (taps - 1) * dilation
        seen = torch.cat([state["past"], x], -1) if state else F.pad(x, (reach, 0))
        carried = {"past": seen[..., frames:].detach()}
        if frames > FEW or self.bias is None:
            return self(seen), carried
        matrix = state["matrix"] if "matrix" in state else self.weight.transpose(1, 2).flatten(1)
        if not torch.is_grad_enabled():
            carried["matrix"] = matrix
        columns = torch.cat([seen[..., tap * dilation :][..., :frames] for tap in range(taps)], 1)
        return torch.baddbmm(self.bias[:, None], matrix.expand(x.shape[0], -1, -1), columns), carried


def _of(part: str, state: State | None) -> State:
    """What a part has carried along; nothing at the start."""
    return {name.removeprefix(part): value for name, value in (state or {}).items() if name.startswith(part)}


class RecurrentDecoder(Controller):
    """DDSP's decoder: a perceptron for each condition, a GRU, the conditions once more, a perceptron (Engel et al. 2020).

    Args:
        conditions: values of each frame that come in, e.g. pitch and loudness.
        parameters: values of each frame that come out.
        hidden: units of every layer.
        layers: of each perceptron: linear, layer norm, activation.
        activation: `relu` as in DDSP, or `leaky_relu` as in DDX7's baseline HpN.
    """

    def __init__(
        self,
        conditions: int,
        parameters: int,
        hidden: int = 512,
        layers: int = 3,
        activation: Literal["relu", "leaky_relu"] = "relu",
    ) -> None:
        super().__init__(conditions, parameters)
        self.inputs = nn.ModuleList(_perceptron(1, hidden, layers, activation) for _ in range(conditions))
        self.recurrent = nn.GRU(conditions * hidden, hidden, batch_first=True)
        self.output = _perceptron(hidden + conditions, hidden, layers, activation)
        self.heads = nn.Linear(hidden, parameters)

    def step(self, conditions: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map the next frames (B, L, conditions) to (B, L, parameters), see `Controller`."""
        check_shape(conditions, "conditions", batch=None, frames=None, conditions=self.conditions)
        each = [layer(values) for layer, values in zip(self.inputs, conditions.split(1, -1), strict=True)]
        memory, last = self.recurrent(torch.cat(each, -1), None if state is None else state["memory"])
        return self.heads(self.output(torch.cat([memory, conditions], -1))), {"memory": last.detach()}


def _perceptron(width: int, hidden: int, layers: int, activation: str) -> nn.Sequential:
    rectifier = nn.ReLU if activation == "relu" else nn.LeakyReLU
    widths = [width, *[hidden] * (layers - 1)]
    parts = [part for size in widths for part in (nn.Linear(size, hidden), nn.LayerNorm(hidden), rectifier())]
    return nn.Sequential(*parts)
