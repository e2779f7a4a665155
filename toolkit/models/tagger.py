"""A tagger put together from slots."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Backbone, Frontend, Head, Pooling, WeightedPooling
from toolkit.models.base import TaggingModel

EPS = 1e-7  # probabilities that are pooled stay so far from 0 and 1


class Tagger(TaggingModel):
    """Frontend → Backbone → Pooling → Head; or every frame is tagged, and the probabilities are pooled (instances of a bag).

    Args:
        frontend: waveforms (B, T) or stored features (B, L, D) to a spectrogram (B, 1, F, L).
        backbone: spectrogram to features (B, C, L), built as ``backbone(bins)``.
        pooling: over the frames, built as ``pooling(channels, values)``.
        head: features to logits, built as ``head(channels, tags)``.
        tags: K, how many tags.
        pool: `features`, before they are tagged; `probabilities`, of each frame's tags.
    """

    def __init__(
        self,
        frontend: Frontend,
        backbone: Callable[[int], Backbone],
        pooling: Callable[[int, int], Pooling],
        head: Callable[[int, int], Head],
        tags: int,
        pool: Literal["features", "probabilities"] = "features",
    ) -> None:
        super().__init__()
        self.tags, self.pool = tags, pool
        self.frontend = frontend
        self.backbone = backbone(frontend.bins)
        channels = self.backbone.channels
        self.pooling = pooling(channels, channels if pool == "features" else tags)
        self.head = head(self.pooling.channels_out if pool == "features" else channels, tags)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B, K) of waveforms (B, T) or stored features (B, L, D)."""
        features = self.features(inputs)
        if self.pool == "features":
            return self.head(self.pooling(features, features))
        pooled = self.pooling(self._activity(features), features)
        return torch.logit(pooled, eps=EPS)

    def features(self, inputs: Tensor) -> Tensor:
        """What is pooled: (B, C, L)."""
        spectrogram = self.frontend(inputs)
        check_shape(spectrogram, "spectrogram", batch=None, one=1, bins=self.frontend.bins, frames=None)
        return self.backbone(spectrogram)

    def embed(self, inputs: Tensor) -> Tensor:
        """Pooled features (B, C); their mean where probabilities are pooled."""
        features = self.features(inputs)
        return self.pooling(features, features) if self.pool == "features" else features.mean(-1)

    def attention(self, inputs: Tensor) -> Tensor | None:
        """The pooling's weights where it is a weighted mean of each tag's probabilities."""
        if self.pool == "features" or not isinstance(self.pooling, WeightedPooling):
            return None
        features = self.features(inputs)
        weights = self.pooling.weights(self._activity(features), features)
        return weights.expand(-1, self.tags, -1)

    def _activity(self, features: Tensor) -> Tensor:
        """Probabilities (B, K, L) of each frame's tags."""
        batch = features.shape[0]
        logits = self.head(features.mT.flatten(0, 1)).unflatten(0, (batch, -1)).mT
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).sigmoid()  # in half precision 1 - EPS is 1
