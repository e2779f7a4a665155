"""A plucked string."""

import math

import torch
from torch import Tensor

from toolkit.blocks.harmonic_noise import exp_sigmoid, noise_keys
from toolkit.blocks.synthesis import State, Synthesizer
from toolkit.dsp.control_rate import silent_start, upsample
from toolkit.dsp.filtered_noise import white_noise
from toolkit.dsp.karplus_strong import pluck


class KarplusStrong(Synthesizer):
    """A string that noise excites (Karplus & Strong 1983), with gradients to how it is plucked, dies away and is tuned.

    The parameters are the strength of the noise, 2 · sigmoid(x)^ln 10, how slowly the string dies away, and how dull it is.

    Args:
        sample_rate: Hz.
        hop_length: samples of a frame.
        lowest: Hz; a lower pitch sounds as this one.
        highest: Hz; a higher pitch sounds as this one.
        longest: seconds in which the slowest sound falls by 60 dB.

    Raises:
        ValueError: the pitches are not within 0 to a third of the sample rate.
    """

    parameters_in = 3

    def __init__(
        self,
        sample_rate: int = 16000,
        hop_length: int = 64,
        lowest: float = 40.0,
        highest: float = 2000.0,
        longest: float = 10.0,
    ) -> None:
        super().__init__(sample_rate, hop_length, latency=hop_length // 2)
        if not 0 < lowest < highest <= sample_rate / 3:
            raise ValueError(f"lowest, highest: expected 0 to {sample_rate / 3:g} Hz in order, found {lowest:g}, {highest:g}")
        self.lowest, self.highest, self.longest = lowest, highest, longest
        self.memory = math.ceil(sample_rate / lowest) + 3

    def render(self, parameters: Tensor, f0: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Render the next frames (B, L, 3) and (B, L), see `Synthesizer`."""
        strength, slowness, dullness = parameters.unbind(-1)
        pitch = f0.clamp(self.lowest, self.highest)
        fall = torch.exp(-math.log(1000) / (self.longest * slowness.sigmoid() * pitch))  # over one period
        controls = torch.stack([exp_sigmoid(strength), self.sample_rate / pitch, fall, dullness.sigmoid() / 2], -1)
        begins = state is None
        if state is None:
            state = {
                "controls": controls[:, 0],
                "line": controls.new_zeros(len(f0), self.memory),
                "keys": noise_keys(f0, self.training),
                "position": torch.zeros((), dtype=torch.int64, device=f0.device),
            }
        strengths, periods, gains, damping = upsample(controls, self.hop_length, state["controls"]).unbind(1)
        noise = white_noise(state["keys"], state["position"], strengths.shape[-1], strengths.dtype)
        excitation = strengths * noise
        if begins:
            excitation = silent_start(excitation, self.latency)
        audio, line = pluck(excitation, periods, gains, damping, state["line"])
        carried = {
            "controls": controls[:, -1],
            "line": line,
            "keys": state["keys"],
            "position": state["position"] + audio.shape[-1],
        }
        return audio, {name: value.detach() for name, value in carried.items()}
