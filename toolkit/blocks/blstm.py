"""BLSTM: one deep recurrent network over all frames."""

from torch import Tensor, nn

from toolkit.blocks import activations, norms
from toolkit.blocks.activations import Activation
from toolkit.blocks.norms import Norm
from toolkit.blocks.recurrent import LSTM
from toolkit.blocks.slots import Separator, check_shape


class BLSTM(Separator):
    """Stacked LSTMs and a linear map to the masks, as in TasNet (Luo & Mesgarani 2018) and uPIT (Kolbæk et al. 2017).

    The defaults are Asteroid's for TasNet; uPIT's network has 3 layers of 896 units and dropout 0.5.

    Args:
        channels: features per frame.
        sources: masks to estimate.
        hidden: units of each layer and direction.
        layers: how many.
        bidirectional: False looks back only; the norm must then do so too.
        norm: normalisation of the input.
        dropout: share of values left out between the layers while training.
        mask: activation of the masks.

    Raises:
        ValueError: a causal network with a norm that looks ahead.
    """

    def __init__(
        self,
        channels: int,
        sources: int,
        hidden: int = 512,
        layers: int = 4,
        bidirectional: bool = True,
        norm: Norm = "gLN",
        dropout: float = 0.3,
        mask: Activation = "sigmoid",
    ) -> None:
        super().__init__()
        if not bidirectional:
            norms.check_causal(norm)
        self.channels, self.sources = channels, sources
        self.norm = norms.build(norm, channels)
        self.lstm = LSTM(channels, hidden, layers, bidirectional, dropout)
        self.mask = nn.Linear(self.lstm.channels_out, sources * channels)
        self.activation = activations.build(mask)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, N, L) to masks (B, S, N, L)."""
        check_shape(features, "features", batch=None, channels=self.channels, frames=None)
        recurrent = self.lstm(self.norm(features).permute(2, 0, 1))
        masks = self.mask(recurrent).permute(1, 2, 0)
        return self.activation(masks.unflatten(1, (self.sources, self.channels)))
