"""MMDenseNet and MMDenseLSTM: dense blocks on several scales, networks of their own for several bands.

Takahashi & Mitsufuji 2017, "Multi-scale multi-band DenseNets for audio source separation", WASPAA; Takahashi, Goswami &
Mitsufuji 2018, "MMDenseLSTM: an efficient combination of convolutional and recurrent neural networks for audio source
separation", IWAENC.  There is no official code; where the papers leave something open, the layers are those of
https://github.com/tky823/DNN-based_source_separation.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks.recurrent import LSTM
from toolkit.blocks.slots import Masker, check_shape

Position = Literal["after", "parallel"]


@dataclass
class MultiScale:
    """Sizes of a network of dense blocks, of which the first half goes down in scale and the second half up again.

    Args:
        growth: channels that each layer of a block adds, one number a block; as many blocks up as down, one between them.
        depth: layers of each block; 0 for an LSTM alone.
        lstm: units of each block's LSTM in either direction, 0 for none; none anywhere when not given.
        features: channels of the first convolution.
        kernel_size: bins and frames of every convolution.
        bins: how many bins of the spectrogram, counted from the end of the band below; for the whole one all of them.

    Raises:
        ValueError: an even number of blocks, or not one number for each.
    """

    growth: list[int]
    depth: list[int]
    lstm: list[int] = field(default_factory=list)
    features: int = 32
    kernel_size: tuple[int, int] = (3, 3)
    bins: int | None = None

    def __post_init__(self) -> None:
        self.lstm = self.lstm or [0] * len(self.growth)
        if len(self.growth) % 2 == 0 or not len(self.growth) == len(self.depth) == len(self.lstm):
            raise ValueError(
                "growth, depth, lstm: expected one number for each of an odd number of blocks, "
                f"found {len(self.growth)}, {len(self.depth)} and {len(self.lstm)}"
            )


class MMDense(Masker):
    """For each source a network for each band, one for the whole spectrogram, and dense layers over what they found.

    The magnitudes are estimated as such, not as masks.

    Args:
        bins: F, of the magnitudes.
        audio_channels: C, of the magnitudes.
        sources: how many to separate.
        bands: networks of the bands, from low to high.
        full: network of the whole spectrogram.
        final_growth: channels that each of the last layers adds.
        final_depth: how many there are.
        final_kernel_size: bins and frames of their convolutions.
        final_dilated: they look at bins and frames that are 1, 2, 4, … apart.
        position: an LSTM hears what its dense block makes (`after`), or what goes into it (`parallel`).

    Raises:
        ValueError: the bands are not as many bins as the spectrogram has.
    """

    def __init__(
        self,
        bins: int,
        audio_channels: int,
        sources: int,
        bands: list[MultiScale],
        full: MultiScale,
        final_growth: int = 12,
        final_depth: int = 3,
        final_kernel_size: tuple[int, int] = (3, 3),
        final_dilated: bool = True,
        position: Position = "after",
    ) -> None:
        super().__init__()
        widths = [band.bins or 0 for band in bands]
        if sum(widths) != bins:
            raise ValueError(f"bands: expected {bins} bins in all, found {' + '.join(map(str, widths))} = {sum(widths)}")
        self.bins, self.audio_channels = bins, audio_channels
        channels = max(band.growth[-1] for band in bands) + full.growth[-1]
        self.networks = nn.ModuleList(
            SourceDenseNet(
                audio_channels,
                bands,
                full,
                DenseBlock(channels, final_growth, final_depth, final_kernel_size, final_dilated),
                position,
            )
            for _ in range(sources)
        )

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Map the magnitudes (B, C, F, L) of a mixture to those of its sources, (B, S, C, F, L)."""
        check_shape(magnitudes, "magnitudes", batch=None, channels=self.audio_channels, bins=self.bins, frames=None)
        return torch.stack([network(magnitudes) for network in self.networks], dim=1)


