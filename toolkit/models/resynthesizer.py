"""A performance played again by a synthesizer that was taught to sound like an instrument."""

from collections.abc import Callable

import torch
from torch import Tensor

from toolkit.blocks.synthesis import Controller, Effect, State, Synthesizer
from toolkit.data.performances import Performance
from toolkit.models.base import SynthesisModel

HIGHEST_NOTE = 127.0  # of MIDI
RANGE = 80.0  # dB
PARTS = ("controller", "synthesizer", "effect")


class Resynthesizer(SynthesisModel):
    """Pitch and loudness → Controller → Synthesizer → Effect (Engel et al. 2020, "DDSP"; Caspe et al. 2022, "DDX7").

    What the controller reads of a frame is its MIDI pitch / 127 (0 where there is none) and its loudness / 80 dB + 1.  Where
    there is no pitch, the synthesizer goes on at the last there was.

    Args:
        controller: conditions to parameters, built as ``controller(conditions, parameters)``.
        synthesizer: parameters and pitch to sound, built as ``synthesizer(sample_rate, hop_length)``.
        effect: sound to sound; null for none.
        sample_rate: Hz.
        hop_length: samples of a frame.
    """

    def __init__(
        self,
        controller: Callable[[int, int], Controller],
        synthesizer: Callable[[int, int], Synthesizer],
        effect: Effect | None = None,
        sample_rate: int = 16000,
        hop_length: int = 64,
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.reads = frozenset({"f0", "loudness"})
        self.synthesizer = synthesizer(sample_rate, hop_length)
        self.controller = controller(len(self.reads), self.synthesizer.parameters_in)
        self.effect = effect
        self.latency = self.synthesizer.latency

    def forward(self, performance: Performance) -> Tensor:
        """Render (B, L · hop_length)."""
        parameters = self.controller(conditions(performance))
        f0, _ = held(performance.f0)
        audio = self.synthesizer(parameters, f0)
        return audio if self.effect is None else self.effect(audio)

    def step(self, performance: Performance, state: State | None = None) -> tuple[Tensor, State]:
        """Render the next frames as (B, L · hop_length), see `SynthesisModel`; the first `latency` samples are silent."""
        controller, synthesizer, effect = (_of(part, state) for part in PARTS)
        parameters, controller = self.controller.step(conditions(performance), controller)
        f0, pitch = held(performance.f0, None if state is None else state["pitch"])
        audio, synthesizer = self.synthesizer.step(parameters, f0, synthesizer)
        waiting = torch.tensor(self.latency) if state is None else state["waiting"]
        if waiting > 0:  # what `forward` drops must not be heard in the room either
            audio = torch.where(torch.arange(audio.shape[1], device=audio.device) < waiting.to(audio.device), 0, audio)
        if self.effect is not None:
            audio, effect = self.effect.step(audio, effect)
        carried = dict(zip(PARTS, (controller, synthesizer, effect), strict=True))
        flat = {f"{part}/{name}": value for part, own in carried.items() for name, value in (own or {}).items()}
        waiting = (waiting - audio.shape[1]).clamp(min=0)
        return audio, {**flat, "parameters": parameters[:, -1:], "pitch": pitch, "waiting": waiting}

    def finish(self, state: State) -> Tensor:
        """The last `latency` samples (B, latency), see `SynthesisModel`; the last frame lasts until they have come."""
        more = -(-self.latency // self.hop_length)
        parameters, f0 = state["parameters"].expand(-1, more, -1), state["pitch"].expand(-1, more)
        audio, _ = self.synthesizer.step(parameters, f0, _of("synthesizer", state))
        if self.effect is not None:
            audio, _ = self.effect.step(audio, _of("effect", state))
        return audio[:, : self.latency]


def conditions(performance: Performance) -> Tensor:
    """What DDX7's controllers read of each frame, (B, L, 2): pitch and loudness, each from 0 to about 1."""
    voiced = performance.f0 > 0
    octaves = torch.log2(torch.where(voiced, performance.f0, 440.0) / 440)
    pitch = torch.where(voiced, (69 + 12 * octaves) / HIGHEST_NOTE, 0)
    return torch.stack([pitch, performance.loudness / RANGE + 1], -1)


def held(f0: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Let the last pitch last where there is none.

    Args:
        f0: (B, L), Hz, 0 for none.
        before: (B, 1), the last pitch of the frames before; None for none.

    Returns:
        F0 (B, L), 0 only before the first pitch of all; and the last of it, (B, 1).
    """
    known = torch.cat([torch.zeros_like(f0[:, :1]) if before is None else before, f0], 1)
    places = torch.arange(known.shape[1], device=f0.device)
    last = torch.where(known > 0, places, 0).cummax(1).values
    lasting = known.gather(1, last)
    return lasting[:, 1:], lasting[:, -1:]


def _of(part: str, state: State | None) -> State | None:
    """What one part has carried along."""
    if state is None:
        return None
    return {name.removeprefix(f"{part}/"): value for name, value in state.items() if name.startswith(f"{part}/")}
