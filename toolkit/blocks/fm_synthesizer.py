"""FM synthesis from frames of output levels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from toolkit.blocks.synthesis import State, Synthesizer
from toolkit.dsp.control_rate import accumulate_phase, audible, silent_start, upsample
from toolkit.dsp.fm import PATCHES, Patch, modulate


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
        distinct = sorted(set(self.patch.ratios))  # operators of one ratio have one phase
        self.which = [distinct.index(ratio) for ratio in self.patch.ratios]
        self.register_buffer("ratios", torch.tensor(distinct, dtype=torch.float64), persistent=False)

    def levels(self, parameters: Tensor, f0: Tensor) -> Tensor:
        """Output levels (B, L, operators), 0 to max_level, that parameters stand for at f0 (B, L)."""
        levels = self.max_level * parameters.sigmoid()
        if not self.antialias:
            return levels
        frequencies = f0[..., None] * self.ratios[self.which].to(f0.dtype)
        return levels * audible(frequencies, self.sample_rate).to(levels.dtype)

    def step(self, parameters: Tensor, f0: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Render the next frames (B, L, operators) and (B, L), see `Synthesizer`."""
        self.check(parameters, f0)
        controls = torch.cat([self.levels(parameters, f0), f0[..., None]], -1)
        start = controls.new_zeros(len(f0), len(self.ratios), dtype=torch.float64) if state is None else state["phases"]
        samples = upsample(controls, self.hop_length, controls[:, 0] if state is None else state["controls"])
        if state is None:  # nothing moves before the middle of the first frame
            samples = silent_start(samples, self.latency)
        phases, end = accumulate_phase(samples[:, -1], self.ratios, self.sample_rate, start)
        each = phases.unbind(1)
        audio = modulate([each[which] for which in self.which], samples[:, :-1].unbind(1), self.patch) / self.max_level
        return audio, {"phases": end, "controls": controls[:, -1].detach()}
