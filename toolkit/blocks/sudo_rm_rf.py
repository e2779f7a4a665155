"""SuDoRM-RF: successive downsampling and resampling of features at several resolutions."""

from torch import Tensor, nn

from toolkit.blocks import activations, norms
from toolkit.blocks.activations import Activation, PReLU
from toolkit.blocks.convolutions import PointwiseConv
from toolkit.blocks.norms import Norm
from toolkit.blocks.slots import Separator, check_shape


class SuDoRMRF(Separator):
    """Efficient separator of U-shaped convolutional blocks (Tzinis, Wang, Smaragdis 2020, "Sudo rm -rf").

    As in the authors' first code and in Asteroid, the masks come out of one convolution along the features.

    Args:
        channels: features per frame, an even number; also the width within a block.
        sources: masks to estimate.
        bottleneck: channels between the blocks.
        blocks: how many.
        depth: resolutions of a block, each half the one before.
        norm: normalisation of the input and within the blocks.
        mask: activation of the masks.

    Raises:
        ValueError: an odd number of features.
    """

    def __init__(
        self,
        channels: int,
        sources: int,
        bottleneck: int = 128,
        blocks: int = 16,
        depth: int = 4,
        norm: Norm = "gLN",
        mask: Activation = "softmax",
    ) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(f"channels: SuDoRMRF needs an even number of features per frame, found {channels}")
        self.channels = channels
        self.norm = norms.build(norm, channels)
        self.bottleneck = PointwiseConv(channels, bottleneck)
        self.blocks = nn.Sequential(*(UBlock(bottleneck, channels, depth, norm) for _ in range(blocks)))
        self.expand = PointwiseConv(bottleneck, channels) if bottleneck != channels else nn.Identity()
        self.mask = nn.Conv2d(1, sources, (channels + 1, 1), padding=(channels // 2, 0))
        self.activation = activations.build(mask)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, N, L) to masks (B, S, N, L)."""
        check_shape(features, "features", batch=None, channels=self.channels, frames=None)
        x = self.expand(self.blocks(self.bottleneck(self.norm(features))))
        return self.activation(self.mask(x.unsqueeze(1)))


class UBlock(nn.Module):
    """Widen, halve the resolution again and again, add the resolutions up from the coarsest, narrow (figure 2 of the paper).

    Args:
        channels: in and out.
        hidden: channels within.
        depth: resolutions.
        norm: normalisation after each convolution.
    """

    def __init__(self, channels: int, hidden: int, depth: int, norm: Norm) -> None:
        super().__init__()
        self.widen = nn.Sequential(PointwiseConv(channels, hidden), norms.build(norm, hidden), PReLU(hidden))
        self.resolutions = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(hidden, hidden, 5, stride=1 if level == 0 else 2, padding=2, groups=hidden),
                norms.build(norm, hidden),
            )
            for level in range(depth)
        )
        self.narrow = nn.Sequential(
            norms.build(norm, hidden), PReLU(hidden), PointwiseConv(hidden, channels), norms.build(norm, channels)
        )
        self.output = nn.Sequential(norms.build(norm, channels), PReLU(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, L) to the same shape."""
        levels = [self.widen(x)]
        for resolution in self.resolutions:
            levels.append(resolution(levels[-1]))
        merged = levels.pop()
        for finer in reversed(levels[1:]):
            merged = finer + merged.repeat_interleave(2, dim=-1)[..., : finer.shape[-1]]
        return self.output(self.narrow(merged) + x)
