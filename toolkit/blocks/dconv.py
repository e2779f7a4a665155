"""Residual branches of U-Nets: what a level does along time beside its strided convolutions."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from toolkit.blocks import activations
from toolkit.blocks.activations import Activation
from toolkit.blocks.framed_blstm import FramedBLSTM
from toolkit.blocks.local_attention import LocalAttention


class ResidualBranch(nn.Module, ABC):
    """A slot of each level of Hybrid Demucs; built as ``Block(channels, level, **options)``, levels counted from 0 outside.

    Letters: B batch, C channels, F bins (1 in a branch over the waveform), L frames.
    """

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, L) to the same shape, each bin on its own."""


class NoBranch(ResidualBranch):
    """Nothing beside the strided convolutions.

    Args:
        channels: C.
        level: of the U-Net.
    """

    def __init__(self, channels: int, level: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Give (B, C, F, L) as it is."""
        return x


class DConv(ResidualBranch):
    """Dilated convolutions in few channels, with LSTMs and local attention in deep levels.

    Défossez 2021, "Hybrid spectrogram and waveform source separation", "Compressed residual branches".

    Args:
        channels: C.
        level: of the U-Net.
        depth: layers, each added to what it reads; dilations 1, 2, 4, ….
        compression: how many times fewer channels there are inside.
        kernel_size: frames of the dilated convolutions, odd.
        scale: what the layers' outputs are multiplied with at first (LayerScale).
        lstm_from: the first level with an LSTM; null for none.
        attention_from: the first level with local attention; null for none.
        activation: after the dilated convolutions.

    Raises:
        ValueError: an even kernel cannot lie centred.
    """

    def __init__(
        self,
        channels: int,
        level: int,
        depth: int = 2,
        compression: float = 4,
        kernel_size: int = 3,
        scale: float = 1e-3,
        lstm_from: int | None = 4,
        attention_from: int | None = 4,
        activation: Activation = "gelu",
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"DConv: expected an odd kernel_size, found {kernel_size}")
        hidden = int(channels / compression)
        self.layers = nn.ModuleList()
        for dilation in (2**index for index in range(depth)):
            layer = [
                nn.Conv2d(
                    channels, hidden, (1, kernel_size), padding=(0, dilation * (kernel_size // 2)), dilation=(1, dilation)
                ),
                nn.GroupNorm(1, hidden),
                activations.build(activation, hidden),
            ]
            if lstm_from is not None and level >= lstm_from:
                layer.append(FramedBLSTM(hidden))
            if attention_from is not None and level >= attention_from:
                layer.append(LocalAttention(hidden))
            layer += [
                nn.Conv2d(hidden, 2 * channels, 1),
                nn.GroupNorm(1, 2 * channels),
                nn.GLU(dim=1),
                LayerScale(channels, scale),
            ]
            self.layers.append(nn.Sequential(*layer))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, L) to the same shape, each bin on its own."""
        bins = x.transpose(1, 2).flatten(0, 1).unsqueeze(2)  # sequences (B F, C, 1, L)
        for layer in self.layers:
            bins = bins + layer(bins)
        return bins.squeeze(2).unflatten(0, (x.shape[0], -1)).transpose(1, 2)


class LayerScale(nn.Module):
    """A learned factor for each channel, small at first (Touvron et al. 2021, "Going deeper with image transformers").

    Args:
        channels: C.
        scale: what all factors are at first.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Scale (B, C, F, L)."""
        return x * self.scale[:, None, None]
