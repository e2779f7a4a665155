"""Pitch of single frames: PESTO's front end, network and read-out (Riou et al. 2023, ISMIR; 2025, TISMIR 8(1)).

A pitch model is Frontend → crop → PitchEncoder → read-out.  Letters of the shapes: B batch, T samples, F bins in, P bins out,
L frames.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from toolkit.blocks.slots import check_shape
from toolkit.blocks.tagging import Frontend
from toolkit.dsp.cqt import CQT, Convention
from toolkit.dsp.precision import full_precision

QUIETEST = torch.finfo(torch.float32).eps  # magnitude that silence counts as
SEMITONES = 128  # of MIDI, that the output spans


class PitchEncoder(nn.Module, ABC):
    """One frame's spectrum to how probable each pitch is; built as ``Block(bins, **options)``.

    Attributes:
        bins: F, what comes in.
        pitches: P, what comes out, `SEMITONES` of them.
        last: the layer that gives the logits; losses are weighted by their gradients at its `weight`.
    """

    bins: int
    pitches: int
    last: nn.Module

    @abstractmethod
    def forward(self, spectra: Tensor) -> Tensor:
        """Map log spectra (B, F) to logits (B, P)."""


class ToeplitzLinear(nn.Module):
    """A linear layer whose weight depends on the difference of places only: what shifts its input shifts its output.

    Several channels lie one behind the other, each with its own stretch of taps.  The weights are those of the released code's
    layer, a convolution padded by `pitches` - 1.

    Args:
        features: of the input, C · F.
        pitches: P.
    """

    def __init__(self, features: int, pitches: int) -> None:
        super().__init__()
        self.pitches = pitches
        drawn = nn.Conv1d(1, 1, features + pitches - 1, bias=False)  # whose initialisation is the released one's
        self.weight = nn.Parameter(drawn.weight.detach())

    @torch.no_grad()
    def centre(self, channels: int) -> None:
        """Let the layer begin as one that gives its input back, the bins of all channels added in the middle of the pitches.

        At the edges of the pitches a channel's bins meet those of its neighbours, as they do in any Toeplitz layer.

        Args:
            channels: C, of which the features are made up.
        """
        bins = (self.weight.shape[-1] + 1 - self.pitches) // channels
        taps = self.pitches - 1 - (self.pitches - bins) // 2 + bins * torch.arange(channels)
        self.weight[0, 0, taps] += 1

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C · F) to (B, P)."""
        matrix = self.weight[0, 0].unfold(0, features.shape[-1], 1)  # the last output looks at the first taps
        return features @ matrix.flip(0).T


