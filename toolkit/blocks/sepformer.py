"""SepFormer: transformers within chunks and across them."""

import math

import torch
from torch import Tensor, nn

from toolkit.blocks.activations import Activation
from toolkit.blocks.convolutions import PointwiseConv
from toolkit.blocks.dual_path import DualPathBlock, DualPathSeparator
from toolkit.blocks.norms import Norm


class SepFormer(DualPathSeparator):
    """Separation transformer (Subakan et al. 2021, "Attention is all you need in speech separation").

    The sizes are those of SpeechBrain's recipe, which the authors wrote: 25,679,361 parameters with 256 filters of 16 samples.

    Args:
        channels: features per frame.
        sources: masks to estimate.
        bottleneck: features between the blocks, a multiple of `heads`; as many as per frame when not given.
        blocks: how many, each a transformer within chunks and one across them.
        layers: of each transformer.
        heads: of each attention.
        feedforward: units between the two maps of a layer.
        chunk: frames of a chunk.
        hop: frames between chunks; half a chunk when not given.
        norm: normalisation of the input and of what each transformer gives.
        dropout: share of values left out within the transformers while training.
        mask: activation of the masks.

    Raises:
        ValueError: the chunks would not overlap evenly, or the heads do not share the features evenly.
    """

    def __init__(
        self,
        channels: int,
        sources: int,
        bottleneck: int | None = None,
        blocks: int = 2,
        layers: int = 8,
        heads: int = 8,
        feedforward: int = 1024,
        chunk: int = 250,
        hop: int | None = None,
        norm: Norm = "gLN",
        dropout: float = 0.0,
        mask: Activation = "relu",
    ) -> None:
        inner = channels if bottleneck is None else bottleneck

        def transformer() -> Transformer:
            return Transformer(inner, layers, heads, feedforward, dropout)

        super().__init__(
            channels,
            sources,
            norm=norm,
            bottleneck=PointwiseConv(channels, inner, bias=False),
            blocks=(DualPathBlock(inner, transformer(), transformer(), norm) for _ in range(blocks)),
            output=PointwiseConv(inner, channels, bias=False),
            inner=inner,
            chunk=chunk,
            hop=hop,
            mask=mask,
        )


class Transformer(nn.Module):
    """Layers of attention and feed-forward maps, normalised first, over sequences with their positions added.

    Args:
        channels: N, features in and out.
        layers: how many.
        heads: of each attention.
        feedforward: units between the two maps of a layer.
        dropout: share of values left out while training.

    Raises:
        ValueError: the heads do not share the features evenly, or there is no even number of features.
    """

    def __init__(self, channels: int, layers: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        if channels % heads or channels % 2:
            raise ValueError(f"heads: expected a divisor of channels={channels}, which must be even; found {heads}")
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(channels, heads, feedforward, dropout, layer_norm_eps=1e-6, norm_first=True)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, sequence: Tensor) -> Tensor:
        """Map (frames, batch, N) to the same shape."""
        frames, _, channels = sequence.shape
        sequence = sequence + positions(frames, channels, sequence.device).to(sequence.dtype).unsqueeze(1)
        for layer in self.layers:
            sequence = layer(sequence)
        return self.norm(sequence)


def positions(frames: int, channels: int, device: torch.device) -> Tensor:
    """Sines and cosines of each position, (frames, channels) (Vaswani et al. 2017, section 3.5)."""
    rates = torch.exp(torch.arange(0, channels, 2, device=device) * (-math.log(10_000) / channels))
    angles = torch.arange(frames, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
