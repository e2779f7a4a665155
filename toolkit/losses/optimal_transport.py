"""Spectra compared along the frequency axis: how far energy must be carried to make one of the other (Torres et al. 2024)."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.precision import full_precision
from toolkit.blocks.slots import check_shape
from toolkit.dsp.spectra import Framing, normalised_power, periodic_window
from toolkit.losses.synthesis import SynthesisLoss

SILENT = 1e-7  # what smaller masses are divided by instead
NEAREST = 1e-12  # what smaller distances count as before a root is taken, whose slope would have no bound
LOWEST = 440 * 2 ** (-69 / 12)  # Hz, MIDI note 0: where 0 Hz stands on the logarithmic axis


def transport(
    first: Tensor,
    second: Tensor,
    positions: Tensor,
    second_positions: Tensor | None = None,
    order: float = 2.0,
    cut: bool = False,
) -> Tensor:
    """The Wasserstein distance of masses on a line, to the power of its order: ∫₀¹ |Q₁(r) - Q₂(r)|^order dr.

    Q is the quantile function: where the mass stands that has the share r of all mass up to it.  Both functions are made of
    steps, so the integral is a sum over the steps, and exact.  Gradients go to the masses alone.

    Args:
        first: (*, F), masses of 0 or more; what others are compared with.
        second: (*, F).
        positions: (F) or (*, F), where they stand, rising.
        second_positions: those of the second, likewise; the same if not given.
        order: 1 or more.
        cut: divide the second masses by the sum of the first as well, not by their own, and compare no more of them than the
            first have, counted from the lowest position: a missing part stands at the highest (the paper's cut-off).

    Returns:
        (*).
    """
    last = first.shape[-1] - 1
    total = _mass(first)
    a = (first / total).cumsum(-1).clamp(max=1)
    b = (second / (total if cut else _mass(second))).cumsum(-1).clamp(max=1)
    at = positions.to(a).expand_as(a)
    to = at if second_positions is None else second_positions.to(b).expand_as(b)
    below = torch.searchsorted(b, a.detach())  # steps of b that end before one of a does
    upto = torch.zeros_like(F.pad(below, (0, 1))).scatter_add(-1, below, torch.ones_like(below)).cumsum(-1)[..., :-1]
    # steps of a that end before one of b does, or with it: those that have no more of b below them
    lengths_a = a - torch.maximum(_before(a), F.pad(b, (1, 0)).gather(-1, below))
    lengths_b = b - torch.maximum(_before(b), F.pad(a, (1, 0)).gather(-1, upto))
    cost_a = (at - to.gather(-1, below.clamp(max=last))).abs() ** order
    cost_b = (at.gather(-1, upto.clamp(max=last)) - to).abs() ** order
    return (lengths_a * cost_a).sum(-1) + (lengths_b * cost_b).sum(-1)


class SpectralTransport(SynthesisLoss):
    """Mean over the frames of the Wasserstein-2 distance of power spectra, squared or not (Torres et al. 2024, released code).

    The code that was released with the runs of the paper takes the root of each frame's distance; a later version, as the
    paper's formula, does not.  Beside another loss that makes a difference: where spectra are near, the root has the steeper
    slope.

    The frequency axis goes from 0 to 1.  The defaults are the paper's SOT-2048; SOT-512 has ``fft_size: 512``, SOT-512-LogF
    ``axis: log`` besides, SOT-NoCut ``cut: false``.  All of them add MSS-Lin (`MultiScaleSpectral`) times 0.05,
    SOT-SingleScale that of 512 samples alone times 0.1.

    Args:
        fft_size: samples of a frame.
        hop_length: samples between frames.
        window: as scipy names it.
        sample_rate: Hz.
        axis: ``linear`` from 0 Hz to half the sample rate, or ``log`` from `low` to `high`, 0 Hz standing at MIDI note 0, or
            an octave below the next bin where that is lower.
        low: Hz.
        high: Hz; the defaults are the lowest and the highest of the 285 bins of the paper's CQT.
        order: of the distance.
        root: take the root of that order.
        cut: measure only the lowest of the estimate's energy, as much as the reference has.
        framing: ``centred`` on every hop, the waveform mirrored at its ends; ``onward`` from every hop, zeros behind.

    Raises:
        ValueError: frames, frequencies or the order are out of their range.
    """

    taper: Tensor
    positions: Tensor

    def __init__(
        self,
        fft_size: int = 2048,
        hop_length: int = 256,
        window: str = "flattop",
        sample_rate: int = 16000,
        axis: Literal["linear", "log"] = "linear",
        low: float = 32.7,
        high: float = 32.7 * 2 ** (284 / 36),
        order: float = 2.0,
        root: bool = False,
        cut: bool = True,
        framing: Framing = "onward",
    ) -> None:
        super().__init__()
        if fft_size < 2 or fft_size % 2 or not 1 <= hop_length <= fft_size:
            raise ValueError(f"fft_size, hop_length: expected even and 1 to fft_size, found {fft_size}, {hop_length}")
        if order < 1:
            raise ValueError(f"order: expected 1 or more, found {order}")
        if not 0 < low < high:
            raise ValueError(f"low, high: expected 0 < low < high, found {low:g} and {high:g} Hz")
        self.hop_length, self.framing = hop_length, framing
        self.order, self.root, self.cut = order, root, cut
        self.register_buffer("taper", periodic_window(window, fft_size), persistent=False)
        hertz = torch.linspace(0, sample_rate / 2, fft_size // 2 + 1, dtype=torch.float64)
        if axis == "log":
            hertz[0] = min(LOWEST, sample_rate / fft_size / 2)
            octaves = hertz.log2()
            ends = torch.tensor([low, high], dtype=torch.float64).log2()
            positions = (octaves - ends[0]) / (ends[1] - ends[0])
        else:
            positions = hertz / hertz[-1]
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """One number for the waveforms (B, T), in single precision at least.

        Raises:
            ValueError: the shapes differ.
        """
        check_shape(reference, "reference", batch=None, samples=None)
        check_shape(estimate, "estimate", batch=len(reference), samples=reference.shape[1])
        with full_precision(estimate):
            dtype = torch.promote_types(estimate.dtype, torch.float32)
            found, wanted = (self._powers(x.to(dtype)) for x in (estimate, reference))
            distances = transport(wanted, found, self.positions, order=self.order, cut=self.cut)
            return (distances.clamp(min=NEAREST) ** (1 / self.order) if self.root else distances).mean()

    def _powers(self, waveforms: Tensor) -> Tensor:
        """(B, L, F)."""
        return normalised_power(waveforms, self.taper, self.hop_length, self.framing).mT.contiguous()


def _mass(masses: Tensor) -> Tensor:
    return masses.sum(-1, keepdim=True).clamp(min=SILENT)


def _before(ends: Tensor) -> Tensor:
    """Where each step begins."""
    return F.pad(ends[..., :-1], (1, 0))
