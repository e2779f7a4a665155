"""Stored features in the shape of a spectrogram."""

from torch import Tensor

from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Frontend


class StoredFeatures(Frontend):
    """Frames as they are stored (spectra, embeddings), brought to a scale.

    Args:
        bins: D, features of a stored frame.
        scale: what the features are divided by, e.g. 255 for bytes.
        offset: taken off before that.

    Raises:
        ValueError: the scale is 0.
    """

    def __init__(self, bins: int, scale: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        if scale == 0:
            raise ValueError("scale: expected anything but 0")
        self.bins, self.scale, self.offset = bins, scale, offset

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (B, L, D) to (B, 1, D, L)."""
        check_shape(inputs, "stored features", batch=None, frames=None, features=self.bins)
        return ((inputs - self.offset) / self.scale).mT[:, None]
