"""Backbones over frames that are features already: dense layers for each frame, and recurrence."""

from itertools import pairwise

from torch import Tensor, nn

from toolkit.blocks import activations, norms
from toolkit.blocks.activations import Activation
from toolkit.blocks.inits import Init, initialised
from toolkit.blocks.norms import Norm
from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Backbone


class FrameMLP(Backbone):
    """The same dense layers for every frame: linear, normalised, rectified, thinned out.

    With the defaults the embedding of ATT (Gururani, Sharma & Lerch 2019, "An attention mechanism for musical instrument
    recognition"); without normalisation, leaky and with dropout 0.5 that of their FC_T.

    Args:
        bins: F, rows of the picture.
        hidden: units of each layer.
        norm: of the picture and within each layer, in the place of its bias; null for none.
        activation: after each layer.
        dropout: share of each layer's output left out while training.
        residual: whether the picture, as it came in, is added to what comes out of the last layer.
        init: first weights.

    Raises:
        ValueError: a picture is to be added to something of another size.
    """

    def __init__(
        self,
        bins: int,
        hidden: tuple[int, ...] = (128, 128, 128),
        norm: Norm | None = "BN",
        activation: Activation = "relu",
        dropout: float = 0.6,
        residual: bool = True,
        init: Init = "he_uniform",
    ) -> None:
        super().__init__()
        widths = [bins, *hidden]
        if residual and widths[-1] != bins:
            raise ValueError(f"residual: expected {bins} units in the last layer, as the picture has rows, found {widths[-1]}")
        self.bins, self.channels, self.residual = bins, widths[-1], residual
        self.norm = norms.build(norm, bins) if norm else nn.Identity()
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(initialised(nn.Conv1d(before, after, 1, bias=not norm), init))
            layers += [norms.build(norm, after)] if norm else []
            layers += [activations.build(activation), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def forward(self, picture: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, L)."""
        check_shape(picture, "picture", batch=None, one=1, bins=self.bins, frames=None)
        x = picture[:, 0]
        out = self.layers(self.norm(x))
        return out + x if self.residual else out


class FrameGRU(Backbone):
    """Gated recurrent units over the frames (Cho et al. 2014).

    Args:
        bins: F, rows of the picture.
        hidden: units of each layer and direction.
        layers: how many.
        bidirectional: whether each layer has two directions.
        dropout: share of values left out between layers while training.
    """

    def __init__(self, bins: int, hidden: int = 64, layers: int = 3, bidirectional: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        self.bins, self.channels = bins, hidden * (2 if bidirectional else 1)
        between = dropout if layers > 1 else 0.0
        self.gru = nn.GRU(bins, hidden, layers, dropout=between, bidirectional=bidirectional, batch_first=True)

    def forward(self, picture: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, L)."""
        check_shape(picture, "picture", batch=None, one=1, bins=self.bins, frames=None)
        return self.gru(picture[:, 0].mT)[0].mT
