"""U-Nets that also hear when their source plays: instrument-activity-aware source separation (Hung & Lerch 2020, ISMIR).

Layer sizes are those of the authors' code, https://github.com/biboamy/Source_Separation_Inst.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks.slots import Masker, check_shape
from toolkit.dsp.stft import bin_statistics

THIRD = (3, 1)  # kernel and stride of what makes three bins one, frame by frame


class ActivityUNet(Masker):
    """One U-Net for each source, with a detector of the source's activity, whose verdict mutes frames when separating.

    The networks see the mean of the channels' magnitudes up to `max_bin`; the masks they estimate go up to half the sample rate
    and are the same for all channels.

    Args:
        bins: F, of the magnitudes.
        audio_channels: C, of the magnitudes.
        sources: how many to separate.
        max_bin: how many of the lowest bins the networks see; all when not given.
        widths: channels of each level.
        weighting: what the estimated magnitudes are multiplied by, frame by frame, when separating: 1 where the probability of
            activity is over `threshold` and 0 elsewhere; the `probability` itself; `none` leaves them as they are.
        threshold: of the probability.
        median_frames: frames of the median filter over those weights, an odd number; 1 for none.

    Raises:
        ValueError: an even number of frames has no median in its middle; there are not that many bins, or too few to be made
            three times less at each level.
    """

    def __init__(
        self,
        bins: int,
        audio_channels: int,
        sources: int,
        max_bin: int | None = None,
        widths: tuple[int, ...] = (16, 32, 48),
        weighting: Literal["threshold", "probability", "none"] = "threshold",
        threshold: float = 0.5,
        median_frames: int = 21,
    ) -> None:
        super().__init__()
        if median_frames % 2 == 0:
            raise ValueError(f"median_frames: expected an odd number, found {median_frames}")
        max_bin = bins if max_bin is None else max_bin
        if not 3 ** len(widths) <= max_bin <= bins:
            raise ValueError(f"max_bin: expected {3 ** len(widths)} to {bins}, the bins of the spectrogram, found {max_bin}")
        self.bins, self.audio_channels = bins, audio_channels
        self.weighting, self.threshold, self.median_frames = weighting, threshold, median_frames
        self.networks = nn.ModuleList(SourceUNet(bins, max_bin, widths) for _ in range(sources))

    def forward(self, magnitudes: Tensor) -> tuple[Tensor, Tensor]:
        """Map magnitudes (B, C, F, L) to those of the sources (B, S, C, F, L) and the logits of their activity (B, S, L)."""
        check_shape(magnitudes, "magnitudes", batch=None, channels=self.audio_channels, bins=self.bins, frames=None)
        mean = magnitudes.mean(1)
        masks, logits = zip(*(network(mean) for network in self.networks), strict=True)
        return torch.stack(masks, 1)[:, :, None] * magnitudes[:, None], torch.stack(logits, 1)

    def separate(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (B, S, C, F, L), muted where the sources are not heard."""
        estimate, logits = self(magnitudes)
        if self.weighting == "none":
            return estimate
        weights = logits.sigmoid()
        if self.weighting == "threshold":
            weights = (weights > self.threshold).to(estimate)
        return estimate * median_filter(weights, self.median_frames)[:, :, None, None]

    @torch.no_grad()
    def fit_statistics(self, magnitudes: Iterable[Tensor]) -> None:
        """Bring each bin that the networks see to zero mean and unit deviation over the training mixtures, (C, F, L) each."""
        mean, deviation = bin_statistics(mixture.mean(0) for mixture in magnitudes)
        for network in self.networks:
            assert isinstance(network, SourceUNet)
            network.input_mean.copy_(mean[: len(network.input_mean)])
            network.input_scale.copy_(deviation[: len(network.input_scale)])


