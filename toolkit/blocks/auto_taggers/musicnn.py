"""Musicnn."""

import torch
from torch import Tensor, nn

from toolkit.blocks.auto_taggers import layers
from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Backbone

HEIGHTS = (0.7, 0.4)  # shares of the rows that the filters for timbre see
TIMBRE_FRAMES = 7
RHYTHM_FRAMES = (129, 65, 33)


class Musicnn(Backbone):
    """Filters shaped for timbre (tall) and for rhythm (long), then densely connected convolutions over time (Pons et al. 2018,
    "End-to-end learning for music audio tagging at scale", with the sizes of Won et al. 2020).

    All that the layers give comes out side by side; the published model is pooled by `MaxMeanPooling`.

    Args:
        bins: F, rows of the spectrogram.
        timbre: channels of each of the two tall filters.
        rhythm: channels of each of the three long filters.
        width: channels of each of the three convolutions over time; 512 for the Million Song Dataset.
    """

    def __init__(self, bins: int, timbre: int = 204, rhythm: int = 51, width: int = 64) -> None:
        super().__init__()
        self.bins = bins
        self.timbre = nn.ModuleList(_Tall(timbre, int(share * bins)) for share in HEIGHTS)
        self.rhythm = nn.ModuleList(layers.block(1, 1, rhythm, frames) for frames in RHYTHM_FRAMES)
        heard = timbre * len(HEIGHTS) + rhythm * len(RHYTHM_FRAMES)
        self.layers = nn.ModuleList(layers.block(1, before, width, 7) for before in (heard, width, width))
        self.channels = heard + 3 * width

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map (B, 1, F, L) to (B, C, L)."""
        check_shape(spectrogram, "spectrogram", batch=None, one=1, bins=self.bins, frames=None)
        energy = spectrogram.mean(2)
        heard = torch.cat([*(tall(spectrogram) for tall in self.timbre), *(long(energy) for long in self.rhythm)], dim=1)
        first = self.layers[0](heard)
        second = self.layers[1](first) + first
        third = self.layers[2](second) + second
        return torch.cat([heard, first, second, third], dim=1)


class _Tall(nn.Module):
    """A convolution over many rows, and the maximum over all places that it fits at."""

    def __init__(self, channels: int, rows: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, (rows, TIMBRE_FRAMES), padding=(0, TIMBRE_FRAMES // 2)), nn.BatchNorm2d(channels)
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        return self.layers(spectrogram).amax(2).relu()
