"""Sample-level CNN."""

from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from toolkit.blocks.auto_taggers import layers
from toolkit.blocks.auto_taggers.layers import ResidualBlock, check_spectrogram
from toolkit.blocks.tagging import Backbone

STEP, DEPTH = 3, 9  # after a first layer of stride 3, nine layers of which maxima of 3 are taken
LEAST_SAMPLES = STEP ** (DEPTH + 1) - STEP + 1


class SampleCNN(Backbone):
    """Convolutions of three samples, beginning with the waveform's own (Lee, Park, Kim & Nam 2017, "Sample-level deep
    convolutional neural networks for music auto-tagging using raw waveforms"); with `excitation`, Kim, Lee & Nam 2018.

    3^10 = 59,049 samples leave one frame.

    Args:
        bins: F, rows of the spectrogram: one, the waveform.
        width: channels of the first three layers; seven have twice as many, the last two have four times as many.
        excitation: two convolutions a layer, beside a shortcut, with squeeze and excitation.

    Raises:
        ValueError: the spectrogram has more than one row.
    """

    def __init__(self, bins: int, width: int = 128, excitation: bool = False) -> None:
        super().__init__()
        if bins != 1:
            raise ValueError(f"bins: expected the waveform as one row (front end RawWaveform), found {bins} rows")
        self.channels = 4 * width
        layer = partial(ResidualBlock, excitation=True) if excitation else layers.block
        channels = [factor * width for factor in (1, 1, 1, 2, 2, 2, 2, 2, 2, 4)]
        self.layers = nn.Sequential(
            layer(1, 1, width, stride=STEP),
            *(layer(1, before, after, pool=STEP) for before, after in pairwise(channels)),
            layer(1, self.channels, self.channels, kernel_size=1),
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map (B, 1, 1, T), T at least 59,047 samples, to (B, C, L')."""
        check_spectrogram(spectrogram, 1, LEAST_SAMPLES)
        return self.layers(spectrogram[:, 0])
