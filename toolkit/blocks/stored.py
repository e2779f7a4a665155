"""Stored features as a picture."""

from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Frontend


class StoredFeatures(Frontend):
    """Frames as they are stored (spectra, embeddings), brought to a scale.

    Args:
        bins: D, features of a stored frame.
        scale: what the features are divided by, e.g. 255 for bytes.
        offset: taken off before that.
        stack: frames put on top of each other to one, for networks that read a clip at once (AttentionMIC's FC). What is left
            at the end is cut; a clip of less than one such frame is filled up with zeros.

    Raises:
        ValueError: no scale, or no frame to stack.
    """

    def __init__(self, bins: int, scale: float = 1.0, offset: float = 0.0, stack: int = 1) -> None:
        super().__init__()
        if scale == 0:
            raise ValueError("scale: expected anything but 0")
        if stack < 1:
            raise ValueError(f"stack: expected at least 1 frame, found {stack}")
        self.features, self.scale, self.offset, self.stack = bins, scale, offset, stack
        self.bins = bins * stack

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (B, L, D) to (B, 1, stack · D, L // stack)."""
        check_shape(inputs, "stored features", batch=None, frames=None, features=self.features)
        x = (inputs - self.offset) / self.scale
        frames = x.shape[1]
        x = F.pad(x, (0, 0, 0, max(0, self.stack - frames)))[:, : max(1, frames // self.stack) * self.stack]
        return x.unflatten(1, (-1, self.stack)).flatten(2).mT[:, None]