class SourceUNet(nn.Module):
    """Mask and activity of one source, from residual blocks that keep the frames and make three bins one.

    Args:
        bins: of the mask.
        max_bin: of the input.
        widths: channels of each level.
    """

    def __init__(self, bins: int, max_bin: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.input_mean = nn.Parameter(torch.zeros(max_bin))
        self.input_scale = nn.Parameter(torch.ones(max_bin))
        self.down = nn.ModuleList(ResidualBlock(*pair) for pair in zip([1, *widths], widths, strict=False))
        self.skips = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in widths[:-1])
        self.up = nn.ModuleList(
            DecoderBlock(deeper, width, width) for deeper, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = DecoderBlock(widths[0], 0, None)
        self.activity = ActivityHead(max_bin // 3 ** len(widths), widths)
        self.bins = nn.Linear(max_bin, bins)
        self.output_scale = nn.Parameter(torch.ones(bins))
        self.output_mean = nn.Parameter(torch.ones(bins))

    def forward(self, magnitudes: Tensor) -> tuple[Tensor, Tensor]:
        """Map magnitudes (B, F, L) to a mask (B, F, L) and logits (B, L)."""
        frames = magnitudes.mT[..., : len(self.input_mean)]
        x = ((frames - self.input_mean) / self.input_scale).mT[:, None]
        sizes, levels = [], []
        for block in self.down:
            sizes.append(x.shape[-2:])
            x = block(x)
            levels.append(x)
        logits = self.activity(x)
        skips = [convolution(level) for convolution, level in zip(self.skips, levels, strict=False)]
        for block in self.up:
            x = block(x, sizes.pop(), skips.pop())
        x = self.last(x, sizes.pop())
        mask = self.bins(x[:, 0].mT) * self.output_scale + self.output_mean
        return mask.relu().mT, logits


class ResidualBlock(nn.Module):
    """Two convolutions beside one of width 1, then a third of the bins.

    Args:
        channels: of the input.
        channels_out: of the output.
    """

    def __init__(self, channels: int, channels_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels_out, 3, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.LeakyReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.LeakyReLU(),
        )
        self.skip = nn.Conv2d(channels, channels_out, 1)
        self.third = nn.Conv2d(channels_out, channels_out, THIRD, stride=THIRD)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, F, L) to (B, channels_out, F // 3, L)."""
        return self.third(self.layers(x) + self.skip(x))


class DecoderBlock(nn.Module):
    """Three times the bins, the skip connection beside them, two convolutions.

    Args:
        channels: of the input.
        skip: channels of the skip connection, 0 for none.
        channels_out: of the output; None for the single channel that the mask is made of.
    """

    def __init__(self, channels: int, skip: int, channels_out: int | None) -> None:
        super().__init__()
        self.thrice = nn.ConvTranspose2d(channels, channels, THIRD, stride=THIRD)
        beside = channels + skip
        self.layers = nn.Sequential(
            nn.Conv2d(beside, beside // 2, 3, padding=1),
            nn.LeakyReLU(),
            nn.BatchNorm2d(beside // 2),
            nn.Conv2d(beside // 2, channels_out or 1, 3, padding=1),
        )
        if channels_out is not None:
            self.layers.extend([nn.LeakyReLU(), nn.BatchNorm2d(channels_out)])

    def forward(self, x: Tensor, size: tuple[int, int], skip: Tensor | None = None) -> Tensor:
        """Map (B, channels, F, L) and a skip connection (B, skip, *size) to (B, channels_out, *size)."""
        x = self.thrice(x, output_size=list(size))
        return self.layers(x if skip is None else torch.cat([x, skip], dim=1))


class ActivityHead(nn.Module):
    """One logit a frame, of the channels and bins of the deepest level.

    Args:
        bins: of the input.
        widths: channels of each level.
    """

    def __init__(self, bins: int, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in zip(widths[::-1], [*widths[-2::-1], widths[0]], strict=True):
            kernel = (min(3, bins), 1)
            layers += [nn.Conv2d(before, width, kernel, stride=kernel), nn.BatchNorm2d(width)]
            bins //= kernel[0]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[0], 1, (bins, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, bins, L) to (B, L)."""
        return self.layers(x).flatten(1)


def median_filter(x: Tensor, frames: int) -> Tensor:
    """The median of each frame of (B, S, L) and its neighbours, `frames` in all; the ends are repeated."""
    around = F.pad(x, (frames // 2, frames // 2), mode="replicate")
    return around.unfold(-1, frames, 1).median(-1).values
