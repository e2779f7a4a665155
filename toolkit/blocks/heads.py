"""Features to the logits of tags."""

from torch import Tensor, nn

from toolkit.blocks.tagging import Head


class LinearHead(Head):
    """One linear layer.

    Args:
        channels: of the features.
        tags: how many.
        dropout: share of the features left out while training.
    """

    def __init__(self, channels: int, tags: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, tags))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels) to (N, K)."""
        return self.layers(features)
