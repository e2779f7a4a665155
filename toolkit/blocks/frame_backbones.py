"""Backbones over frames that are features already: dense layers for each frame, and recurrence."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks import activations, norms
from toolkit.blocks.activations import Activation
from toolkit.blocks.inits import Init, initialised
from toolkit.blocks.norms import Norm
from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Backbone


class FrameMLP(Backbone):
    """The same dense layers for every frame: linear, normalised, rectified, with dropout.

    With the defaults the embedding of ATT (Gururani, Sharma & Lerch 2019, "An attention mechanism for musical instrument
    recognition"); without normalisation, leaky and with dropout 0.5 that of their FC_T, and, all frames stacked, of their FC.

    Args:
        bins: F, rows of the spectrogram.
        hidden: units of each layer.
        norm: of the spectrogram and within each layer, in place of its bias; null for none.
        activation: after each layer.
        dropout: share of each layer's output left out while training.
        residual: whether the spectrogram, as it came in, is added to what comes out of the last layer.
        init: first weights.
        stack: frames that are put on top of each other and go through the layers as one.  What is left at the end is cut; a
            spectrogram of fewer is filled up with zeros.

    Raises:
        ValueError: a spectrogram is to be added to something of another size, or there is no frame to stack.
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
        stack: int = 1,
    ) -> None:
        super().__init__()
        if stack < 1:
            raise ValueError(f"stack: expected at least 1 frame, found {stack}")
        widths = [bins * stack, *hidden]
        if residual and widths[0] != widths[-1]:
            raise ValueError(f"residual: expected {widths[0]} units in the last layer, as many as come in, found {widths[-1]}")
        self.bins, self.channels, self.residual, self.stack = bins, widths[-1], residual, stack
        self.norm = norms.build(norm, widths[0]) if norm else nn.Identity()
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(initialised(nn.Conv1d(before, after, 1, bias=not norm), init))
            layers += [norms.build(norm, after)] if norm else []
            layers += [activations.build(activation), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, L // stack)."""
        check_shape(spectrogram, "spectrogram", batch=None, one=1, bins=self.bins, frames=None)
        x = _stacked(spectrogram[:, 0], self.stack)
        out = self.layers(self.norm(x))
        return out + x if self.residual else out


def _stacked(x: Tensor, frames: int) -> Tensor:
    """Frames (B, F, L) put on top of each other, (B, frames · F, L // frames), at least one."""
    whole = max(1, x.shape[-1] // frames)
    x = F.pad(x, (0, max(0, frames - x.shape[-1])))[..., : whole * frames]
    return x.unflatten(-1, (whole, frames)).permute(0, 3, 1, 2).flatten(1, 2)


class FrameGRU(Backbone):
    """Gated recurrent units over the frames (Cho et al. 2014).

    Args:
        bins: F, rows of the spectrogram.
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

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, L)."""
        check_shape(spectrogram, "spectrogram", batch=None, one=1, bins=self.bins, frames=None)
        return self.gru(spectrogram[:, 0].mT)[0].mT