class SourceDenseNet(nn.Module):
    """Magnitudes (B, C, F, L) to those of one source; see `MMDense`."""

    def __init__(
        self, audio_channels: int, bands: list[MultiScale], full: MultiScale, final: "DenseBlock", position: Position
    ) -> None:
        super().__init__()
        self.widths = [band.bins or 0 for band in bands]
        bins, channels = sum(self.widths), max(band.growth[-1] for band in bands)
        self.bands = nn.ModuleList(
            MultiScaleNet(audio_channels, width, band, position, channels)
            for width, band in zip(self.widths, bands, strict=True)
        )
        self.full = MultiScaleNet(audio_channels, bins, full, position)
        self.final = final
        self.norm = nn.BatchNorm2d(final.growth)
        self.gated = nn.Conv2d(final.growth, 2 * audio_channels, 1)
        self.input_mean, self.input_scale = nn.Parameter(torch.zeros(bins, 1)), nn.Parameter(torch.ones(bins, 1))
        self.output_mean, self.output_scale = nn.Parameter(torch.zeros(bins, 1)), nn.Parameter(torch.ones(bins, 1))

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Map (B, C, F, L) to the same shape."""
        x = (magnitudes - self.input_mean) / self.input_scale
        parts = [network(band) for network, band in zip(self.bands, x.split(self.widths, dim=2), strict=True)]
        x = self.final(torch.cat([torch.cat(parts, dim=2), self.full(x)], dim=1))
        x = F.glu(self.gated(self.norm(x)), dim=1)
        return F.relu(x * self.output_scale + self.output_mean)


class MultiScaleNet(nn.Module):
    """A U-Net of dense blocks over (B, C, F, L).

    Args:
        audio_channels: C of the input.
        bins: F of the input.
        sizes: of the blocks.
        position: of the LSTMs.
        channels_out: of the output; that of the last block when not given.
    """

    def __init__(
        self, audio_channels: int, bins: int, sizes: MultiScale, position: Position, channels_out: int | None = None
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(audio_channels, sizes.features, sizes.kernel_size)
        blocks = list(zip(sizes.growth, sizes.depth, sizes.lstm, strict=True))
        levels = len(blocks) // 2
        channels, heights, skips = sizes.features, [bins], []
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for growth, depth, hidden in blocks[:levels]:
            down = DenseLSTMBlock(channels, growth, depth, sizes.kernel_size, hidden, heights[-1], position)
            self.down.append(down)
            channels = down.channels_out
            skips.append(channels)
            heights.append(-(-heights[-1] // 2))
        growth, depth, hidden = blocks[levels]
        self.middle = DenseLSTMBlock(channels, growth, depth, sizes.kernel_size, hidden, heights.pop(), position)
        channels = self.middle.channels_out
        for growth, depth, hidden in blocks[levels + 1 :]:
            beside = channels + skips.pop()
            block = DenseLSTMBlock(beside, growth, depth, sizes.kernel_size, hidden, heights.pop(), position)
            self.up.append(UpBlock(channels, block))
            channels = block.channels_out
        self.last: nn.Module = nn.Identity()
        if channels_out not in (None, channels):
            self.last = nn.Sequential(nn.BatchNorm2d(channels), nn.Conv2d(channels, channels_out or channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, L) to (B, channels_out, F, L)."""
        x, skips = self.first(_padded(x, self.first)), []
        for block in self.down:
            skips.append(block(x))
            x = F.avg_pool2d(skips[-1], 2, ceil_mode=True)
        x = self.middle(x)
        for block in self.up:
            x = block(x, skips.pop())
        return self.last(x)


class UpBlock(nn.Module):
    """Twice the bins and frames, the skip connection beside them, a block.

    Args:
        channels: of the input.
        block: of as many channels as the input and the skip connection have together.
    """

    def __init__(self, channels: int, block: nn.Module) -> None:
        super().__init__()
        self.upsampling = nn.Sequential(nn.BatchNorm2d(channels), nn.ConvTranspose2d(channels, channels, 2, stride=2))
        self.block = block

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map (B, channels, F, L) and a skip connection of up to twice the bins and frames to the latter's size."""
        doubled = self.upsampling(x)[..., : skip.shape[-2], : skip.shape[-1]]
        return self.block(torch.cat([doubled, skip], dim=1))


