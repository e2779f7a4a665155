"""The network behind harmonic filters."""

import math

from torch import Tensor, nn

from toolkit.blocks.auto_taggers import layers
from toolkit.blocks.auto_taggers.layers import ConvolutionalBackbone, ResidualBlock

POOLS = [(2, 2), (2, 2), (2, 2), (2, 2), (2, 2), (2, 3), (2, 3)]  # (frequency, time)
PLAIN = (0, 4)  # layers that change the number of channels, and have no shortcut


class HarmonicCNN(ConvolutionalBackbone):
    """Seven layers of 3x3 convolutions over notes and time, their harmonics being the channels (Won et al. 2020, "Data-driven
    harmonic filters for audio representation learning").

    The published model is pooled by `MaxPooling`.

    Args:
        bins: F, rows of the spectrogram: notes, their second harmonics, and so on, 128 to 255 of each.
        harmonics: of each note, as many as the front end has.
        width: channels of the first four layers; the others have twice as many.

    Raises:
        ValueError: the rows cannot be so many harmonics of so many notes.
    """

    def __init__(self, bins: int, harmonics: int = 6, width: int = 128) -> None:
        if bins % harmonics:
            raise ValueError(f"harmonics: expected a divisor of the spectrogram's {bins} rows, found {harmonics}")
        channels = [harmonics, *(factor * width for factor in (1, 1, 1, 1, 2, 2, 2))]
        stack: list[nn.Module] = [HarmonicsAsChannels(harmonics)]
        for number, pool in enumerate(POOLS):
            layer = layers.block if number in PLAIN else ResidualBlock
            stack.append(layer(2, channels[number], channels[number + 1], pool=pool))
        rows, frames = (math.prod(sizes) for sizes in zip(*POOLS, strict=True))
        least, most = layers.pool_rows(rows)
        super().__init__(bins, stack, channels[-1], (harmonics * least, harmonics * most), frames)


class HarmonicsAsChannels(nn.Module):
    """(B, 1, harmonics · notes, L) to (B, harmonics, notes, L)."""

    def __init__(self, harmonics: int) -> None:
        super().__init__()
        self.harmonics = harmonics

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Take apart what the front end stacked."""
        return spectrogram[:, 0].unflatten(1, (self.harmonics, -1))
