"""DPTNet: attention and recurrence within chunks and across them."""

from torch import Tensor, nn

from toolkit.blocks import norms
from toolkit.blocks.activations import Activation
from toolkit.blocks.dual_path import DualPathSeparator, across_chunks, within_chunks
from toolkit.blocks.norms import Norm, frames_first
from toolkit.blocks.recurrent import LSTM


class DPTNet(DualPathSeparator):
    """Dual-path transformer network (Chen, Mao, Liu 2020, "Dual-path transformer network").

    As in Asteroid: no bottleneck, the overlapping chunks are averaged, and the masks follow the gate directly.

    Args:
        channels: features per frame, also between the blocks; a multiple of `heads`.
        sources: masks to estimate.
        heads: of each attention.
        hidden: units of each LSTM and direction.
        chunk: frames of a chunk.
        hop: frames between chunks; half a chunk when not given.
        blocks: how many.
        norm: normalisation of the input and within the blocks.
        bidirectional: whether the recurrence across chunks sees later chunks (attention always does).
        dropout: share of values left out within the blocks while training.
        mask: activation of the masks.

    Raises:
        ValueError: the chunks would not overlap evenly, or the heads do not share the features evenly.
    """

    def __init__(
        self,
        channels: int,
        sources: int,
        heads: int = 4,
        hidden: int = 256,
        chunk: int = 100,
        hop: int | None = None,
        blocks: int = 2,
        norm: Norm = "gLN",
        bidirectional: bool = True,
        dropout: float = 0.0,
        mask: Activation = "relu",
    ) -> None:
        def block() -> DPTBlock:
            intra = ImprovedTransformer(channels, heads, hidden, norm, True, dropout)
            return DPTBlock(intra, ImprovedTransformer(channels, heads, hidden, norm, bidirectional, dropout))

        super().__init__(
            channels,
            sources,
            norm=norm,
            bottleneck=nn.Identity(),
            blocks=(block() for _ in range(blocks)),
            output=nn.Identity(),
            inner=channels,
            chunk=chunk,
            hop=hop,
            mask=mask,
            overlap="mean",
        )


class DPTBlock(nn.Module):
    """A transformer within the chunks, then one across them.

    Args:
        intra: sequence model (frames, batch, N) within chunks.
        inter: sequence model across chunks.
    """

    def __init__(self, intra: nn.Module, inter: nn.Module) -> None:
        super().__init__()
        self.intra, self.inter = intra, inter

    def forward(self, chunks: Tensor) -> Tensor:
        """Map (B, S, K, N) to the same shape."""
        return across_chunks(self.inter, within_chunks(self.intra, chunks))


class ImprovedTransformer(nn.Module):
    """A transformer layer whose feed-forward part begins with an LSTM, which knows the order (section 2.2 of the paper).

    Args:
        channels: N, features in and out.
        heads: of the attention.
        hidden: units of each direction.
        norm: normalisation after each part.
        bidirectional: whether the LSTM has two directions.
        dropout: share of values left out while training.

    Raises:
        ValueError: the heads do not share the features evenly.
    """

    def __init__(self, channels: int, heads: int, hidden: int, norm: Norm, bidirectional: bool, dropout: float) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"heads: expected a divisor of channels={channels}, found {heads}")
        self.attention = nn.MultiheadAttention(channels, heads, dropout)
        self.attention_norm = norms.build(norm, channels)
        self.lstm = LSTM(channels, hidden, bidirectional=bidirectional)
        self.projection = nn.Linear(self.lstm.channels_out, channels)
        self.projection_norm = norms.build(norm, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sequence: Tensor) -> Tensor:
        """Map (frames, batch, N) to the same shape."""
        attended, _ = self.attention(sequence, sequence, sequence, need_weights=False)
        sequence = frames_first(self.attention_norm, sequence + self.dropout(attended))
        recurrent = self.projection(self.dropout(self.lstm(sequence).relu()))
        return frames_first(self.projection_norm, sequence + self.dropout(recurrent))