class DenseBlock(nn.Module):
    """Layers that read what all layers before them made (Huang et al. 2017, "Densely connected convolutional networks").

    Each layer makes at once what every later one reads of it, so nothing is put side by side.

    Args:
        channels: of the input.
        growth: channels that each layer adds, also those of the output.
        depth: layers, at least one.
        kernel_size: bins and frames.
        dilated: the distances grow 1, 2, 4, … from layer to layer.
    """

    def __init__(self, channels: int, growth: int, depth: int, kernel_size: tuple[int, int], dilated: bool = False) -> None:
        super().__init__()
        self.growth = growth
        self.layers = nn.ModuleList(
            DenseLayer(growth if number else channels, growth * (depth - number), kernel_size, 2**number if dilated else 1)
            for number in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, F, L) to (B, growth, F, L)."""
        first, *others = self.layers
        made = first(x)  # for the next layer, and for those after it
        for layer in others:
            x, later = made[:, : self.growth], made[:, self.growth :]
            made = later + layer(x)
        return made


class DenseLayer(nn.Module):
    """Norm, rectifier, convolution.

    Args:
        channels: of the input.
        channels_out: of the output.
        kernel_size: bins and frames.
        dilation: distance of the bins and frames that it looks at.
    """

    def __init__(self, channels: int, channels_out: int, kernel_size: tuple[int, int], dilation: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.convolution = nn.Conv2d(channels, channels_out, kernel_size, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, F, L) to (B, channels_out, F, L)."""
        return self.convolution(_padded(F.relu(self.norm(x)), self.convolution))


class DenseLSTMBlock(nn.Module):
    """A dense block, an LSTM over the frames, or both side by side.

    Args:
        channels: of the input.
        growth: of the dense block.
        depth: of the dense block; 0 for none.
        kernel_size: of the dense block.
        hidden: units of the LSTM in either direction; 0 for none.
        bins: F of the input, which the LSTM needs to know.
        position: the LSTM hears the output of the dense block, or its input.

    Raises:
        ValueError: it would have neither of the two.
    """

    def __init__(
        self, channels: int, growth: int, depth: int, kernel_size: tuple[int, int], hidden: int, bins: int, position: Position
    ) -> None:
        super().__init__()
        if not (depth or hidden):
            raise ValueError("depth, lstm: expected a block to have at least one of the two, found 0 and 0")
        self.position: Position = position if depth else "parallel"
        self.dense = DenseBlock(channels, growth, depth, kernel_size) if depth else None
        self.lstm = LSTMOverFrames(growth if self.position == "after" else channels, bins, hidden) if hidden else None
        self.channels_out = (growth if depth else 0) + (1 if hidden else 0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, F, L) to (B, channels_out, F, L)."""
        parts = [] if self.dense is None else [self.dense(x)]
        if self.lstm is not None:
            parts.append(self.lstm(parts[0] if self.position == "after" else x))
        return torch.cat(parts, dim=1)


class LSTMOverFrames(nn.Module):
    """All channels made one, its bins heard frame by frame in both directions.

    Args:
        channels: of the input.
        bins: F.
        hidden: units in either direction.
    """

    def __init__(self, channels: int, bins: int, hidden: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, 1, 1)
        self.lstm = LSTM(bins, hidden)
        self.linear = nn.Linear(self.lstm.channels_out, bins)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, F, L) to (B, 1, F, L)."""
        sequence = self.mix(x)[:, 0].permute(2, 0, 1)
        return self.linear(self.lstm(sequence)).permute(1, 2, 0)[:, None]


def _padded(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """Zeros around (B, C, F, L) so that the convolution keeps its size; of an even kernel's, the greater half at the end."""
    high, wide = ((size - 1) * distance for size, distance in zip(convolution.kernel_size, convolution.dilation, strict=True))
    return F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
