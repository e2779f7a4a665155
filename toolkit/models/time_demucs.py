"""Demucs over the waveform alone, with what its third version brought."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.activations import Activation
from toolkit.blocks.dconv import DConv, ResidualBranch
from toolkit.blocks.hybrid_unet import SILENCE, LevelOptions, Window, level_and_scale
from toolkit.blocks.slots import check_shape
from toolkit.blocks.unet import centre, level_widths, rescale_weights
from toolkit.dsp.sinc import SincResample
from toolkit.models.base import SeparationModel


class TimeDemucs(SeparationModel):
    """The improved time-only Demucs of the Music Demixing Challenge 2021 (Défossez 2021, "Ablation").

    Demucs' second version with residual branches in place of the LSTM, GELU, norms in the inner levels, and a padded context.

    Args:
        channels: of the first level.
        growth: each level has that many times the channels of the one above.
        depth: levels.
        kernel_size: samples of the strided convolutions.
        stride: their step.
        branch: residual branch of a level, built as ``branch(channels, level)``; DConv of scale 1e-4 when not given.
        branch_in: where residual branches are.
        context: frames to each side that the decoder's gates see.
        norm_from: the first level with norms, counted from 0.
        norm_groups: of channels that are normalised over together.
        activation: after the strided convolutions.
        normalize: bring each mixture to mean 0 and deviation 1 of its channels' mean, and the sources back.
        resample: work at twice the sample rate.
        rescale: a weight w of deviation d begins as w · sqrt(rescale / d), in every convolution; null for what PyTorch draws.
        sources: how many sources to separate.
        audio_channels: channels of the waveform.
    """

    def __init__(
        self,
        channels: int = 64,
        growth: float = 2.0,
        depth: int = 6,
        kernel_size: int = 8,
        stride: int = 4,
        branch: Callable[[int, int], ResidualBranch] | None = None,
        branch_in: Literal["encoder", "decoder", "both"] = "encoder",
        context: int = 1,
        norm_from: int = 4,
        norm_groups: int = 4,
        activation: Activation = "gelu",
        normalize: bool = True,
        resample: bool = True,
        rescale: float | None = 0.1,
        sources: int = 4,
        audio_channels: int = 2,
    ) -> None:
        super().__init__()
        self.sources, self.audio_channels = sources, audio_channels
        self.depth, self.kernel_size, self.stride = depth, kernel_size, stride
        self.normalize = normalize
        self.up = SincResample(2, 1) if resample else None
        self.down = SincResample(1, 2) if resample else None
        widths = level_widths(channels, growth, depth)
        options = LevelOptions(branch or partial(DConv, scale=1e-4), branch_in, context, norm_from, norm_groups, activation)
        self.levels = options.levels([audio_channels, *widths], sources * audio_channels, Window.frames(kernel_size, stride))
        if rescale is not None:
            rescale_weights(self, rescale)
        self.to(memory_format=torch.channels_last)  # see `toolkit.blocks.hybrid_unet`

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (B, C, T) into (B, S, C, T), for any T of at least one sample."""
        check_shape(mixture, "mixture", batch=None, channels=self.audio_channels, samples=None)
        length = mixture.shape[-1]
        level, scale = level_and_scale(mixture.mean(1, keepdim=True)) if self.normalize else (0.0, 1.0)
        x = (mixture - level) / (scale + SILENCE) if self.normalize else mixture
        missing = self._whole(length) - length
        x = F.pad(x, (missing // 2, missing - missing // 2))
        x = x if self.up is None else self.up(x)
        x, skips = self.levels.encode(x.unsqueeze(2))
        x = self.levels.decode(x, skips).squeeze(2)
        x = x if self.down is None else self.down(x)
        return (centre(x, length) * scale + level).unflatten(1, (self.sources, -1))

    def _whole(self, length: int) -> int:
        """The fewest samples, but at least `length`, of which no level leaves any over."""
        frames = length if self.up is None else 2 * length
        for _ in range(self.depth):
            frames = max(0, -(-(frames - self.kernel_size) // self.stride)) + 1
        for _ in range(self.depth):
            frames = (frames - 1) * self.stride + self.kernel_size
        return frames if self.up is None else -(-frames // 2)
