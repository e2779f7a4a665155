"""Demucs: a U-Net over waveforms."""

from collections.abc import Callable, Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks.slots import check_shape
from toolkit.blocks.unet import (
    Bottleneck,
    DecoderLayer,
    EncoderLayer,
    RecurrentBottleneck,
    StridedDecoderLayer,
    StridedEncoderLayer,
    centre,
    level_widths,
    rescale_weights,
)
from toolkit.dsp.sinc import SincResample
from toolkit.models.base import SeparationModel


class Demucs(SeparationModel):
    """Waveforms in, waveforms out, by a U-Net without padding.

    Source: Défossez et al. 2019, "Music source separation in the waveform domain", section 4.

    With no option given this is its second version of 64 channels; `resample: false` with 100 channels is the first.

    Training reads more of the mixture than it estimates: nothing is padded, so the estimate is the centre of what is read.

    Args:
        channels: of the first encoder layer.
        depth: encoder layers, and decoder layers.
        growth: each level has that many times the channels of the one above.
        encoder: a level downwards, built as ``encoder(channels, channels_out)``; StridedEncoderLayer when not given.
        decoder: a level upwards, built as ``decoder(channels, channels_out, last)``; StridedDecoderLayer when not given.
        bottleneck: between them, built as ``bottleneck(channels)``; RecurrentBottleneck when not given.
        resample: work at twice the sample rate.
        rescale: a weight w of deviation d begins as w · sqrt(rescale / d), in every convolution; null for what PyTorch draws.
        sources: how many sources to separate.
        audio_channels: channels of the waveform.
    """

    def __init__(
        self,
        channels: int = 64,
        depth: int = 6,
        growth: float = 2.0,
        encoder: Callable[[int, int], EncoderLayer] | None = None,
        decoder: Callable[[int, int, bool], DecoderLayer] | None = None,
        bottleneck: Callable[[int], Bottleneck] | None = None,
        resample: bool = True,
        rescale: float | None = 0.1,
        sources: int = 4,
        audio_channels: int = 2,
    ) -> None:
        super().__init__()
        self.sources, self.audio_channels = sources, audio_channels
        widths = level_widths(channels, growth, depth)
        self.upsample = SincResample(2, 1) if resample else None
        self.downsample = SincResample(1, 2) if resample else None
        above = [audio_channels, *widths[:-1]]
        down = [(encoder or StridedEncoderLayer)(*pair) for pair in zip(above, widths, strict=True)]
        above[0] = sources * audio_channels
        up = [(decoder or StridedDecoderLayer)(widths[level], above[level], level == 0) for level in reversed(range(depth))]
        self.encoder = cast(Sequence[EncoderLayer], nn.ModuleList(down))
        self.bottleneck = (bottleneck or RecurrentBottleneck)(widths[-1])
        self.decoder = cast(Sequence[DecoderLayer], nn.ModuleList(up))
        if rescale is not None:
            rescale_weights(self, rescale)

    def forward(self, mixture: Tensor) -> Tensor:
        """Map (B, C, T) to the centre of the sources (B, S, C, T'), as long as `target` makes the references.

        Raises:
            ValueError: there are too few samples to estimate one.
        """
        check_shape(mixture, "mixture", batch=None, channels=self.audio_channels, samples=None)
        x = centre(mixture, self._encoded(self._frames(mixture.shape[-1])))
        x = x if self.upsample is None else self.upsample(x)
        skips = []
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
        x = self.bottleneck(x)
        for decode in self.decoder:
            x = decode(x, centre(skips.pop(), x.shape[-1]))
        x = x if self.downsample is None else self.downsample(x)
        return x.unflatten(1, (self.sources, self.audio_channels))

    def target(self, references: Tensor) -> Tensor:
        """The centre of references (B, S, C, T) that `forward` estimates from T samples of mixture."""
        frames = self._frames(references.shape[-1])
        for decode in self.decoder:
            frames = decode.output_length(frames)
        return centre(references, frames if self.downsample is None else frames // 2)

    def separate(self, mixture: Tensor) -> Tensor:
        """Separate (B, C, T) into (B, S, C, T): zeros are put to both sides, as many as are lost."""
        length = mixture.shape[-1]
        missing = self.input_length(length) - length
        padded = F.pad(mixture, (missing // 2, missing - missing // 2))
        return centre(self(padded), length)

    def input_length(self, length: int) -> int:
        """The fewest samples of mixture of which at least `length` are estimated, none of them left over at a stride."""
        frames = length if self.upsample is None else 2 * length
        for decode in reversed(self.decoder):
            frames = decode.input_length(frames)
        return self._encoded(frames)

    def _encoded(self, frames: int) -> int:
        """Samples of mixture of which `frames` frames come to the bottleneck."""
        for encode in reversed(self.encoder):
            frames = encode.input_length(frames)
        return frames if self.upsample is None else -(-frames // 2)

    def _frames(self, length: int) -> int:
        """Frames that come to the bottleneck of `length` samples of mixture."""
        least = self.input_length(1)
        if length < least:
            raise ValueError(f"mixture: expected at least {least} samples to estimate one, found {length}")
        frames = length if self.upsample is None else 2 * length
        for encode in self.encoder:
            frames = encode.output_length(frames)
        return frames
