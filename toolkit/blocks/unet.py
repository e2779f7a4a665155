"""U-Nets over time: the slots of their levels, and the levels and bottlenecks of Demucs.

An encoder layer shortens what it reads, the decoder layer of the same level lengthens it again and is also given what the
encoder layer made (the skip connection).  Without padding, a layer puts out less than it reads; each tells how much, so that
a model knows what to read.  Letters of the shapes: B batch, C channels, L frames.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from toolkit.blocks import activations, norms
from toolkit.blocks.activations import Activation
from toolkit.blocks.norms import Norm
from toolkit.blocks.recurrent import LSTM
from toolkit.blocks.sepformer import Transformer


class EncoderLayer(nn.Module, ABC):
    """One level of a U-Net downwards; built as ``Block(channels, channels_out, **options)``."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, L) to (B, channels_out, output_length(L))."""

    @abstractmethod
    def output_length(self, length: int) -> int:
        """Frames that come out of `length` frames."""

    @abstractmethod
    def input_length(self, length: int) -> int:
        """The fewest frames of which `length` frames come out."""


class DecoderLayer(nn.Module, ABC):
    """One level of a U-Net upwards; built as ``Block(channels, channels_out, last, **options)``.

    `last` says that it makes the waveforms, so that no norm and no activation may come after it.
    """

    @abstractmethod
    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map x and the skip connection, both (B, channels, L), to (B, channels_out, output_length(L))."""

    @abstractmethod
    def output_length(self, length: int) -> int:
        """Frames that come out of `length` frames."""

    @abstractmethod
    def input_length(self, length: int) -> int:
        """The fewest frames of which at least `length` frames come out."""


class Bottleneck(nn.Module, ABC):
    """What lies between encoder and decoder; built as ``Block(channels, **options)``."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to the same shape, for any L of at least one frame."""


class StridedEncoderLayer(EncoderLayer):
    """Strided convolution, then a gated convolution of width 1 (Défossez et al. 2019, "Demucs", section 4.1).

    Args:
        channels: C of the input.
        channels_out: C of the output.
        kernel_size: frames of the strided convolution.
        stride: its step.
        rewrite: whether the convolution of width 1 is there.
        glu: it is gated; else followed by the activation.
        activation: after the strided convolution.
        norm: before each activation; null for none.
    """

    def __init__(
        self,
        channels: int,
        channels_out: int,
        kernel_size: int = 8,
        stride: int = 4,
        rewrite: bool = True,
        glu: bool = True,
        activation: Activation = "relu",
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        layers = [nn.Conv1d(channels, channels_out, kernel_size, stride), *_activated(channels_out, activation, norm)]
        if rewrite:
            layers += _rewrite(channels_out, 1, glu, activation, norm)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, L) to (B, channels_out, output_length(L))."""
        return self.layers(x)

    def output_length(self, length: int) -> int:
        """Frames that come out of `length` frames."""
        return (length - self.kernel_size) // self.stride + 1

    def input_length(self, length: int) -> int:
        """The fewest frames of which `length` frames come out."""
        return (length - 1) * self.stride + self.kernel_size


class StridedDecoderLayer(DecoderLayer):
    """A gated convolution of what was added to the skip connection, then a transposed convolution (Demucs, section 4.1).

    Args:
        channels: C of the input.
        channels_out: C of the output.
        last: no norm and no activation come after the transposed convolution.
        kernel_size: frames of the transposed convolution.
        stride: its step.
        rewrite: whether the gated convolution is there.
        context: its width, of which nothing is padded.
        glu: it is gated; else followed by the activation.
        activation: after the transposed convolution.
        norm: before each activation; null for none.
    """

    def __init__(
        self,
        channels: int,
        channels_out: int,
        last: bool,
        kernel_size: int = 8,
        stride: int = 4,
        rewrite: bool = True,
        context: int = 3,
        glu: bool = True,
        activation: Activation = "relu",
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.lost = kernel_size, stride, context - 1 if rewrite else 0
        layers = _rewrite(channels, context, glu, activation, norm) if rewrite else []
        layers.append(nn.ConvTranspose1d(channels, channels_out, kernel_size, stride))
        if not last:
            layers += _activated(channels_out, activation, norm)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map x and the skip connection, both (B, channels, L), to (B, channels_out, output_length(L))."""
        return self.layers(x + skip)

    def output_length(self, length: int) -> int:
        """Frames that come out of `length` frames."""
        return (length - self.lost - 1) * self.stride + self.kernel_size

    def input_length(self, length: int) -> int:
        """The fewest frames of which at least `length` frames come out."""
        steps = -(-(length - self.kernel_size) // self.stride)
        return max(steps, 0) + 1 + self.lost


class RecurrentBottleneck(Bottleneck):
    """LSTMs in both directions and a linear map back to as many channels (Demucs, section 4.1).

    Args:
        channels: C, also the units of each layer and direction.
        layers: how many LSTMs.
    """

    def __init__(self, channels: int, layers: int = 2) -> None:
        super().__init__()
        self.lstm = LSTM(channels, channels, layers)
        self.projection = nn.Linear(self.lstm.channels_out, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to the same shape."""
        return self.projection(self.lstm(x.permute(2, 0, 1))).permute(1, 2, 0)


class TransformerBottleneck(Bottleneck):
    """A small transformer beside the direct path.

    Args:
        channels: C.
        width: features within the transformer.
        layers: how many.
        heads: of each attention, a divisor of `width`.
        feedforward: units between the two maps of a layer.
        dropout: share of values left out while training.
    """

    def __init__(
        self, channels: int, width: int = 512, layers: int = 2, heads: int = 8, feedforward: int = 1024, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.narrow = nn.Linear(channels, width)
        self.transformer = Transformer(width, layers, heads, feedforward, dropout)
        self.widen = nn.Linear(width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, L) to the same shape."""
        return x + self.widen(self.transformer(self.narrow(x.permute(2, 0, 1)))).permute(1, 2, 0)


class IdentityBottleneck(Bottleneck):
    """Nothing between encoder and decoder.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Give (B, C, L) as it is."""
        return x


def centre(signal: Tensor, length: int) -> Tensor:
    """The middle `length` samples or frames of (..., T)."""
    start = (signal.shape[-1] - length) // 2
    return signal[..., start : start + length]


def level_widths(channels: int, growth: float, depth: int) -> list[int]:
    """Channels of each of `depth` levels: `channels`, then each `growth` times the one above, rounded down."""
    widths = [channels]
    while len(widths) < depth:
        widths.append(int(growth * widths[-1]))
    return widths


@torch.no_grad()
def rescale_weights(model: nn.Module, reference: float) -> None:
    """Scale each convolution so that its weights' deviation d becomes sqrt(reference · d) (Demucs, section 4.1)."""
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
            factor = (reference / module.weight.std()).sqrt()
            for parameter in module.parameters(recurse=False):
                parameter.mul_(factor)


def _activated(channels: int, activation: Activation, norm: Norm | None) -> list[nn.Module]:
    return [*_normed(channels, norm), activations.build(activation, channels)]


def _rewrite(channels: int, width: int, glu: bool, activation: Activation, norm: Norm | None) -> list[nn.Module]:
    """A convolution to as many channels, gated by as many more or activated."""
    if not glu:
        return [nn.Conv1d(channels, channels, width), *_activated(channels, activation, norm)]
    return [nn.Conv1d(channels, 2 * channels, width), *_normed(2 * channels, norm), nn.GLU(dim=1)]


def _normed(channels: int, norm: Norm | None) -> list[nn.Module]:
    return [] if norm is None else [norms.build(norm, channels)]
