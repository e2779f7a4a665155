"""Spectra compared along the frequency axis: how far energy must be carried to make one of the other (Torres et al. 2024)."""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.slots import check_shape
from toolkit.dsp.notes import midi_to_hz
from toolkit.dsp.precision import full_precision
from toolkit.dsp.spectra import Framing, normalised_power, periodic_window
from toolkit.losses.synthesis import SynthesisLoss

SILENT = 1e-7  # what smaller masses are divided by instead
NEAREST = 1e-12  # what smaller distances count as before a root is taken, whose slope would have no bound
LOWEST = midi_to_hz(0.0)  # where 0 Hz stands on the logarithmic axis


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
    total = _mass(first)
    a = (first / total).cumsum(-1).clamp(max=1)
    b = (second / (total if cut else _mass(second))).cumsum(-1).clamp(max=1)
    at = positions.to(a)
    return _Carried.apply(a, b, at, at if second_positions is None else second_positions.to(b), order)


class _Carried(torch.autograd.Function):
    """The integral (*) for the shares a and b (*, F) of mass up to the positions `at` and `to`, (F) or (*, F) each.

    The gradient is known in closed form: what a step of Q₁ gains at its end the next one loses, so the slope is the cost of
    the one less that of the other, both against Q₂ there, and likewise for Q₂.  Where both functions step at once, those of Q₁
    come first: a slope in one direction, where maxima would give some of both.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, at: Tensor, to: Tensor, order: float) -> Tensor:
        at, to = (torch.cat([places, places[..., -1:]], -1) for places in (at, to))  # all that is above the last is there too
        from_a, from_b = F.pad(a, (1, 0)), F.pad(b, (1, 0))  # where each step begins
        below = torch.searchsorted(b, a)  # steps of b that end before one of a does
        counts = torch.zeros_like(from_a, dtype=below.dtype)
        upto = counts.scatter_add_(-1, below, below.new_ones(()).expand_as(below)).cumsum(-1)[..., :-1]
        # steps of a that end before one of b does, or with it: those that have no more of b below them
        lengths_a = a - torch.maximum(from_a[..., :-1], from_b.gather(-1, below))
        lengths_b = b - torch.maximum(from_b[..., :-1], from_a.gather(-1, upto))
        facing_a = to.expand_as(from_b).gather(-1, below)  # Q₂ where a step of Q₁ ends
        facing_b = at.expand_as(from_a).gather(-1, upto)
        of_a, of_b, *_ = ctx.needs_input_grad
        ctx.save_for_backward(at, to, facing_a if of_a else None, facing_b if of_b else None)
        ctx.order = order
        cost_a, cost_b = _cost(at[..., :-1] - facing_a, order), _cost(to[..., :-1] - facing_b, order)
        return (lengths_a * cost_a).sum(-1) + (lengths_b * cost_b).sum(-1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        at, to, facing_a, facing_b = ctx.saved_tensors
        found: list[Tensor | None] = [None, None]
        for side, (own, facing) in enumerate([(at, facing_a), (to, facing_b)]):
            if facing is not None:
                slopes = _cost(own[..., :-1] - facing, ctx.order) - _cost(own[..., 1:] - facing, ctx.order)
                found[side] = slopes.mul_(gradients[0][..., None])
        return (*found, None, None, None)


def _cost(distances: Tensor, order: float) -> Tensor:
    """To the power of the order; squares take half the time."""
    return distances.square() if order == 2 else distances.abs() ** order


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
