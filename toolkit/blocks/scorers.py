"""Heads that score hypotheses."""

from torch import Tensor, nn

from toolkit.blocks.slots import Scorer, check_shape


class MeanPooledScorer(Scorer):
    """A linear map of every frame, the mean over time, and a linear map to one logit.

    It is the "late" scoring head in the code of annealed MCL (Letzelter et al. 2024).

    Args:
        channels: features per frame.
        hidden: size between the two maps.
    """

    def __init__(self, channels: int, hidden: int = 128) -> None:
        super().__init__()
        self.channels = channels
        self.frame = nn.Linear(channels, hidden)
        self.logit = nn.Linear(hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, S, N, L) to logits (B, S)."""
        check_shape(features, "features", batch=None, sources=None, channels=self.channels, frames=None)
        pooled = self.frame(features.mean(-1))  # the mean goes through a linear map unchanged
        return self.logit(pooled.relu()).squeeze(-1)
