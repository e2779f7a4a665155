"""The levels of a U-Net whose activations have bins and frames, (B, C, F, L); a waveform is a spectrogram of one bin.

So the same level works along frequency or along time, and branches over spectrogram and waveform can meet.  Activations and
weights are best kept in the memory format `channels_last`: all of a frame's channels lie together, no layer has to copy
anything into another order, and the convolutions of width 1, half of all layers, are plain products of matrices.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks import activations
from toolkit.blocks.activations import Activation
from toolkit.blocks.dconv import NoBranch, ResidualBranch

SILENCE = 1e-5  # added to a deviation that is divided by
CACHED = 2**20  # elements that a level works on at once without gradients: 4 MB


class Window(NamedTuple):
    """Size, step and padding (to each side) of a strided convolution over (bins, frames)."""

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)

    @classmethod
    def bins(cls, size: int, stride: int, padding: int = 0) -> "Window":
        """A window along frequency."""
        return cls((size, 1), (stride, 1), (padding, 0))

    @classmethod
    def frames(cls, size: int, stride: int, padding: int = 0) -> "Window":
        """A window along time."""
        return cls((1, size), (1, stride), (0, padding))


class Downsample(nn.Module):
    """Strided convolution; frames that do not fill a last stride are filled up with zeros.

    Args:
        channels: C of the input.
        channels_out: C of the output.
        window: of the convolution.
    """

    def __init__(self, channels: int, channels_out: int, window: Window) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels_out, window.size, window.stride, window.padding)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, L) to (B, C', F', L')."""
        return self.conv(F.pad(x, (0, -x.shape[-1] % self.conv.stride[1])))


class Upsample(nn.Module):
    """Transposed strided convolution and norm, cut to as many bins and frames as what was once downsampled.

    A norm also hears what is cut off; without one, it is not even computed.

    Args:
        channels: C of the input.
        channels_out: C of the output.
        window: of the convolution.
        norm: groups of channels that are normalised over; 0 for no norm.
        activation: at the end; linear in the layer that makes the sources.
    """

    def __init__(self, channels: int, channels_out: int, window: Window, norm: int, activation: Activation) -> None:
        super().__init__()
        self.cut = window.padding if norm else (0, 0)
        padding = (0, 0) if norm else window.padding
        self.conv = TransposedConv(channels, channels_out, window.size, window.stride, padding)
        self.norm = _norm(norm, channels_out)
        self.activation = activations.build(activation, channels_out)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """Map (B, C, F, L) to (B, C', *size)."""
        x = self.norm(self.conv(x))
        (bins, frames), (low, early) = size, self.cut
        return self.activation(x[:, :, low : low + bins, early : early + frames])


