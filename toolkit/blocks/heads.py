"""Features to the logits of tags."""

from torch import Tensor, nn

from toolkit.blocks.inits import Init, initialised
from toolkit.blocks.tagging import Head


class LinearHead(Head):
    """One linear layer.

    Args:
        channels: of the features.
        tags: how many.
        dropout: share of the features left out while training.
        init: first weights.
    """

    def __init__(self, channels: int, tags: int, dropout: float = 0.0, init: Init = "torch") -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(dropout), initialised(nn.Linear(channels, tags), init))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels) to (N, K)."""
        return self.layers(features)
