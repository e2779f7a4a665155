"""Oracles: what a method could do at best, as it is told the sources (SiSEC 2018; Stöter, Liutkus, Ito 2018, section 3).

The definitions are those of https://github.com/sigsep/sigsep-mus-oracle, whose scores are SiSEC's rows MIX, IBM1, … MWF.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.dsp.stft import STFT
from toolkit.models.base import SeparationModel

EPS = torch.finfo(torch.float64).eps
BINS_AT_ONCE = 64  # of a whole song, in double precision: some hundred megabytes


class Oracle(SeparationModel):
    """Estimates sources from the mixture and the sources themselves; nothing is learned.

    Frames of `n_fft` samples overlap by half, with zeros before the first sample.

    Args:
        kind: `mix`, the mixture divided by the number of sources; `ibm1` and `ibm2`, binary masks, open where the source has
            more than half of the mixture's magnitude or power; `irm1` and `irm2`, ratio masks, the source's share in the sum of
            all magnitudes or powers; `mwf`, the multichannel Wiener filter of the sources' true powers and covariances;
            `mwf_sisec`, the same with the slip of the code that SiSEC's figures were made with (see `_covariances`).
        sources: S.
        audio_channels: C, of the mixture and of each source.
        n_fft: samples of a frame.

    Attributes:
        audio_channels: of what it takes: those of the mixture, then those of every source, (1 + S)·C.
    """

    sums_to_mixture = False

    def __init__(
        self,
        kind: Literal["mix", "ibm1", "ibm2", "irm1", "irm2", "mwf", "mwf_sisec"] = "irm2",
        sources: int = 4,
        audio_channels: int = 2,
        n_fft: int = 2048,
    ) -> None:
        super().__init__()
        self.kind, self.sources = kind, sources
        self.audio_channels = (1 + sources) * audio_channels
        self.stft = STFT(n_fft, n_fft // 2, pad="constant")

    def forward(self, mixture: Tensor) -> Tensor:
        """Map the mixture with its sources below it, (B, (1 + S)·C, T), to estimates (B, S, C, T)."""
        signals = mixture.unflatten(1, (1 + self.sources, -1))
        if self.kind == "mix":
            return signals[:, :1].expand_as(signals[:, 1:]) / self.sources
        filtering, length = self.kind.startswith("mwf"), signals.shape[-1]
        wide = signals.double() if filtering else signals  # bins near silence decide about covariances
        spectra = self.stft(F.pad(wide, (0, -length % self.stft.hop_length)))
        heard, true = spectra[:, 0], spectra[:, 1:]
        estimates = self._wiener(heard, true) if filtering else heard[:, None] * self._masks(heard.abs()[:, None], true.abs())
        return self.stft.inverse(estimates, length).to(mixture)

    def _masks(self, mixture: Tensor, sources: Tensor) -> Tensor:
        """Masks (B, S, C, F, L) from magnitudes."""
        if self.kind.endswith("2"):
            mixture, sources = mixture.square(), sources.square()
        if self.kind.startswith("ibm"):
            return (sources > 0.5 * mixture).to(mixture)
        return sources / sources.sum(1, keepdim=True).clamp(min=torch.finfo(sources.dtype).tiny)

    def _wiener(self, mixture: Tensor, sources: Tensor) -> Tensor:
        """Spectra (B, S, C, F, L) by the local Gaussian model; bins are independent of each other once R is known."""
        scale = 2 / self.stft.n_fft  # a full-scale sine's magnitude is 1/2: what EPS is meant for
        mixture, sources = mixture * scale, sources * scale
        covariances = self._covariances(sources)
        filtered = []
        for start in range(0, mixture.shape[2], BINS_AT_ONCE):
            bins = slice(start, start + BINS_AT_ONCE)
            covariance, true = covariances[:, :, bins], sources[:, :, :, bins]
            outer = torch.einsum("bscfl,bsdfl->bsflcd", true, true.conj())
            power = torch.einsum("bsfcd,bsfldc->bsfl", _invert(covariance), outer).real / true.shape[2]
            model = torch.einsum("bsfl,bsfcd->bsflcd", power.to(covariance.dtype), covariance)
            whitened = torch.einsum("bflcd,bdfl->bflc", _invert(model.sum(1)), mixture[:, :, bins])
            filtered.append(torch.einsum("bsflcd,bfld->bscfl", model, whitened))
        return torch.cat(filtered, dim=3) / scale

    def _covariances(self, sources: Tensor) -> Tensor:
        """R (B, S, F, C, C): covariance over the channels in units of the power, mean over the frames, of trace C.

        The published code divides by one trace instead of each bin's: NumPy's `trace` of its (F, C, C) takes the first two
        axes, so column d is divided by R[0, 0, d] + R[1, 1, d].  That undoes sources whose first two bins happen to cancel.
        """
        channels, frames = sources.shape[2], sources.shape[-1]
        power = sources.abs().square().mean(2, keepdim=True)
        covariance = torch.einsum("bscfl,bsdfl->bsfcd", sources / (EPS + power), sources.conj()) / frames
        if self.kind == "mwf_sisec":
            trace = torch.stack([covariance[:, :, index, index] for index in range(channels)]).sum(0)[:, :, None, None]
        else:
            trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] + EPS
        return covariance * channels / trace + EPS * torch.eye(channels, dtype=covariance.dtype, device=covariance.device)


def _invert(matrix: Tensor) -> Tensor:
    """Inverse of (*, C, C) for one or two channels, the determinant made a little larger so that it is never zero."""
    if matrix.shape[-1] == 1:
        return 1 / (EPS + matrix)
    a, b, c, d = matrix.flatten(-2).unbind(-1)
    adjugate = torch.stack([torch.stack([d, -b], dim=-1), torch.stack([-c, a], dim=-1)], dim=-2)
    return adjugate / (EPS + a * d - b * c)[..., None, None]
