"""Magnitudes of spectra compared at several resolutions (Wang et al. 2019; Engel et al. 2020, "DDSP")."""

from typing import Literal

import torch
from torch import Tensor

from toolkit.blocks.slots import check_shape
from toolkit.dsp.precision import full_precision
from toolkit.dsp.spectra import Framing, normalised_magnitude, periodic_window
from toolkit.losses.synthesis import SynthesisLoss


class MultiScaleSpectral(SynthesisLoss):
    """The sum over frame sizes of the mean absolute differences of magnitudes and of their logarithms.

    The defaults are the loss of DDX7 (Caspe et al. 2022).  The MSS-LogLin of spectral optimal transport (Torres et al. 2024),
    as also in TensorFlow's DDSP, is ``floor: 1e-5, floored: raised, framing: onward``; its MSS-Lin has ``log: 0`` besides.

    Args:
        fft_sizes: samples of the frames, each a multiple of 4.
        overlap: of the frames, a share of them.
        linear: weight of the magnitudes.
        log: weight of their natural logarithms.
        floor: what keeps the logarithms finite.
        floored: ``added`` to the magnitudes, or that they are ``raised`` to where they are below it.
        framing: ``centred`` on every hop, the waveform mirrored at its ends; ``onward`` from every hop, zeros behind.

    Raises:
        ValueError: a frame that is not a multiple of 4, an overlap outside 0 to 1, a negative weight or no floor.
    """

    def __init__(
        self,
        fft_sizes: tuple[int, ...] = (2048, 1024, 512, 256, 128, 64),
        overlap: float = 0.75,
        linear: float = 1.0,
        log: float = 1.0,
        floor: float = 1e-7,
        floored: Literal["added", "raised"] = "added",
        framing: Framing = "centred",
    ) -> None:
        super().__init__()
        if not fft_sizes or any(size < 4 or size % 4 for size in fft_sizes):
            raise ValueError(f"fft_sizes: expected multiples of 4, found {fft_sizes}")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap: expected 0 to less than 1, found {overlap}")
        if min(linear, log) < 0 or linear + log == 0:
            raise ValueError(f"linear, log: expected weights of 0 or more, not both 0, found {linear} and {log}")
        if floor <= 0:
            raise ValueError(f"floor: expected more than 0, found {floor}")
        self.linear, self.log = linear, log
        self.floor, self.floored, self.framing = floor, floored, framing
        self.hops = [max(1, int(size * (1 - overlap))) for size in fft_sizes]
        for scale, size in enumerate(fft_sizes):
            self.register_buffer(f"taper{scale}", periodic_window("hann", size), persistent=False)

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """One number for the waveforms (B, T), in single precision at least.

        Raises:
            ValueError: the shapes differ.
        """
        check_shape(reference, "reference", batch=None, samples=None)
        check_shape(estimate, "estimate", batch=len(reference), samples=reference.shape[1])
        linear = log = torch.zeros((), device=estimate.device)
        with full_precision(estimate):
            dtype = torch.promote_types(estimate.dtype, torch.float32)
            pair = [x.to(dtype) for x in (estimate, reference)]
            for scale, hop in enumerate(self.hops):
                taper = self.get_buffer(f"taper{scale}")
                # transposed, as they stand in memory: the gradient of a mean would else be turned around
                found, wanted = (normalised_magnitude(x, taper, hop, self.framing).mT for x in pair)
                if self.linear:
                    linear = linear + (found - wanted).abs().mean()
                if self.log:
                    log = log + (self._log(found) - self._log(wanted)).abs().mean()
        self.parts = {"linear": self.linear * linear.detach(), "log": self.log * log.detach()}
        return self.linear * linear + self.log * log

    def _log(self, magnitudes: Tensor) -> Tensor:
        return (magnitudes + self.floor if self.floored == "added" else magnitudes.clamp(min=self.floor)).log()
