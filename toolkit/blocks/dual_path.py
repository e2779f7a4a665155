"""What dual-path separators share: cutting into chunks, working within and across them, and masks at the end.

Letters of the shapes: S chunks of K frames each.  Chunks hold their features last, (B, S, K, N), as sequence models want them.
"""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks import activations, norms
from toolkit.blocks.activations import Activation, PReLU
from toolkit.blocks.convolutions import PointwiseConv
from toolkit.blocks.norms import Norm, features_last
from toolkit.blocks.slots import Separator, check_shape


def segment(features: Tensor, chunk: int, hop: int) -> Tensor:
    """Cut (B, N, L) into overlapping chunks (B, S, K, N); every frame lies in chunk/hop of them.

    There is one chunk of zeros in front and up to one behind, as in Asteroid.
    """
    frames = features.shape[-1]
    count = (frames + chunk) // hop + 1
    padded = F.pad(features.transpose(1, 2), (0, 0, chunk, (count - 1) * hop - frames))
    hops = padded.unflatten(1, (-1, hop))
    return torch.cat([hops[:, first : first + count] for first in range(chunk // hop)], dim=2)


def overlap_add(chunks: Tensor, hop: int, frames: int) -> Tensor:
    """Undo `segment`: the mean of chunks (B, S, K, N) where they overlap, (B, N, frames)."""
    chunk = chunks.shape[2]
    overlap = chunk // hop
    parts = chunks.unflatten(2, (overlap, hop)).unbind(2)
    hops = torch.stack([F.pad(part, (0, 0, 0, 0, first, overlap - 1 - first)) for first, part in enumerate(parts)])
    return hops.mean(0).flatten(1, 2)[:, chunk : chunk + frames].transpose(1, 2)


def within_chunks(path: nn.Module, chunks: Tensor) -> Tensor:
    """Apply a sequence model (frames, batch, N) along the frames of each chunk of (B, S, K, N)."""
    turned = chunks.permute(2, 0, 1, 3)
    return path(turned.flatten(1, 2)).view_as(turned).permute(1, 2, 0, 3).contiguous()


def across_chunks(path: nn.Module, chunks: Tensor) -> Tensor:
    """Apply a sequence model (frames, batch, N) from chunk to chunk, for each frame of (B, S, K, N)."""
    turned = chunks.transpose(0, 1)
    return path(turned.flatten(1, 2)).view_as(turned).transpose(0, 1).contiguous()


class DualPathBlock(nn.Module):
    """A path within the chunks, then one across them, each normalised and added to its input (Luo et al. 2020, figure 1 B).

    Args:
        channels: N.
        intra: sequence model (frames, batch, N) within chunks.
        inter: sequence model across chunks.
        norm: normalisation of what each path gives.
    """

    def __init__(self, channels: int, intra: nn.Module, inter: nn.Module, norm: Norm) -> None:
        super().__init__()
        self.intra, self.intra_norm = intra, norms.build(norm, channels)
        self.inter, self.inter_norm = inter, norms.build(norm, channels)

    def forward(self, chunks: Tensor) -> Tensor:
        """Map (B, S, K, N) to the same shape."""
        chunks = chunks + features_last(self.intra_norm, within_chunks(self.intra, chunks))
        return chunks + features_last(self.inter_norm, across_chunks(self.inter, chunks))


class DualPathSeparator(Separator):
    """Chunks, blocks over them, and gated masks (Luo et al. 2020, "Dual-path RNN", figure 1); a subclass brings the parts.

    Args:
        channels: features per frame.
        sources: masks to estimate.
        norm: normalisation of the input.
        bottleneck: (B, channels, L) to (B, N, L).
        blocks: each (B, S, K, N) to the same shape.
        output: (B, N, L) to (B, channels, L), before the masks' activation.
        inner: N.
        chunk: K, frames of a chunk.
        hop: frames between chunks; half a chunk when None.
        mask: activation of the masks.
        overlap: whether chunks are summed where they overlap, or averaged.

    Raises:
        ValueError: the chunks would not overlap evenly.
    """

    @abstractmethod  # the parts are a subclass's to bring
    def __init__(
        self,
        channels: int,
        sources: int,
        norm: Norm,
        bottleneck: nn.Module,
        blocks: Iterable[nn.Module],
        output: nn.Module,
        inner: int,
        chunk: int,
        hop: int | None,
        mask: Activation,
        overlap: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__()
        self.channels, self.sources = channels, sources
        self.chunk, self.hop = chunk, chunk // 2 if hop is None else hop
        if self.hop < 1 or chunk % self.hop:
            raise ValueError(f"hop: expected a divisor of chunk={chunk} frames, found {self.hop}")
        self.gain = chunk // self.hop if overlap == "sum" else 1
        self.norm = norms.build(norm, channels)
        self.bottleneck = bottleneck
        self.blocks = nn.ModuleList(blocks)
        self.rectifier = PReLU()
        self.split = PointwiseConv(inner, sources * inner)
        self.value = PointwiseConv(inner, inner)
        self.gate = PointwiseConv(inner, inner)
        self.output = output
        self.activation = activations.build(mask)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, channels, L) to masks (B, S, channels, L)."""
        check_shape(features, "features", batch=None, channels=self.channels, frames=None)
        chunks = segment(self.bottleneck(self.norm(features)), self.chunk, self.hop)
        for block in self.blocks:
            chunks = block(chunks)
        # The papers split the chunks into sources before overlap-add; both are linear, so either order gives the same.
        merged = overlap_add(self.rectifier(chunks), self.hop, features.shape[-1])
        x = self.gain * self.split(merged).unflatten(1, (self.sources, -1)).flatten(0, 1)
        masks = self.output(self.value(x).tanh() * self.gate(x).sigmoid())
        return self.activation(masks.unflatten(0, (features.shape[0], self.sources)))
