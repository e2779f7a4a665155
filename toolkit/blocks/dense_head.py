"""A head with a layer between the features and the tags."""

from torch import Tensor, nn

from toolkit.blocks import activations
from toolkit.blocks.activations import Activation
from toolkit.blocks.tagging import Head


class DenseHead(Head):
    """A dense layer, normalised over the batch and rectified, then one linear layer (as in Won et al. 2020).

    Args:
        channels: of the features.
        tags: how many.
        hidden: units of the dense layer; null for as many as there are channels.
        norm: whether it is normalised over the batch.
        activation: of its units.
        dropout: share of them left out while training.
    """

    def __init__(
        self,
        channels: int,
        tags: int,
        hidden: int | None = None,
        norm: bool = True,
        activation: Activation = "relu",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        units = channels if hidden is None else hidden
        self.layers = nn.Sequential(
            nn.Linear(channels, units),
            nn.BatchNorm1d(units) if norm else nn.Identity(),
            activations.build(activation),
            nn.Dropout(dropout),
            nn.Linear(units, tags),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels) to (N, K)."""
        return self.layers(features)
