"""Pitch of a performance by trackers that need no training here: pYIN, and CREPE by the package `torchcrepe`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.features import Feature
from toolkit.dsp.pyin import pyin
from toolkit.dsp.viterbi import triangle, viterbi
from toolkit.log import UserError

RATE = 16000  # Hz that CREPE hears
WINDOW = 1024  # samples of a frame of CREPE's
HOP = 64  # samples between DDX7's frames
PITCHES = 360
CENTS = 20.0  # between pitches
FIRST = 1997.3794084376191  # cents over 10 Hz, of the first pitch
REACH = 11  # pitches that a path may move by from frame to frame
AROUND = 4  # pitches at either side of the path's that the pitch is averaged over
AT_ONCE = 128  # frames
TINY = 1e-10  # what is less is silence


class PYINPitch(Feature):
    """The pitch that pYIN hears, multiples of 10 cents (Hz, 0 where unvoiced); frames are centred at every hop.

    M. Mauch and S. Dixon, "pYIN", ICASSP 2014; equal to librosa's.  Frames of 64 ms follow a vibrato that librosa's default of
    2048 samples blurs.

    Args:
        sample_rate: Hz.
        hop_length: samples between frames.
        f_min: Hz.
        f_max: Hz.
        frame_length: samples, at least two periods of the lowest pitch.
    """

    def __init__(
        self, sample_rate: int, hop_length: int, f_min: float = 50.0, f_max: float = 2000.0, frame_length: int = 1024
    ) -> None:
        self.sample_rate, self.hop_length, self.frame_length = sample_rate, hop_length, frame_length
        self.f_min, self.f_max = f_min, f_max
        self.frame_rate = sample_rate / hop_length

    @property
    def name(self) -> str:
        """``pyin_pitch/16000-64-50-2000-1024``."""
        return f"pyin_pitch/{self.sample_rate}-{self.hop_length}-{self.f_min:g}-{self.f_max:g}-{self.frame_length}"

    def compute(self, waveforms: Tensor) -> Tensor:
        """Map (B, T) to (B, L) Hz, L = ⌈T / hop_length⌉."""
        found = pyin(waveforms.float(), self.sample_rate, self.hop_length, self.f_min, self.f_max, self.frame_length)
        frames = -(-waveforms.shape[-1] // self.hop_length)
        return torch.where(found.voiced, found.hertz, 0.0)[:, :frames]


class SurePitch(NamedTuple):
    """Pitch curves of B recordings.

    Attributes:
        hertz: (B, L), 0 where a frame holds nothing but zeros.
        confidence: (B, L), 0 to 1.
    """

    hertz: Tensor
    confidence: Tensor


class CREPEPitch(Feature):
    """The pitch that CREPE hears (Hz, 0 where it is not sure enough, or there is digital silence).

    J. W. Kim et al., "CREPE: a convolutional representation for pitch estimation", ICASSP 2018; network and weights are of the
    package `torchcrepe`.  As in DDX7's data, frames begin at every hop and look ahead 64 ms, and no pitch is left out for its
    confidence.

    The pitch is the mean around the likeliest path, which the network's outputs are the probabilities of.  The package takes
    their softmax for that, all but even, adds noise of up to 20 cents, and as DDX7 calls it begins anew every 128 frames: its
    path is drawn to the ends of the range (which DDX7 mends by calling silent what it hears above 1900 Hz).

    Args:
        sample_rate: Hz; CREPE hears 16000.
        hop_length: samples between frames.
        f_min: Hz.
        f_max: Hz.
        size: `full` (22 M parameters) or `tiny`.
        least_confidence: frames below it are unvoiced.
        center: whether frames are centred at every hop.

    Raises:
        ValueError: another sample rate.
    """

    def __init__(
        self,
        sample_rate: int,
        hop_length: int,
        f_min: float = 50.0,
        f_max: float = 2000.0,
        size: Literal["full", "tiny"] = "full",
        least_confidence: float = 0.0,
        center: bool = False,
    ) -> None:
        if sample_rate != RATE:
            raise ValueError(f"CREPE hears {RATE} Hz, found sample_rate {sample_rate}")
        self.sample_rate, self.hop_length, self.size = sample_rate, hop_length, size
        self.f_min, self.f_max, self.least_confidence, self.center = f_min, f_max, least_confidence, center
        self.frame_rate = sample_rate / hop_length

    @property
    def name(self) -> str:
        """``crepe_pitch/full-64-50-2000-0``, and ``-centred``."""
        options = f"{self.size}-{self.hop_length}-{self.f_min:g}-{self.f_max:g}-{self.least_confidence:g}"
        return f"crepe_pitch/{options}{'-centred' if self.center else ''}"

    def compute(self, waveforms: Tensor) -> Tensor:
        """Map (B, T) to (B, L) Hz, L = ⌈T / hop_length⌉.

        Raises:
            UserError: `torchcrepe` is not installed.
        """
        hertz, confidence = self.track(waveforms)
        return torch.where(confidence >= self.least_confidence, hertz, 0.0)

    @torch.no_grad()
    def track(self, waveforms: Tensor) -> SurePitch:
        """The pitch of (B, T), whatever the confidence, which is what the network gives to the path's pitch.

        Raises:
            UserError: `torchcrepe` is not installed.
        """
        samples = waveforms.shape[-1]
        frames = -(-samples // self.hop_length)
        lead = WINDOW // 2 if self.center else 0
        padded = F.pad(waveforms.float(), (lead, max(0, (frames - 1) * self.hop_length + WINDOW - lead - samples)))
        pieces = padded.unfold(-1, WINDOW, self.hop_length)[:, :frames]
        hertz = 10 * 2 ** ((FIRST + CENTS * torch.arange(PITCHES, device=waveforms.device)) / 1200)
        allowed = (hertz >= self.f_min) & (hertz <= self.f_max)
        salience = torch.stack([self._salience(piece) for piece in pieces]) * allowed
        path = viterbi([salience[:, :, None]], triangle(PITCHES, REACH), torch.ones(1, 1)).to(salience.device)
        near = (path[..., None] + torch.arange(-AROUND, AROUND + 1, device=path.device)).clamp(0, PITCHES - 1)
        weights = salience.gather(-1, near)
        cents = FIRST + CENTS * (weights * near).sum(-1) / weights.sum(-1).clamp(min=TINY)
        heard = pieces.abs().amax(-1) > 0
        return SurePitch(torch.where(heard, 10 * 2 ** (cents / 1200), 0.0), salience.gather(-1, path[..., None])[..., 0])

    def _salience(self, frames: Tensor) -> Tensor:
        """What the network makes of frames (L, 1024): (L, 360), 0 to 1."""
        package = torchcrepe()
        made = []
        for some in frames.split(AT_ONCE):
            centred = some - some.mean(-1, keepdim=True)
            made.append(package.infer(centred / centred.std(-1, keepdim=True).clamp(min=TINY), self.size, frames.device))
        return torch.cat(made)


def crepe_confidence(samples: Tensor) -> float:
    """How sure CREPE is of the pitch of samples (T,) at 16 kHz, as DDX7 measures it: the mean confidence of all its frames.

    With the package's own path, whose faults cost confidence too, so that published thresholds keep their meaning.

    Raises:
        UserError: `torchcrepe` is not installed.
    """
    filled = F.pad(samples.float(), (0, max(0, (-(-len(samples) // HOP) - 1) * HOP + WINDOW - len(samples))))
    options = {"return_periodicity": True, "batch_size": AT_ONCE, "device": samples.device, "pad": False}
    _, confidence = torchcrepe().predict(filled[None], RATE, HOP, 50.0, 2000.0, "full", **options)
    return float(confidence.mean())


def torchcrepe() -> Any:
    """The package.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module("torchcrepe")
    except ImportError as error:
        raise UserError(f"CREPE needs the package torchcrepe ({error}). Next: pip install torchcrepe") from error
