"""Mobile FCN: a fully convolutional tagger, most of its convolutions separable."""

import torch
from torch import Tensor, nn

from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Backbone

FRAMES = 96  # that all pooling makes one of


class MobileFCN(Backbone):
    """Eight convolutions, six of them depthwise separable, as in MobileNet (Ding & Lerch 2023; after Choi et al. 2016).

    Pooling leaves one row of the spectrogram and one of 96 frames.  Taps: ``stages.0`` (B, C, 4, L / 48), ``stages.1`` and
    ``stages.2`` (B, C, 1, L / 96).

    Args:
        bins: F, rows of the spectrogram; a multiple of 32 leaves no row out.
        base: channels of the first layer; the others have twice or four times as many.
        dropout: share of values left out between the stages while training.

    Raises:
        ValueError: there are less than 32 rows.
    """

    def __init__(self, bins: int, base: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        if bins < 32:
            raise ValueError(f"bins: expected a spectrogram of at least 32 rows, found {bins}")
        self.bins, self.channels = bins, 4 * base
        self.stages = nn.ModuleList(
            [
                nn.Sequential(
                    *_dense(1, base, (2, 4)),
                    *_dense(base, 2 * base, (2, 3)),
                    *_separable(2 * base, 2 * base, (2, 2)),
                    *_separable(2 * base, 2 * base, (bins // 32, 2)),
                ),
                nn.Sequential(nn.Dropout(dropout), *_separable(2 * base, 2 * base, (4, 2)), *_separable(2 * base, 4 * base)),
                nn.Sequential(nn.Dropout(dropout), *_separable(4 * base, 4 * base), *_separable(4 * base, 4 * base)),
            ]
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, L // 96); what is shorter than 96 frames is repeated up to there."""
        check_shape(spectrogram, "spectrogram", batch=None, one=1, bins=self.bins, frames=None)
        if spectrogram.shape[3] < FRAMES:
            spectrogram = spectrogram.repeat(1, 1, 1, -(-FRAMES // spectrogram.shape[3]))[..., :FRAMES]
        x = spectrogram.to(memory_format=torch.channels_last)  # a third faster
        for stage in self.stages:
            x = stage(x)
        return self.dropout(x).mean(2)


def _dense(before: int, channels: int, pool: tuple[int, int]) -> list[nn.Module]:
    convolution = nn.Conv2d(before, channels, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.MaxPool2d(pool)]


def _separable(before: int, channels: int, pool: tuple[int, int] | None = None) -> list[nn.Module]:
    """A kernel for each channel, then channels mixed at each point; pooled (rows, frames)."""
    layers: list[nn.Module] = [
        nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False),
        nn.BatchNorm2d(before),
        nn.ReLU(inplace=True),
        nn.Conv2d(before, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    ]
    return layers if pool is None else [*layers, nn.MaxPool2d(pool)]
