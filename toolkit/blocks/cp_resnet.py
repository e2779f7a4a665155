"""CP-ResNet: a residual network whose receptive field is set by one number."""

import math

import torch
from torch import Tensor, nn

from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Backbone

BLOCKS = 4  # of each stage
POOLED = (0, 1, 3)  # blocks of the first stage that are followed by pooling


class CPResNet(Backbone):
    """Residual network of three stages (Koutini et al. 2019, "The receptive field as a regularizer"; Ding & Lerch 2023).

    A convolution of stride 2, then three stages of four blocks with `base`, 2 · `base` and 4 · `base` channels; the first stage
    halves the spectrogram three times.  Most layers' kernels are of one point or of 3 by 3 points as `rho` says.  As in EAsT's
    released code three blocks of the second stage have 3 by 3 second layers at rho 7, where Koutini et al. have points.

    Taps: ``stages.0``, ``stages.1``, ``stages.2``, each (B, C, F', L').

    Args:
        bins: F, rows of the spectrogram.
        rho: the larger, the more layers look at their neighbours.
        base: channels of the first stage.
    """

    def __init__(self, bins: int, rho: int = 7, base: int = 128) -> None:
        super().__init__()
        self.bins, self.channels = bins, 4 * base
        self.entrance = nn.Sequential(nn.Conv2d(1, base, 5, 2, 2, bias=False), nn.BatchNorm2d(base), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList()
        before = base
        for number, kernels in enumerate(kernel_sizes(rho)):
            stage, channels = nn.Sequential(), base * 2**number
            for index, (first, second) in enumerate(kernels):
                stage.append(ResidualBlock(before, channels, first, second))
                if number == 0 and index in POOLED:
                    stage.append(nn.MaxPool2d(2))
                before = channels
            self.stages.append(stage)
        self._initialise()

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, L'), the mean over the rows; L' is about L / 16.

        Raises:
            ValueError: the spectrogram has too few rows or frames for three times pooling.
        """
        check_shape(spectrogram, "spectrogram", batch=None, one=1, bins=self.bins, frames=None)
        if min(spectrogram.shape[2:]) < 15:
            rows, frames = spectrogram.shape[2:]
            raise ValueError(f"spectrogram: expected at least 15 rows and frames, found {rows} and {frames}")
        x = self.entrance(spectrogram.to(memory_format=torch.channels_last))  # a third faster
        for stage in self.stages:
            x = stage(x)
        return x.mean(2)

    def _initialise(self) -> None:
        """Fixup (Zhang, Dauphin & Ma 2019): each block begins as its shortcut."""
        convolution = self.entrance[0]
        assert isinstance(convolution, nn.Conv2d)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        blocks = [module for module in self.modules() if isinstance(module, ResidualBlock)]
        for block in blocks:
            nn.init.normal_(block.first.weight, std=len(blocks) ** -0.5 * _he(block.first))
            nn.init.zeros_(block.second.weight)
            for module in block.shortcut.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.normal_(module.weight, std=_he(module))


class ResidualBlock(nn.Module):
    """Two convolutions with batch norms beside a shortcut.

    Args:
        before: channels that come in.
        channels: channels that go out.
        first: size of the first convolution's kernel.
        second: size of the second one's.
    """

    def __init__(self, before: int, channels: int, first: int, second: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, channels, first, padding=first // 2, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, second, padding=second // 2, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        self.activation = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if before != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(before, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, before, F, L) to (B, channels, F, L)."""
        y = self.activation(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return self.activation(y.add_(self.shortcut(x)))


def kernel_sizes(rho: int) -> list[list[tuple[int, int]]]:
    """Kernel sizes of both convolutions of each block of each stage; padded so that the spectrogram keeps its size."""

    def until(step: int) -> int:
        return 1 if 7 - rho > step else 3

    def beyond(step: int) -> int:
        return 3 if rho - 7 > step else 1

    second = [1, until(5), until(3), until(1)]
    return [
        list(zip([3, until(6), until(4), until(2)], second, strict=True)),
        list(zip([until(0), beyond(1), beyond(3), beyond(5)], second, strict=True)),
        [(beyond(7 + 2 * index), beyond(8 + 2 * index)) for index in range(BLOCKS)],
    ]


def _he(convolution: nn.Conv2d) -> float:
    """Deviation that keeps a signal's level on its way back (He et al. 2015)."""
    return math.sqrt(2 / (math.prod(convolution.kernel_size) * convolution.out_channels))
