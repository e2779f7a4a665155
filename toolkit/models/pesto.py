"""PESTO: the pitch of single frames, learned without labels (Riou et al. 2023, ISMIR; 2025, TISMIR 8(1))."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor

from toolkit import log
from toolkit.blocks.pitch import (
    SEMITONES,
    LogCQT,
    PESTOEncoder,
    PitchEncoder,
    VoicedHead,
    crop,
    load_pesto,
    local_average,
)
from toolkit.blocks.synthesis import State
from toolkit.dsp.notes import midi_to_hz
from toolkit.models.base import Pitch, PitchModel

CHUNK = 1024  # frames that the encoder sees at once: what lies between its layers has tens of kilobytes a frame
TONES = range(60, 72)  # MIDI numbers of the tones that the absolute pitch is read from
TIMBRES = 2  # of each
SECONDS = 2.0  # of each, more than the longest window
HARMONICS = 5
NOISE = 0.56  # flatness of the powers of white noise, exp(-0.577)

logger = log.get(__name__)


class PESTO(PitchModel):
    """Front end → middle of the spectrum → encoder → the mean around the highest probability.

    What an encoder learns from transpositions alone is pitch up to a constant, `shift`, which `calibrate` reads from synthetic
    tones of known pitch.  Every frame stands for itself.

    Confidence is what `voicing` says, if there is one.  Without it, it is the share of the probabilities that lie less than a
    semitone from the highest one, times one minus the spectrum's flatness in relation to white noise's.  (Of the released
    versions the first gave the loudness in relation to that of the whole recording.)

    Args:
        frontend: waveforms (B, T) to log spectra (B, 1, F, L).
        encoder: built as ``encoder(bins)``, for what is left of the spectrum's bins.
        widest: bins, of the transpositions it is trained with, that are cut off at either end.
        voicing: built as ``voicing(bins)``: energies to how probable a pitch is; it is not trained here.  Null for none.

    Attributes:
        shift: semitones that the read-out is too high.

    Raises:
        ValueError: no bin is left.
    """

    shift: Tensor
    tones: Tensor

    def __init__(
        self,
        frontend: LogCQT,
        encoder: Callable[[int], PitchEncoder],
        widest: int = 16,
        voicing: Callable[[int], VoicedHead] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= 2 * widest < frontend.bins:
            raise ValueError(f"widest: expected 0 to {(frontend.bins - 1) // 2} bins, found {widest}")
        self.frontend, self.widest = frontend, widest
        self.sample_rate, self.hop_length = int(frontend.transform.sample_rate), frontend.transform.hop_length
        self.encoder = encoder(frontend.bins - 2 * widest)
        self.voicing = voicing(frontend.bins) if voicing else None
        if self.voicing is not None:
            self.voicing.requires_grad_(False)
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("tones", torch.empty(0), persistent=False)

    def forward(self, spectra: Tensor) -> Tensor:
        """Map cropped log spectra (N, F - 2 · widest) to logits (N, P)."""
        logits: Tensor = self.encoder(spectra)
        return logits

    def track(self, waveforms: Tensor) -> Pitch:
        """The pitch of waveforms (B, T) at `sample_rate`, L = 1 + ⌊T / hop_length⌋ frames."""
        return self.read(self.frontend(waveforms)[:, 0].mT)

    def step(self, waveforms: Tensor, state: State | None = None) -> tuple[Pitch, State]:
        """The pitch of those frames that are complete with the next samples (B, T), T at least 0."""
        spectra, state = self.frontend.step(waveforms, state)
        return self.read(spectra[:, 0].mT), state

    def finish(self, state: State) -> Pitch:
        """The pitch of the frames that are still missing when no more samples come."""
        return self.read(self.frontend.finish(state)[:, 0].mT)

    def read(self, spectra: Tensor) -> Pitch:
        """The pitch in log spectra (B, L, F) as the front end gives them; L may be 0.

        Raises:
            ValueError: the spectra have another shape.
        """
        if spectra.ndim != 3 or spectra.shape[-1] != self.frontend.bins:
            raise ValueError(
                f"spectra: expected shape (batch, frames, bins={self.frontend.bins}), found {tuple(spectra.shape)}"
            )
        if not spectra.shape[1]:
            return Pitch(spectra[..., 0], spectra[..., 0])
        chunks = [self._read(chunk) for chunk in spectra.flatten(0, 1).split(CHUNK)]
        semitones, confidence = (torch.cat(values).unflatten(0, spectra.shape[:2]) for values in zip(*chunks, strict=True))
        return Pitch(midi_to_hz(semitones), confidence)

    @torch.no_grad()
    def calibrate(self) -> None:
        """Set `shift` to how much too high harmonic tones from MIDI 60 to 71 are read, the median of all."""
        if not self.tones.numel():
            spectra = self.frontend(harmonic_tones(self.sample_rate).to(self.shift.device))
            self.tones = spectra[:, 0, :, spectra.shape[-1] // 2]
        found = local_average(self._probabilities(self.tones))
        apart = found - torch.tensor(TONES, device=found.device).repeat_interleave(TIMBRES)
        self.shift.copy_(apart.median())
        logger.debug("read %.2f semitones too high, known tones spread by %.2f", self.shift, apart.std())

    def _read(self, spectra: Tensor) -> tuple[Tensor, Tensor]:
        """Semitones and confidence (N) of frames (N, F)."""
        probabilities = self._probabilities(spectra)
        per_semitone = self.encoder.pitches // SEMITONES
        bins = round(self.shift.item() * per_semitone)
        probabilities = probabilities.roll(-bins, -1)
        semitones = local_average(probabilities) - (self.shift - bins / per_semitone)
        powers = 10 ** (spectra / 10)
        return semitones, self.voicing(powers) if self.voicing else peak_share(probabilities) * (1 - flatness(powers))

    def _probabilities(self, spectra: Tensor) -> Tensor:
        """Probabilities (N, P) of the pitches in frames (N, F), in the spectra's precision, as half of it would blur them."""
        logits: Tensor = self(crop(spectra, self.widest))
        return logits.to(spectra.dtype).softmax(-1)


