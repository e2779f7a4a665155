"""FM synthesis from frames of output levels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from toolkit.blocks.synthesis import State, Synthesizer
from toolkit.dsp import fm
from toolkit.dsp.control_rate import audible, transition
from toolkit.dsp.fm import PATCHES, Patch


class FMSynthesizer(Synthesizer):
    """Up to six sine operators that modulate each other's phase (Caspe et al. 2022, "DDX7").

    The parameters are one output level an operator, max_level · sigmoid(parameter); levels and pitch are interpolated between
    the middles of frames, and the sum of the carriers is divided by max_level.

    Args:
        sample_rate: Hz.
        hop_length: samples of a frame.
        patch: one of those of the paper (`toolkit.dsp.fm.PATCHES`), or "custom" for what the next three say.
        ratios: frequency of each operator, as a multiple of the pitch; of a named patch too, if others are wanted.
        modulations: pairs (modulator, modulated), operators numbered from 1.
        carriers: the operators that are heard.
        max_level: the loudest an operator can be, in cycles of phase: a modulation index of 2π · max_level.
        antialias: silence operators whose own frequency is half the sample rate or more (the paper lets them alias).

    Raises:
        ValueError: an unknown patch, or one that cannot be wired.
    """

    ratios: Tensor
    ways: Tensor
    advances: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        hop_length: int = 64,
        patch: str = "strings",
        ratios: Sequence[float] | None = None,
        modulations: Sequence[tuple[int, int]] = (),
        carriers: Sequence[int] = (1,),
        max_level: float = 2.0,
        antialias: bool = True,
    ) -> None:
        super().__init__(sample_rate, hop_length, latency=hop_length // 2)
        if patch != "custom" and patch not in PATCHES:
            raise ValueError(f"patch: expected custom or one of {', '.join(PATCHES)}, found {patch!r}")
        if patch == "custom":
            self.patch = Patch(tuple(ratios or ()), tuple((a, b) for a, b in modulations), tuple(carriers))
        else:
            named = PATCHES[patch]
            self.patch = Patch(named.ratios if ratios is None else tuple(ratios), named.modulations, named.carriers)
        self.max_level, self.antialias = max_level, antialias
        self.parameters_in = self.patch.operators
        self.register_buffer("ratios", torch.tensor(self.patch.ratios, dtype=torch.float64), persistent=False)
        way = transition(hop_length, "linear", self.ratios)
        ways = torch.stack([torch.ones_like(way), way])  # of what was before a frame, and of what comes to it
        self.register_buffer("ways", ways, persistent=False)
        self.register_buffer("advances", torch.cat([ways[:1], ways.cumsum(-1)]), persistent=False)

    def levels(self, parameters: Tensor, f0: Tensor) -> Tensor:
        """Output levels (B, L, operators), 0 to max_level, that parameters stand for at f0 (B, L)."""
        levels = self.max_level * parameters.sigmoid()
        if not self.antialias:
            return levels
        frequencies = f0[..., None] * self.ratios.to(f0.dtype)
        return levels * audible(frequencies, self.sample_rate).to(levels.dtype)

    def render(self, parameters: Tensor, f0: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Render the next frames (B, L, operators) and (B, L), see `Synthesizer`."""
        levels = self.levels(parameters, f0)
        level_moves = _moves(levels, None if state is None else state["levels"])
        pitch_moves = _moves(f0, None if state is None else state["f0"])
        begin, end = self._phases(pitch_moves.double() / self.sample_rate, state)
        turns = self.ratios.to(f0.dtype)[:, None, None, None] * (pitch_moves / self.sample_rate)
        phases = torch.cat([begin.to(f0.dtype)[..., None], turns], -1)
        curves = self.advances.to(f0.dtype), self.ways.to(f0.dtype)
        audio = fm.render(phases, level_moves.permute(2, 0, 1, 3), *curves, self.patch, self.max_level)
        if state is None:  # nothing moves before the middle of the first frame
            audio[:, : self.latency] = 0
        return audio, {"phases": end, "levels": levels[:, -1:].detach(), "f0": f0[:, -1:].detach()}

    def _phases(self, cycles: Tensor, state: State | None) -> tuple[Tensor, Tensor]:
        """Phases (operators, B, L) before each frame and (operators, B) after the last, exact however long the sound is.

        Cycles a sample (B, L, 2) are as of `_moves`; the first frame begins in its middle.
        """
        ratios, steps = self.ratios[:, None], cycles @ self.ways.sum(-1)
        gone = steps.cumsum(-1)
        start = -self.latency * ratios * cycles[:, 0, 0] if state is None else state["phases"]
        begin = torch.addcmul(start[..., None], ratios[..., None], gone - steps)
        end = start + ratios * gone[:, -1]
        return begin.remainder(1), end.detach().remainder(1)


def _moves(controls: Tensor, past: Tensor | None) -> Tensor:
    """Controls (B, L, …) in the frame before each, and what comes to them in it, (B, L, …, 2)."""
    before = torch.cat([controls[:, :1] if past is None else past, controls[:, :-1]], 1)
    return torch.stack([before, controls - before], -1)
