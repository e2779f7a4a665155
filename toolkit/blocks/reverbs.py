"""Learnable rooms."""

import torch
from torch import Tensor, nn

from toolkit.blocks.synthesis import Effect, State
from toolkit.dsp.reverb import convolve, decaying_noise


class _Convolution(Effect):
    """What has an impulse response."""

    def response(self) -> Tensor:
        """(N)."""
        raise NotImplementedError

    def step(self, audio: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map the next samples (B, T) to as many; the state is None at the start."""
        response = self.response()
        tail = audio.new_zeros(len(audio), len(response) - 1) if state is None else state["tail"]
        wet, tail = convolve(audio, response.to(audio.dtype), tail)
        return wet, {"tail": tail.detach()}


class NoiseReverb(_Convolution):
    """The sound and noise that dies away, both noise and decay learned (DDX7's released code; 16,002 parameters).

    Args:
        taps: samples of the response, 1 s of 16 kHz.
        sample_rate: Hz.
        decay: at first; the higher, the slower the noise dies away.
        wet: at first; the noise's strength is its sigmoid.
    """

    def __init__(self, taps: int = 16000, sample_rate: int = 16000, decay: float = 5.0, wet: float = 0.0) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.noise = nn.Parameter(2 * torch.rand(taps) - 1)
        self.decay = nn.Parameter(torch.tensor(float(decay)))
        self.wet = nn.Parameter(torch.tensor(float(wet)))

    def response(self) -> Tensor:
        """The impulse response (taps)."""
        return decaying_noise(self.noise, self.decay, self.wet, self.sample_rate)


class ImpulseReverb(_Convolution):
    """The sound and a response whose every tap is learned (Engel et al. 2020, "DDSP", section 3.6).

    Args:
        taps: samples of the response, 3 s of 16 kHz; the first belongs to the sound itself and is not learned.
        deviation: of the taps at first.
    """

    def __init__(self, taps: int = 48000, deviation: float = 1e-6) -> None:
        super().__init__()
        self.taps = nn.Parameter(deviation * torch.randn(taps))

    def response(self) -> Tensor:
        """The impulse response (taps)."""
        return torch.cat([torch.ones_like(self.taps[:1]), self.taps[1:]])