class PESTOEncoder(PitchEncoder):
    """Layer norm, wide convolutions over the bins (all but the first added to their input), a stack of narrow ones, Toeplitz.

    Riou et al. 2023, section 3.2, and the released code: 28,886 weights with the defaults (PESTO, 264 bins), 130,461 with 219
    bins, `kernel_size` 39 and 3 `prefilters` (its second version, 2025).  All layers commute with a shift along the bins, away
    from the edges; the layer norm's weights, one a bin, do as far as they are learnt to be equal.

    Args:
        bins: F.
        bins_per_semitone: P is 128 times it.
        prefilters: wide convolutions.
        kernel_size: of them, in bins, odd.
        channels: of the wide convolutions, then of each narrow one.
        slope: of the leaky ReLU.
        dropout: share of values left out.
        linear_prefilters: the wide convolutions but the first have neither leaky ReLU nor dropout.  So it is in the released
            code of the first version, whose list of layers takes in the convolution alone, and in its released weights.
        toeplitz: whether the last layer is one; or a linear layer without bias, as in an ablation (Table 3).
        centred: the Toeplitz layer begins as one that puts the bins in the middle of the pitches (ours).  As released it begins
            with small random weights, and where among the pitches the bins come to lie, or how many beyond, is chance.

    Raises:
        ValueError: the kernel's size is even, there is no channel or no wide convolution, or no Toeplitz layer to be centred.
    """

    def __init__(
        self,
        bins: int = 264,
        bins_per_semitone: int = 3,
        prefilters: int = 2,
        kernel_size: int = 15,
        channels: Sequence[int] = (40, 30, 30, 10, 3),
        slope: float = 0.3,
        dropout: float = 0.2,
        linear_prefilters: bool = False,
        toeplitz: bool = True,
        centred: bool = False,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: expected an odd number of bins, found {kernel_size}")
        if prefilters < 1 or not channels:
            raise ValueError(f"prefilters, channels: expected one at least, found {prefilters} and {list(channels)}")
        self.bins, self.pitches, self.linear_prefilters = bins, SEMITONES * bins_per_semitone, linear_prefilters
        self.norm = nn.LayerNorm([1, bins])
        wide = channels[0]
        wider = [_layer(1 if number == 0 else wide, wide, kernel_size, slope, dropout) for number in range(prefilters)]
        self.prefilters = nn.ModuleList(
            layer[:1] if linear_prefilters and number else layer for number, layer in enumerate(wider)
        )
        self.narrow = nn.Sequential(*(_layer(before, after, 1, slope, dropout) for before, after in pairwise(channels)))
        features = bins * channels[-1]
        self.last = ToeplitzLinear(features, self.pitches) if toeplitz else nn.Linear(features, self.pitches, bias=False)
        if centred:
            if not isinstance(self.last, ToeplitzLinear):
                raise ValueError("centred: expected the last layer to be a Toeplitz one, found toeplitz: false")
            self.last.centre(channels[-1])

    def forward(self, spectra: Tensor) -> Tensor:
        """Map log spectra (B, F) to logits (B, P)."""
        check_shape(spectra, "spectra", batch=None, bins=self.bins)
        hidden = self.prefilters[0](self.norm(spectra[:, None]))
        for prefilter in list(self.prefilters)[1:]:
            hidden = hidden + prefilter(hidden)
        logits: Tensor = self.last(self.narrow(hidden).flatten(1))
        return logits


def load_pesto(released: Mapping[str, Tensor], encoder: PESTOEncoder) -> None:
    """Put weights of the released code (SonyCSLParis/pesto, pesto-full) into an encoder of the same size.

    Args:
        released: the encoder's state, names with or without a leading `encoder.`; what belongs to other parts is passed over.
        encoder: where they go.

    Raises:
        RuntimeError: names or shapes do not fit.
    """
    places = {"layernorm.": "norm.", "conv1.0.": "prefilters.0.0.", "fc.": "last."}
    own = "" if encoder.linear_prefilters else ".0"  # without leaky ReLU there is no list of layers
    for number in range(1, len(encoder.prefilters)):
        places[f"prefilt_layers.{number - 1}{own}."] = f"prefilters.{number}.0."
    places |= {f"conv_layers.{3 * number}.": f"narrow.{number}.0." for number in range(len(encoder.narrow))}
    state = {}
    for name, weight in released.items():
        layer, _, kind = name.removeprefix("encoder.").rpartition(".")
        if place := places.get(f"{layer}."):
            state[place + kind] = weight
    encoder.load_state_dict(state)


def _layer(before: int, after: int, kernel_size: int, slope: float, dropout: float) -> nn.Sequential:
    convolution = nn.Conv1d(before, after, kernel_size, padding=kernel_size // 2)
    return nn.Sequential(convolution, nn.LeakyReLU(slope), nn.Dropout(dropout))


class VoicedHead(nn.Module):
    """How probable it is that a frame has a pitch, from its energies (PESTO's second version; released code).

    Args:
        bins: F.
        kernel_size: of the convolution over the bins.
        stride: of it.
    """

    def __init__(self, bins: int = 251, kernel_size: int = 39, stride: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, 1, kernel_size, stride=stride)
        self.linear = nn.Linear((bins - kernel_size) // stride + 2, 1)

    def forward(self, energies: Tensor) -> Tensor:
        """Map squared magnitudes (B, F), positive, to probabilities (B), in single precision at least."""
        flatness = energies.log().mean(-1, keepdim=True).exp() / energies.mean(-1, keepdim=True).clamp(min=1e-8)
        with full_precision(energies):
            shape = self.convolution(energies[:, None]).squeeze(1).relu()
            voiced: Tensor = self.linear(torch.cat([shape, flatness], dim=-1)).sigmoid().squeeze(-1)
            return voiced


class LogCQT(Frontend):
    """Magnitudes of a constant-Q or variable-Q transform in dB, as PESTO takes them.

    The defaults are PESTO's: from A0, three bins a semitone, the middle one of each on the tempered scale.  Its second version
    has 251 bins and a gamma of 7 Hz.

    Args:
        sample_rate: Hz.
        hop_length: samples between frames.
        f_min: Hz of the lowest semitone.
        bins: F.
        bins_per_semitone: bins of a semitone.
        gamma: Hz added to each bandwidth.
        kernels: whose lengths of windows, see `CQT`.
        halvings: how often the rate may be halved, see `CQT`.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        hop_length: int = 160,
        f_min: float = 27.5,
        bins: int = 296,
        bins_per_semitone: int = 3,
        gamma: float = 0.0,
        kernels: Convention = "nnaudio",
        halvings: int | None = None,
    ) -> None:
        super().__init__()
        self.bins = bins
        lowest = f_min / 2 ** ((bins_per_semitone - 1) / (24 * bins_per_semitone))
        self.transform = CQT(sample_rate, hop_length, lowest, bins, 12 * bins_per_semitone, gamma, kernels, halvings)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map waveforms (B, T) to (B, 1, F, L), L = 1 + ⌊T / hop_length⌋, in single precision at least."""
        check_shape(inputs, "waveforms", batch=None, samples=None)
        with full_precision(inputs):
            return decibels(self.transform(inputs))[:, None]

    def step(self, inputs: Tensor, state: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Take the next samples (B, T); give the frames (B, 1, F, l) that are complete with them, and the state (see `CQT`)."""
        with full_precision(inputs):
            spectrum, state = self.transform.step(inputs, state)
            return decibels(spectrum)[:, None], state

    def finish(self, state: dict[str, Tensor]) -> Tensor:
        """The frames (B, 1, F, l) that are still missing when no more samples come."""
        return decibels(self.transform.finish(state))[:, None]


def decibels(spectrum: Tensor) -> Tensor:
    """20 · log10 of the magnitudes of a complex spectrum of any shape, silence being about -138 dB."""
    return 20 * spectrum.abs().clamp(min=QUIETEST).log10()


def crop(spectra: Tensor, widest: int) -> Tensor:
    """What an encoder sees of spectra (*, F) when nothing is shifted: (*, F - 2 · widest), their middle."""
    return spectra[..., widest : spectra.shape[-1] - widest]


def shifted_crops(spectra: Tensor, widest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two views of each spectrum, the second transposed by a random number of bins (Riou et al. 2023, section 3.1).

    Args:
        spectra: (B, F).
        widest: bins of the widest shift, upward or downward.

    Returns:
        (B, F - 2 · widest) as `crop` gives it; the same, what was at bin k being at k + shift; and the shifts (B), whole
        numbers from -widest to widest, drawn evenly on the processor.

    Raises:
        ValueError: no bin would be left.
    """
    bins = spectra.shape[-1] - 2 * widest
    if widest < 0 or bins < 1:
        raise ValueError(f"widest: expected 0 to {(spectra.shape[-1] - 1) // 2} bins, found {widest}")
    shifts = torch.randint(-widest, widest + 1, (len(spectra),), device="cpu").to(spectra.device)
    places = (widest - shifts)[:, None] + torch.arange(bins, device=spectra.device)
    return crop(spectra, widest), spectra.gather(-1, places), shifts


def local_average(probabilities: Tensor) -> Tensor:
    """Pitch in semitones (MIDI numbers, with fractions): the mean around the highest probability (Kim et al. 2018, CREPE).

    The mean is over the bins less than a semitone away; what is beyond the first or the last counts as that one (PESTO's code).

    Args:
        probabilities: (*, P), P = 128 · bins a semitone.

    Returns:
        (*).

    Raises:
        ValueError: P is not a multiple of 128.
    """
    pitches = probabilities.shape[-1]
    per_semitone = pitches // SEMITONES
    if pitches % SEMITONES or not per_semitone:
        raise ValueError(f"probabilities: expected a multiple of {SEMITONES} pitches, found {pitches}")
    around = torch.arange(1 - per_semitone, per_semitone, device=probabilities.device)
    places = (probabilities.argmax(-1, keepdim=True) + around).clamp(0, pitches - 1)
    weights = probabilities.gather(-1, places)
    return (weights * places).sum(-1) / weights.sum(-1) / per_semitone
