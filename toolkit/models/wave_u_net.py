"""Wave-U-Net: waveform to waveforms through twelve halvings of the sample rate (Stoller, Ewert & Dixon 2018, ISMIR).

Lengths.  One layer down convolves and keeps every second sample, one layer up puts a sample between every two and convolves.
Where nothing is padded (`context`), all of it together shortens the signal by the same `margin` on either side, and what comes
out has kernel + k · 2^layers samples, for a whole k: 16,389 from 147,443 in the paper's M4.
"""

from collections.abc import Callable, Iterator
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks.slots import check_shape
from toolkit.blocks.unet import Bottleneck, IdentityBottleneck, centre
from toolkit.models.base import SeparationModel

SLOPE = 0.2  # of the leaky rectifiers below zero
PIECE = 2**18  # samples that `separate` estimates at once where it knows their context


class WaveUNet(SeparationModel):
    """Convolutions on twelve time scales with skip connections (Stoller et al. 2018, section 3 and figure 1).

    Args:
        sources: how many to separate.
        audio_channels: of mixture and sources.
        layers: how often the time scale is halved.
        filters: channels of the first layer; layer i has i times as many.
        kernel_size: samples of the convolutions on the way down, an odd number.
        up_kernel_size: samples of the convolutions on the way up, an odd number.
        context: convolve without padding, so that no sample is estimated from zeros that are not in the recording; training
            then reads more than it estimates (section 3.2.2).
        difference: the last source is what the others leave of the mixture (section 3.2.1); else each source is estimated.
        upsampling: how samples are put between others: half-way, or by a learned weight for each channel (section 3.2.3).
        bottleneck: what lies between the ways down and up, built as ``bottleneck(channels)``; nothing when not given.

    Attributes:
        margin: samples of context on either side of what is estimated.

    Raises:
        ValueError: a kernel is even, or one source is to be the difference to no other.
    """

    def __init__(
        self,
        sources: int = 2,
        audio_channels: int = 2,
        layers: int = 12,
        filters: int = 24,
        kernel_size: int = 15,
        up_kernel_size: int = 5,
        context: bool = True,
        difference: bool = True,
        upsampling: Literal["linear", "learned"] = "linear",
        bottleneck: Callable[[int], Bottleneck] | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("kernel_size", kernel_size), ("up_kernel_size", up_kernel_size)):
            if size % 2 == 0:
                raise ValueError(f"{name}: expected an odd number of samples, found {size}")
        estimated = sources - difference
        if estimated < 1:
            raise ValueError(f"sources: expected at least 2 where the last one is a difference, found {sources}")
        self.sources, self.audio_channels = sources, audio_channels
        self.context, self.difference = context, difference
        self.sums_to_mixture = difference
        self.step = 2**layers
        self.shortest = up_kernel_size
        self.margin = (self.step * (2 * kernel_size + up_kernel_size - 3) - kernel_size - up_kernel_size + 2) // 2

        widths = [filters * number for number in range(1, layers + 2)]
        padding = (0, 0) if context else (kernel_size // 2, up_kernel_size // 2)
        self.down = nn.ModuleList(
            nn.Conv1d(before, width, kernel_size, padding=padding[0])
            for before, width in zip([audio_channels, *widths], widths, strict=False)
        )
        self.bottleneck = (bottleneck or IdentityBottleneck)(widths[-1])
        self.between = nn.ModuleList(Upsampling(width, upsampling) for width in widths[:0:-1])
        self.up = nn.ModuleList(
            nn.Conv1d(width + deeper, width, up_kernel_size, padding=padding[1])
            for deeper, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Conv1d(filters + audio_channels, estimated * audio_channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.constant_(cast(Tensor, module.bias), 0)

    @property
    def receptive_field(self) -> int:
        """Samples of the mixture that the shortest estimate is computed from."""
        return 2 * self.margin + self.shortest

    def input_length(self, length: int) -> int:
        """Samples to read so that at least `length` are estimated."""
        if not self.context:
            return length
        return 2 * self.margin + self.shortest + self.step * -(-max(length - self.shortest, 0) // self.step)

    def output_length(self, length: int) -> int:
        """Samples that are estimated from `length`.

        Raises:
            ValueError: there are too few.
        """
        if not self.context:
            return length
        steps = (length - self.receptive_field) // self.step
        if steps < 0:
            raise ValueError(f"mixture: expected at least {self.receptive_field} samples, found {length}")
        return self.shortest + self.step * steps

    def forward(self, mixture: Tensor) -> Tensor:
        """Estimate (B, S, C, output_length(T)) from a mixture (B, C, T); with context, of what follows its first `margin`.

        Raises:
            ValueError: the mixture has the wrong number of channels, or not enough samples for a single estimate.
        """
        check_shape(mixture, "mixture", batch=None, channels=self.audio_channels, samples=None)
        if self.context:
            mixture = mixture[..., : self.output_length(mixture.shape[-1]) + 2 * self.margin]
        x, skips = mixture, []
        *down, bottom = self.down
        for layer in down:
            x = F.leaky_relu(layer(x), SLOPE)
            skips.append(x)
            x = x[..., ::2]
        x = self.bottleneck(F.leaky_relu(bottom(x), SLOPE))
        for between, layer in zip(self.between, self.up, strict=True):
            x = F.leaky_relu(layer(_beside(skips.pop(), between(x))), SLOPE)
        estimate = torch.tanh(self.last(_beside(mixture, x))).unflatten(1, (-1, self.audio_channels))
        if not self.difference:
            return estimate
        rest = centre(mixture, x.shape[-1]) - estimate.sum(1)
        return torch.cat([estimate, rest[:, None]], dim=1)

    def target(self, references: Tensor) -> Tensor:
        """The part of the references (B, S, C, T) that `forward` estimates from as long a mixture."""
        if not self.context:
            return references
        return references[..., self.margin :][..., : self.output_length(references.shape[-1])]

    def separate(self, mixture: Tensor) -> Tensor:
        """Separate (B, C, T) into (B, S, C, T); with context, zeros stand before the beginning and after the end only.

        A long mixture is taken piece by piece, each with its context, and the result is the same as in one piece.
        """
        if not self.context:
            return self(mixture)
        return torch.cat(list(self._pieces(mixture)), dim=-1)

    def _pieces(self, mixture: Tensor) -> Iterator[Tensor]:
        length = mixture.shape[-1]
        hop = self.step * max(1, PIECE // self.step)  # a multiple, so that every piece keeps the same samples on its way down
        padded = F.pad(mixture, (self.margin, self.margin + self.shortest + self.step))
        for start in range(0, length, hop):
            wanted = min(hop, length - start)
            yield self(padded[..., start : start + self.input_length(wanted)])[..., :wanted]


class Upsampling(nn.Module):
    """Puts a sample between every two: their mean, or a weighted one.

    Args:
        channels: of the signal.
        kind: `learned` has a weight for each channel, between 0 and 1 and 1/2 at first.
    """

    def __init__(self, channels: int, kind: Literal["linear", "learned"]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels)) if kind == "learned" else None  # before a sigmoid

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, T) to (B, channels, 2T - 1); the first and the last sample stay where they are."""
        weight = 0.5 if self.weight is None else self.weight.sigmoid()[:, None].to(x.dtype)
        middle = torch.lerp(x[..., 1:], x[..., :-1], weight)
        return torch.cat([torch.stack([x[..., :-1], middle], dim=-1).flatten(-2), x[..., -1:]], dim=-1)


def _beside(skip: Tensor, x: Tensor) -> Tensor:
    """Put (B, N, T) and (B, M, t) side by side: the middle of the longer skip, or the last sample of x once more."""
    missing = skip.shape[-1] - x.shape[-1]
    if missing == 1:
        x = F.pad(x, (0, 1), mode="replicate")
    return torch.cat([centre(skip, x.shape[-1]), x], dim=1)
