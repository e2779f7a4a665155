"""The separator of Conv-TasNet: a temporal convolutional network."""

import torch
from torch import Tensor, nn

from toolkit.blocks import activations, norms
from toolkit.blocks.activations import Activation, PReLU
from toolkit.blocks.convolutions import DepthwiseConv, PointwiseConv
from toolkit.blocks.norms import Norm
from toolkit.blocks.slots import Separator, check_shape


class TCN(Separator):
    """Stacks of dilated depthwise convolutions (Luo & Mesgarani 2019, "Conv-TasNet", section II.C and figure 1).

    As in Asteroid, the last block keeps the weights of its residual path, though with a skip path nothing reads it.

    Args:
        channels: N, features per frame.
        sources: masks to estimate.
        bottleneck: channels between the blocks (the paper's B).
        hidden: channels within a block (H).
        skip: channels of the skip path (Sc); 0 for none, then the masks are read from the last block's output.
        kernel_size: frames a depthwise convolution weights (P).
        blocks: blocks of one stack (X), dilated by 1, 2, 4, …
        repeats: stacks (R).
        norm: normalisation of the input and within the blocks.
        causal: look back only; the norms must do so too.
        mask: activation of the masks.
        input_norm: normalisation of the input, if it is another than within the blocks.
        bias: whether the convolutions have one.
        rectify: whether there is a PReLU before the masks' convolution.

    Raises:
        ValueError: a causal network with a norm that looks ahead.
    """

    def __init__(
        self,
        channels: int,
        sources: int,
        bottleneck: int = 128,
        hidden: int = 512,
        skip: int = 128,
        kernel_size: int = 3,
        blocks: int = 8,
        repeats: int = 3,
        norm: Norm = "gLN",
        causal: bool = False,
        mask: Activation = "sigmoid",
        input_norm: Norm | None = None,
        bias: bool = True,
        rectify: bool = True,
    ) -> None:
        super().__init__()
        first = norm if input_norm is None else input_norm
        if causal:
            norms.check_causal(norm)
            norms.check_causal(first)
        self.channels, self.sources, self.has_skip = channels, sources, skip > 0
        self.receptive_field = 1 + repeats * (kernel_size - 1) * (2**blocks - 1)
        self.norm = norms.build(first, channels)
        self.bottleneck = PointwiseConv(channels, bottleneck, bias)
        self.blocks = nn.ModuleList(
            ConvBlock(bottleneck, hidden, skip, kernel_size, 2**block, norm, causal, bias)
            for _ in range(repeats)
            for block in range(blocks)
        )
        self.rectifier = PReLU() if rectify else nn.Identity()
        self.mask = PointwiseConv(skip or bottleneck, sources * channels, bias)
        self.activation = activations.build(mask)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, N, L) to masks (B, S, N, L)."""
        check_shape(features, "features", batch=None, channels=self.channels, frames=None)
        x = self.bottleneck(self.norm(features))
        skipped = torch.zeros((), device=x.device)
        for block in self.blocks:
            x, skip = block(x)
            skipped = skipped + skip
        masks = self.mask(self.rectifier(skipped if self.has_skip else x))
        return self.activation(masks.unflatten(1, (self.sources, self.channels)))


class ConvBlock(nn.Module):
    """Widen, convolve each channel, and give a residual and a skip path (figure 1 C of the paper).

    Both paths leave through one convolution, which is quicker than two.

    Args:
        channels: of the residual path.
        hidden: channels within.
        skip: channels of the skip path, or 0.
        kernel_size: frames the depthwise convolution weights.
        dilation: distance of those frames.
        norm: normalisation after each activation.
        causal: look back only.
        bias: whether the convolutions have one.
    """

    def __init__(
        self, channels: int, hidden: int, skip: int, kernel_size: int, dilation: int, norm: Norm, causal: bool, bias: bool
    ) -> None:
        super().__init__()
        self.sizes = [channels, skip]
        self.layers = nn.Sequential(
            PointwiseConv(channels, hidden, bias),
            PReLU(),
            norms.build(norm, hidden),
            DepthwiseConv(hidden, kernel_size, dilation, causal, bias),
            PReLU(),
            norms.build(norm, hidden),
        )
        self.paths = PointwiseConv(hidden, channels + skip, bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, channels, L) to the next block's input (B, channels, L) and the skip path (B, skip, L)."""
        residual, skip = self.paths(self.layers(x)).split(self.sizes, dim=1)
        return x + residual, skip
