"""The layers that auto-taggers share, over time (dims 1) or over frequency and time (dims 2)."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Backbone

Dims = Literal[1, 2]
Size = int | tuple[int, int]  # the same along both axes, or (frequency, time)

CONVOLUTIONS: dict[Dims, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d}
NORMS: dict[Dims, Callable[..., nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
POOLS: dict[Dims, Callable[..., nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}


def normed(dims: Dims, channels: int, out: int, kernel_size: int = 3, stride: Size = 1) -> list[nn.Module]:
    """A convolution that keeps the size (but for its stride), batch-normalised."""
    convolution = CONVOLUTIONS[dims](channels, out, kernel_size, stride=stride, padding=kernel_size // 2)
    return [convolution, NORMS[dims](out)]


def pooled(dims: Dims, size: Size) -> list[nn.Module]:
    """Maxima of blocks of that size, and a rectifier: the same as the other way round, with fewer values to rectify."""
    return [*([] if size == 1 else [POOLS[dims](size)]), nn.ReLU()]


def block(dims: Dims, channels: int, out: int, kernel_size: int = 3, stride: Size = 1, pool: Size = 1) -> nn.Sequential:
    """Convolution, batch normalisation, rectifier, maximum."""
    return nn.Sequential(*normed(dims, channels, out, kernel_size, stride), *pooled(dims, pool))


def pooled_blocks(channels: Sequence[int], pools: Sequence[Size]) -> list[nn.Module]:
    """3x3 convolutions with maxima, from each number of channels to the next."""
    return [block(2, *sizes, pool=pool) for sizes, pool in zip(pairwise(channels), pools, strict=True)]


def strided_blocks(channels: Sequence[int], strides: Sequence[Size]) -> list[nn.Module]:
    """Residual blocks of 3x3 convolutions, from each number of channels to the next."""
    return [ResidualBlock(2, *sizes, stride=stride) for sizes, stride in zip(pairwise(channels), strides, strict=True)]


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, which is a convolution where sizes change.

    Args:
        dims: 1 or 2.
        channels: that come in.
        out: channels that come out.
        kernel_size: of all convolutions.
        stride: of the first convolution and of the shortcut.
        pool: size of the blocks of which maxima are taken after the sum.
        excitation: whether each channel is scaled, before the sum, by what two dense layers make of all channels' means
            (Hu et al. 2018, "Squeeze-and-excitation networks").
    """

    def __init__(
        self,
        dims: Dims,
        channels: int,
        out: int,
        kernel_size: int = 3,
        stride: Size = 1,
        pool: Size = 1,
        excitation: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *normed(dims, channels, out, kernel_size, stride), nn.ReLU(), *normed(dims, out, out, kernel_size)
        )
        changes = stride != 1 or channels != out
        self.shortcut = nn.Sequential(*normed(dims, channels, out, kernel_size, stride)) if changes else nn.Identity()
        self.excitation = (
            nn.Sequential(nn.Linear(out, out), nn.ReLU(), nn.Linear(out, out), nn.Sigmoid()) if excitation else None
        )
        self.pool = nn.Sequential(*pooled(dims, pool))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, *) to (B, out, *)."""
        y = self.layers(x)
        if self.excitation is not None:
            scale = self.excitation(y.flatten(2).mean(-1))
            y = y * scale.view(*scale.shape, *[1] * (y.ndim - 2))
        return self.pool(self.shortcut(x) + y)


class ConvolutionalBackbone(Backbone):
    """Layers over a spectrogram that leave one row of it.

    Args:
        bins: F, rows of the spectrogram.
        layers: map (B, 1, F, L) to (B, C, 1, L').
        channels: C.
        rows: the fewest and the most rows of which one is left.
        least_frames: of which at least one is left.

    Attributes:
        least_frames: the shortest spectrogram that it takes.

    Raises:
        ValueError: another number of rows would be left.
    """

    def __init__(self, bins: int, layers: Sequence[nn.Module], channels: int, rows: tuple[int, int], least_frames: int) -> None:
        super().__init__()
        if not rows[0] <= bins <= rows[1]:
            raise ValueError(
                f"bins: expected {rows[0]} to {rows[1]} rows, of which {type(self).__name__} leaves one, found {bins}"
            )
        self.bins, self.channels, self.least_frames = bins, channels, least_frames
        self.layers = nn.Sequential(*layers)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, L').

        Raises:
            ValueError: the spectrogram is not of that shape, or has fewer than `least_frames` frames.
        """
        check_spectrogram(spectrogram, self.bins, self.least_frames)
        return self.layers(spectrogram).squeeze(2)


def check_spectrogram(spectrogram: Tensor, bins: int, least_frames: int) -> None:
    """Hold a spectrogram (B, 1, F, L) against the rows and the fewest frames that a backbone takes.

    Raises:
        ValueError: naming what was expected and found.
    """
    check_shape(spectrogram, "spectrogram", batch=None, one=1, bins=bins, frames=None)
    if spectrogram.shape[-1] < least_frames:
        raise ValueError(f"spectrogram: expected at least {least_frames} frames, found {spectrogram.shape[-1]}")


def pool_rows(pool: int) -> tuple[int, int]:
    """Fewest and most rows of which maxima of blocks, `pool` rows in all, leave one."""
    return pool, 2 * pool - 1


def stride_rows(stride: int) -> tuple[int, int]:
    """Fewest and most rows of which convolutions of that stride in all leave one."""
    return 1, stride