class TransposedConv(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d`, on a CPU in another form where a window along time is two strides long.

    Each frame of the input then makes two strides of the output: a product of matrices, whose halves are added where they
    overlap.  In the memory format `channels_last` nothing needs to be copied into another order for it.
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (B, C, F, L) to (B, C', F', L')."""
        stride, padding = self.stride[1], self.padding[1]
        if x.device.type != "cpu" or self.kernel_size != (1, 2 * stride) or self.padding[0] or self.bias is None:
            return super().forward(x, output_size)
        matrix = self.weight.permute(0, 2, 3, 1).flatten(1)  # (C, 2 stride C')
        early, late = (x.permute(0, 2, 3, 1) @ matrix).chunk(2, dim=-1)  # strides of the output, (B, F, L, stride C')
        strides = self.bias.repeat(stride).expand(*x.shape[:1], x.shape[2], x.shape[3] + 1, -1).clone()
        strides[:, :, :-1] += early
        strides[:, :, 1:] += late
        samples = strides.unflatten(3, (stride, -1)).flatten(2, 3).permute(0, 3, 1, 2)
        return samples[..., padding : samples.shape[-1] - padding]


class EncoderLevel(nn.Module):
    """One level down (Défossez 2021, "Compressed residual branches"): it shortens, looks along time, and gates.

    Args:
        channels: C of the input.
        channels_out: C of the output.
        window: of the strided convolution.
        norm: groups of channels that are normalised over; 0 for no norm.
        activation: after the strided convolution.
        branch: residual branch over `channels_out`.
        embedding: of the bins that come out; null for none.
    """

    def __init__(
        self,
        channels: int,
        channels_out: int,
        window: Window,
        norm: int,
        activation: Activation,
        branch: ResidualBranch,
        embedding: "BinEmbedding | None" = None,
    ) -> None:
        super().__init__()
        self.down = Downsample(channels, channels_out, window)
        self.norm = _norm(norm, channels_out)
        self.activation = activations.build(activation, channels_out)
        self.branch = branch
        self.gate = Gate(channels_out, (0, 0), norm)
        self.embedding = embedding or nn.Identity()

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Map (B, C, F, L) to (B, C', F', L'); `other` is added where the branches meet, once the shapes are the same."""
        x = self.down(x)
        if other is not None:
            x = x + other
        x = _part_by_part(self._along_time, self.norm(x)) if self.gate.pointwise else self._along_time(self.norm(x))
        return self.embedding(x)

    def _along_time(self, x: Tensor) -> Tensor:
        """What follows the strided convolution, which keeps bins apart."""
        return self.gate(self.branch(self.activation(x)))


class DecoderLevel(nn.Module):
    """One level up: it adds the skip connection, gates by what lies around each position, and lengthens.

    Args:
        channels: C of the input.
        channels_out: C of the output.
        window: of the encoder level's strided convolution.
        norm: groups of channels that are normalised over; 0 for no norm.
        activation: at the end; linear in the layer that makes the sources.
        branch: residual branch over `channels`.
        context: bins and frames to each side that the gated convolution sees.
    """

    def __init__(
        self,
        channels: int,
        channels_out: int,
        window: Window,
        norm: int,
        activation: Activation,
        branch: ResidualBranch,
        context: tuple[int, int],
    ) -> None:
        super().__init__()
        self.gate = Gate(channels, context, norm)
        self.branch = branch
        self.up = Upsample(channels, channels_out, window, norm, activation)

    def forward(self, x: Tensor, skip: Tensor, size: torch.Size) -> tuple[Tensor, Tensor]:
        """Map (B, C, F, L) to (B, C', *size); also gives what was made before it was lengthened, (B, C, F, L)."""
        short = self.branch(self.gate(x + skip))
        return self.up(short, size), short


class Gate(nn.Module):
    """Convolution, norm and gated linear unit.

    Args:
        channels: C of input and output.
        context: bins and frames to each side that the convolution sees.
        norm: groups of channels that are normalised over; 0 for no norm.
    """

    def __init__(self, channels: int, context: tuple[int, int], norm: int) -> None:
        super().__init__()
        bins, frames = context
        self.conv = nn.Conv2d(channels, 2 * channels, (2 * bins + 1, 2 * frames + 1), padding=context)
        self.norm = _norm(norm, 2 * channels)
        self.pointwise = context == (0, 0) and not norm  # what comes of a position depends on nothing else

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, L) to the same shape."""
        return F.glu(self.norm(self.conv(x)), dim=1)


class BinEmbedding(nn.Module):
    """What tells bins apart, added to them: convolutions along frequency do not know where they are (Isik et al. 2020).

    Neighbours begin with similar vectors.  A vector learns `boost` times as fast as its size would let it.

    Args:
        bins: F.
        channels: C.
        weight: the embedding's share.
        boost: how many times smaller the parameters are than the vectors.
    """

    def __init__(self, bins: int, channels: int, weight: float = 0.2, boost: float = 10.0) -> None:
        super().__init__()
        walk = torch.randn(bins, channels).cumsum(0) / torch.arange(1, bins + 1).sqrt()[:, None]
        self.vectors = nn.Parameter(walk / boost)
        self.weight = weight * boost

    def forward(self, x: Tensor) -> Tensor:
        """Add to (B, C, F, L)."""
        return x + self.weight * self.vectors.T[:, :, None]


class Levels(nn.Module):
    """Consecutive levels of a U-Net, downwards and upwards.

    Args:
        encoder: from outside inwards.
        decoder: of the same levels, in the same order.
    """

    def __init__(self, encoder: list[EncoderLevel], decoder: list[DecoderLevel]) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(decoder)

    def encode(self, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, torch.Size]]]:
        """Go inwards from (B, C, F, L); also gives what each level made and the (F, L) that it read, as `decode` needs them."""
        skips = []
        for level in self.encoder:
            size = x.shape[2:]
            x = level(x)
            skips.append((x, size))
        return x, skips

    def decode(self, x: Tensor, skips: list[tuple[Tensor, torch.Size]]) -> Tensor:
        """Go outwards again, to (B, C', F, L)."""
        for level, (skip, size) in zip(reversed(self.decoder), reversed(skips), strict=True):
            x, _ = level(x, skip, size)
        return x


@dataclass
class LevelOptions:
    """What all levels of a U-Net have in common, and how they are built with it; levels are counted from 0, outside.

    Args:
        branch: residual branch of a level, built as ``branch(channels, level)``.
        branch_in: where residual branches are.
        context: bins and frames to each side that the decoder's gates see.
        norm_from: the first level with norms.
        norm_groups: of channels that are normalised over together.
        activation: after the strided convolutions.
    """

    branch: Callable[[int, int], ResidualBranch]
    branch_in: Literal["encoder", "decoder", "both"]
    context: int
    norm_from: int
    norm_groups: int
    activation: Activation

    def norm(self, level: int) -> int:
        """Groups of a level's norms; 0 for none."""
        return self.norm_groups if level >= self.norm_from else 0

    def encoder(
        self, level: int, channels: int, channels_out: int, window: Window, embedding: BinEmbedding | None = None
    ) -> EncoderLevel:
        """A level downwards."""
        branch = NoBranch if self.branch_in == "decoder" else self.branch
        residual = branch(channels_out, level)
        return EncoderLevel(channels, channels_out, window, self.norm(level), self.activation, residual, embedding)

    def decoder(self, level: int, channels: int, channels_out: int, window: Window) -> DecoderLevel:
        """A level upwards; the outermost has neither norm nor activation at its end."""
        branch = NoBranch if self.branch_in == "encoder" else self.branch
        residual = branch(channels, level)
        activation: Activation = "linear" if level == 0 else self.activation
        context = (0 if window.size[0] == 1 else self.context, self.context)
        return DecoderLevel(channels, channels_out, window, self.norm(level), activation, residual, context)

    def levels(
        self, widths: list[int], made: int, window: Window, first: int = 0, embedding: BinEmbedding | None = None
    ) -> Levels:
        """Levels between channels `widths[0]` outside and `widths[-1]` inside, which make `made` channels in the end."""
        pairs = list(enumerate(itertools.pairwise(widths), first))
        encoder = [self.encoder(level, *pair, window, embedding if level == first else None) for level, pair in pairs]
        decoder = [
            self.decoder(level, inside, made if level == first else outside, window) for level, (outside, inside) in pairs
        ]
        return Levels(encoder, decoder)


def level_and_scale(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each example of (B, ...)."""
    correction = min(1, x[0].numel() - 1)
    deviation, mean = torch.std_mean(x, dim=tuple(range(1, x.ndim)), correction=correction, keepdim=True)
    return mean, deviation


def _part_by_part(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply what keeps the bins of (B, C, F, L) apart, on a CPU to so few of them that all between lies in its cache."""
    bins = max(1, CACHED * x.shape[2] // max(1, x.numel()))
    if bins >= x.shape[2] or torch.is_grad_enabled() or x.device.type != "cpu":
        return function(x)
    return torch.cat([function(part) for part in x.split(bins, dim=2)], dim=2)


def _norm(groups: int, channels: int) -> nn.Module:
    return nn.GroupNorm(groups, channels) if groups else nn.Identity()
