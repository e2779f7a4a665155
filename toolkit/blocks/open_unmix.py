"""Open-Unmix: a bidirectional LSTM between two dense layers, one for each source (Stöter et al. 2019)."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks.recurrent import LSTM
from toolkit.blocks.slots import Masker, check_shape
from toolkit.dsp.stft import bin_statistics

THEIR_NAMES = {  # ours: theirs, the beginnings of parameters' names
    "input_shift": "input_mean",
    "input_scale": "input_scale",
    "reduce": "fc1",
    "reduce_norm": "bn1",
    "lstm": "lstm",
    "merge": "fc2",
    "merge_norm": "bn2",
    "restore": "fc3",
    "restore_norm": "bn3",
    "output_shift": "output_mean",
    "output_scale": "output_scale",
}


class OpenUnmix(Masker):
    """Stöter, Uhlich, Liutkus, Mitsufuji 2019, "Open-Unmix: a reference implementation for music source separation".

    Each source has a network of its own; they share nothing, so that training them at once is training each.

    Args:
        bins: F, of the spectrogram.
        audio_channels: C.
        sources: S, how many networks.
        hidden: features between the dense layers; each direction of the LSTM has half of them.
        layers: of the LSTM.
        max_bin: how many of the lowest bins are listened to; all when not given.  The masks are for all bins.
        dropout: share left out between the layers of the LSTM while training.

    Raises:
        ValueError: `hidden` is odd, or there are not that many bins.
    """

    def __init__(
        self,
        bins: int,
        audio_channels: int,
        sources: int,
        hidden: int = 512,
        layers: int = 3,
        max_bin: int | None = None,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        self.bins, self.audio_channels = bins, audio_channels
        self.max_bin = bins if max_bin is None else max_bin
        if hidden % 2:
            raise ValueError(f"hidden: expected an even number, for two directions, found {hidden}")
        if not 1 <= self.max_bin <= bins:
            raise ValueError(f"max_bin: expected 1 to {bins}, the bins of the spectrogram, found {max_bin}")
        networks = (SourceNetwork(audio_channels, self.max_bin, bins, hidden, layers, dropout) for _ in range(sources))
        self.networks = nn.ModuleList(networks)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Map the magnitudes (B, C, F, L) of a mixture to those of its sources, (B, S, C, F, L)."""
        check_shape(magnitudes, "magnitudes", batch=None, channels=self.audio_channels, bins=self.bins, frames=None)
        frames = magnitudes[:, :, : self.max_bin].permute(3, 0, 1, 2).contiguous()
        masks = torch.stack([network(frames) for network in self.networks])
        return masks.permute(2, 0, 3, 4, 1) * magnitudes[:, None]

    @torch.no_grad()
    def fit_statistics(self, magnitudes: Iterable[Tensor]) -> None:
        """Bring each bin of the training mixtures, the mean of their channels, to zero mean and unit deviation over the frames.

        Args:
            magnitudes: of whole mixtures, (C, F, L) each.

        Raises:
            ValueError: there are none.
        """
        mean, deviation = bin_statistics(spectrum.mean(0) for spectrum in magnitudes)
        for network in self.networks:
            assert isinstance(network, SourceNetwork)
            network.input_shift.copy_(-mean[: self.max_bin])
            network.input_scale.copy_(1 / deviation[: self.max_bin])


class SourceNetwork(nn.Module):
    """Frames (L, B, C, max_bin) to masks (L, B, C, F) of one source."""

    def __init__(self, audio_channels: int, max_bin: int, bins: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.input_shift = nn.Parameter(torch.zeros(max_bin))
        self.input_scale = nn.Parameter(torch.ones(max_bin))
        self.reduce = nn.Linear(audio_channels * max_bin, hidden, bias=False)
        self.reduce_norm = nn.BatchNorm1d(hidden)
        self.lstm = LSTM(hidden, hidden // 2, layers, bidirectional=True, dropout=dropout)
        self.merge = nn.Linear(2 * hidden, hidden, bias=False)
        self.merge_norm = nn.BatchNorm1d(hidden)
        self.restore = nn.Linear(hidden, audio_channels * bins, bias=False)
        self.restore_norm = nn.BatchNorm1d(audio_channels * bins)
        self.output_scale = nn.Parameter(torch.ones(bins))
        self.output_shift = nn.Parameter(torch.ones(bins))

    def forward(self, frames: Tensor) -> Tensor:
        """Map magnitudes (L, B, C, max_bin) to masks (L, B, C, F), 0 or more."""
        length, batch, channels, _ = frames.shape
        levelled = (frames + self.input_shift) * self.input_scale
        reduced = torch.tanh(self.reduce_norm(self.reduce(levelled.flatten(2).flatten(0, 1))))
        heard = self.lstm(reduced.unflatten(0, (length, batch))).flatten(0, 1)
        merged = F.relu(self.merge_norm(self.merge(torch.cat([reduced, heard], dim=1))))
        restored = self.restore_norm(self.restore(merged)).view(length, batch, channels, -1)
        return F.relu(restored * self.output_scale + self.output_shift)


def load_openunmix(masker: OpenUnmix, states: Sequence[Mapping[str, Tensor]]) -> None:
    """Give a masker the weights of the `openunmix` package, e.g. of UMX as its makers publish it.

    Args:
        masker: of the same sizes.
        states: what ``torch.load(..., weights_only=True)`` makes of the published files, in the order of the sources.

    Raises:
        ValueError: there are not as many as sources, or a weight is missing or of another size.
    """
    if len(states) != len(masker.networks):
        raise ValueError(f"states: expected one for each of {len(masker.networks)} sources, found {len(states)}")
    for network, state in zip(masker.networks, states, strict=True):
        ours = {}
        for name in network.state_dict():
            part, dot, rest = name.partition(".")
            theirs = THEIR_NAMES[part] + dot + rest
            if theirs not in state:
                raise ValueError(f"states: expected a weight {theirs!r}, found {', '.join(state)}")
            ours[name] = state[theirs]
        try:
            network.load_state_dict(ours)
        except RuntimeError as error:
            raise ValueError(f"states: {' '.join(str(error).split())}") from error
