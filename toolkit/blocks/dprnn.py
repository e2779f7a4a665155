"""DPRNN: recurrence within chunks and across them."""

from torch import Tensor, nn

from toolkit.blocks.activations import Activation
from toolkit.blocks.convolutions import PointwiseConv
from toolkit.blocks.dual_path import DualPathBlock, DualPathSeparator
from toolkit.blocks.norms import Norm
from toolkit.blocks.recurrent import LSTM


class DPRNN(DualPathSeparator):
    """Dual-path recurrent network (Luo, Chen, Yoshioka 2020, "Dual-path RNN").

    The masks' gate is that of the authors' code and of Asteroid; the paper does not mention it.

    Args:
        channels: features per frame.
        sources: masks to estimate.
        bottleneck: features between the blocks; 64 gives the paper's 2.6 million parameters, 128 Asteroid's default.
        hidden: units of each LSTM and direction.
        chunk: frames of a chunk, about the root of twice the frames of a training example.
        hop: frames between chunks; half a chunk when not given.
        blocks: how many.
        norm: normalisation of the input and of each path.
        bidirectional: whether the path across chunks sees later chunks; the path within always goes both ways.
        mask: activation of the masks.

    Raises:
        ValueError: the chunks would not overlap evenly.
    """

    def __init__(
        self,
        channels: int,
        sources: int,
        bottleneck: int = 128,
        hidden: int = 128,
        chunk: int = 100,
        hop: int | None = None,
        blocks: int = 6,
        norm: Norm = "gLN",
        bidirectional: bool = True,
        mask: Activation = "sigmoid",
    ) -> None:
        def block() -> DualPathBlock:
            intra = RecurrentPath(bottleneck, hidden, bidirectional=True)
            inter = RecurrentPath(bottleneck, hidden, bidirectional)
            return DualPathBlock(bottleneck, intra, inter, norm)

        super().__init__(
            channels,
            sources,
            norm=norm,
            bottleneck=PointwiseConv(channels, bottleneck),
            blocks=(block() for _ in range(blocks)),
            output=PointwiseConv(bottleneck, channels, bias=False),
            inner=bottleneck,
            chunk=chunk,
            hop=hop,
            mask=mask,
        )


class RecurrentPath(nn.Module):
    """An LSTM, projected back to the size of its input.

    Args:
        channels: N, features in and out.
        hidden: units of each direction.
        bidirectional: whether there are two directions.
    """

    def __init__(self, channels: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.lstm = LSTM(channels, hidden, bidirectional=bidirectional)
        self.projection = nn.Linear(self.lstm.channels_out, channels)

    def forward(self, sequence: Tensor) -> Tensor:
        """Map (frames, batch, N) to the same shape."""
        return self.projection(self.lstm(sequence))