def peak_share(probabilities: Tensor) -> Tensor:
    """How much of probabilities (*, P) lies less than a semitone from the highest one: (*)."""
    per_semitone = probabilities.shape[-1] // SEMITONES
    around = torch.arange(1 - per_semitone, per_semitone, device=probabilities.device)
    places = probabilities.argmax(-1, keepdim=True) + around
    inside = (places >= 0) & (places < probabilities.shape[-1])
    return (probabilities.gather(-1, places.clamp(0, probabilities.shape[-1] - 1)) * inside).sum(-1)


def flatness(powers: Tensor) -> Tensor:
    """Geometric over arithmetic mean of powers (*, F), as a share of white noise's, 1 at most: (*)."""
    return (powers.log().mean(-1).exp() / powers.mean(-1) / NOISE).clamp(max=1)


def harmonic_tones(sample_rate: int) -> Tensor:
    """Tones of `SECONDS`, `TIMBRES` a semitone of `TONES`, (N, T): harmonics of random levels and phases, always the same."""
    random = torch.Generator(device="cpu").manual_seed(0)
    time = torch.arange(round(SECONDS * sample_rate), device="cpu") / sample_rate
    hertz = midi_to_hz(torch.tensor(TONES, device="cpu").repeat_interleave(TIMBRES))
    angle = 2 * math.pi * hertz[:, None] * time
    levels, phases = (torch.rand(2, HARMONICS, len(hertz), 1, generator=random, device="cpu")).unbind()
    levels[0] = 1
    return (
        sum((levels[k] * torch.cos((k + 1) * angle + phases[k]) for k in range(HARMONICS)), torch.zeros_like(angle)) / HARMONICS
    )


def load_released(released: Mapping[str, Tensor], model: PESTO) -> None:
    """Put weights of the package pesto-pitch into a model of the same size.

    The package moves what it reads by whole bins; so does the model then.

    Args:
        released: the package's state: of the encoder, `shift`, and of the confidence where the model has a `voicing`.
        model: where they go.

    Raises:
        RuntimeError: names or shapes do not fit.
    """
    load_pesto(
        {name: weight for name, weight in released.items() if name.startswith("encoder.")}, cast(PESTOEncoder, model.encoder)
    )
    per_semitone = model.encoder.pitches // SEMITONES
    model.shift.fill_(round(released["shift"].item() * per_semitone) / per_semitone)
    if model.voicing is not None:
        parts = {"conv": "convolution", "linear": "linear"}
        names = [
            (f"confidence.{theirs}.{kind}", f"{ours}.{kind}") for theirs, ours in parts.items() for kind in ("weight", "bias")
        ]
        model.voicing.load_state_dict({ours: released[theirs] for theirs, ours in names})
