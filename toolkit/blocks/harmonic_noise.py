"""Synthesizers with a filter that changes from frame to frame: harmonics plus noise, and source and filter."""

import math

import torch
from torch import Tensor

from toolkit.blocks.synthesis import State, Synthesizer
from toolkit.dsp.control_rate import Curve, accumulate_phase, delay, silent_start, transition, upsample
from toolkit.dsp.filtered_noise import filter_frames, frequency_sampling_filter, overlap_add, white_noise
from toolkit.dsp.harmonics import normalise_below_nyquist, oscillator_bank, pulse_train


def exp_sigmoid(values: Tensor) -> Tensor:
    """2 · sigmoid(x)^ln 10 + 1e-7 of any shape, what DDSP makes amplitudes with (Engel et al. 2020)."""
    return 2 * values.sigmoid() ** math.log(10) + 1e-7


def noise_keys(f0: Tensor, training: bool) -> Tensor:
    """Which noise (B) each example of f0 (B, L) gets: any while training, else always the same."""
    if training:
        return torch.randint(2**31, f0.shape[:1]).to(f0.device)
    return torch.arange(f0.shape[0], device=f0.device)


class HarmonicNoise(Synthesizer):
    """Harmonic oscillators plus filtered noise (Engel et al. 2020, "DDSP", section 3; the baseline HpN of DDX7).

    The parameters are the amplitude of the whole, the K shares of the harmonics and the F magnitudes of the noise's filter,
    each scaled by 2 · sigmoid(x)^ln 10.  The noise is another one each time while training, and the same one otherwise.

    DDX7's released HpN cuts each frame's noise off at the end of the frame, and half of the filter with it; here it rings on,
    as in DDSP.

    Args:
        sample_rate: Hz.
        hop_length: samples of a frame.
        harmonics: K.
        bands: F, from 0 Hz to half the sample rate.
        curve: how amplitudes go from frame to frame: under Hann windows as in DDSP, or held as in DDX7's HpN.
        noise_bias: added to the parameters of the noise; DDSP starts soft with it, DDX7's HpN has none.
    """

    ratios: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        hop_length: int = 64,
        harmonics: int = 100,
        bands: int = 65,
        curve: Curve = "hann",
        noise_bias: float = -5.0,
    ) -> None:
        super().__init__(sample_rate, hop_length, latency=max(hop_length // 2, bands - 1))
        self.harmonics, self.bands, self.curve, self.noise_bias = harmonics, bands, curve, noise_bias
        self.parameters_in = 1 + harmonics + bands
        self.register_buffer("ratios", torch.ones(1, dtype=torch.float64), persistent=False)

    def render(self, parameters: Tensor, f0: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Render the next frames (B, L, 1 + K + F) and (B, L), see `Synthesizer`."""
        total, shares, magnitudes = parameters.split([1, self.harmonics, self.bands], -1)
        amplitudes = exp_sigmoid(total) * normalise_below_nyquist(exp_sigmoid(shares), f0, self.sample_rate)
        if state is None:
            state = self._start(amplitudes, f0)
            frequencies = silent_start(upsample(f0[..., None], self.hop_length, state["f0"])[:, 0], self.hop_length // 2)
        else:
            frequencies = upsample(f0[..., None], self.hop_length, state["f0"])[:, 0]
        phases, end = accumulate_phase(frequencies, self.ratios, self.sample_rate, state["phases"])
        tones = oscillator_bank(phases[:, 0], amplitudes, state["amplitudes"], self.curve)

        responses = frequency_sampling_filter(exp_sigmoid(magnitudes + self.noise_bias))
        noise = white_noise(state["keys"], state["position"], tones.shape[-1], tones.dtype)
        pieces = filter_frames(noise.unflatten(-1, (-1, self.hop_length)), responses)
        breath, tail = overlap_add(pieces, self.hop_length, state["tail"])

        tones, held_tones = delay(tones, state["held_tones"])
        breath, held_breath = delay(breath, state["held_breath"])
        carried = {
            "phases": end,
            "f0": f0[:, -1:],
            "amplitudes": amplitudes[:, -1],
            "tail": tail,
            "held_tones": held_tones,
            "held_breath": held_breath,
            "keys": state["keys"],
            "position": state["position"] + tones.shape[-1],
        }
        return tones + breath, {name: value.detach() for name, value in carried.items()}

    def _start(self, amplitudes: Tensor, f0: Tensor) -> State:
        batch, reach = f0.shape[0], self.bands - 1
        return {
            "phases": f0.new_zeros(batch, 1, dtype=torch.float64),
            "f0": f0[:, :1],
            "amplitudes": amplitudes[:, 0],
            "tail": amplitudes.new_zeros(batch, 2 * reach - 1),
            "held_tones": amplitudes.new_zeros(batch, self.latency - self.hop_length // 2),
            "held_breath": amplitudes.new_zeros(batch, self.latency - reach),
            "keys": noise_keys(f0, self.training),
            "position": torch.zeros((), dtype=torch.int64, device=f0.device),
        }


class SourceFilter(Synthesizer):
    """A pulse train and noise through one filter that changes with time, as a voice or a reed is made.

    The parameters are the strengths of pulses and noise and the F magnitudes of the filter, each scaled by
    2 · sigmoid(x)^ln 10; all of them are interpolated between the middles of frames.

    Args:
        sample_rate: Hz.
        hop_length: samples of a frame.
        bands: F, from 0 Hz to half the sample rate.
    """

    ratios: Tensor

    def __init__(self, sample_rate: int = 16000, hop_length: int = 64, bands: int = 65) -> None:
        super().__init__(sample_rate, hop_length, latency=hop_length // 2 + bands - 1)
        self.bands = bands
        self.parameters_in = 2 + bands
        self.register_buffer("ratios", torch.ones(1, dtype=torch.float64), persistent=False)

    def render(self, parameters: Tensor, f0: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Render the next frames (B, L, 2 + F) and (B, L), see `Synthesizer`."""
        gains, magnitudes = exp_sigmoid(parameters).split([2, self.bands], -1)
        controls = torch.cat([gains, f0[..., None]], -1)
        responses = frequency_sampling_filter(magnitudes)
        begins = state is None
        if state is None:
            state = self._start(controls, responses)
        samples = upsample(controls, self.hop_length, state["controls"])
        if begins:
            samples = silent_start(samples, self.hop_length // 2)
        pulses, breath, frequencies = samples.unbind(1)
        phases, end = accumulate_phase(frequencies, self.ratios, self.sample_rate, state["phases"])
        noise = white_noise(state["keys"], state["position"], frequencies.shape[-1], frequencies.dtype)
        source = pulses * pulse_train(phases[:, 0], frequencies, self.sample_rate) + breath * noise

        pieces = source.unflatten(-1, (-1, self.hop_length))
        way = transition(self.hop_length, "linear", pieces)
        before = torch.cat([state["response"][:, None], responses[:, :-1]], 1)
        rung = filter_frames(pieces * (1 - way), before) + filter_frames(pieces * way, responses)
        audio, tail = overlap_add(rung, self.hop_length, state["tail"])
        carried = {
            "phases": end,
            "controls": controls[:, -1],
            "response": responses[:, -1],
            "tail": tail,
            "keys": state["keys"],
            "position": state["position"] + audio.shape[-1],
        }
        return audio, {name: value.detach() for name, value in carried.items()}

    def _start(self, controls: Tensor, responses: Tensor) -> State:
        return {
            "phases": controls.new_zeros(controls.shape[0], 1, dtype=torch.float64),
            "controls": controls[:, 0],
            "response": responses[:, 0],
            "tail": controls.new_zeros(controls.shape[0], responses.shape[-1] - 1),
            "keys": noise_keys(controls, self.training),
            "position": torch.zeros((), dtype=torch.int64, device=controls.device),
        }
