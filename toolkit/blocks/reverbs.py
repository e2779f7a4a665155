"""Learnable rooms."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from toolkit.blocks.synthesis import Effect, State
from toolkit.dsp.reverb import blocks_of, convolve, convolve_block, decaying_noise, parts_of

FEWEST_PARTS = 4  # a response that is so many blocks long, or longer, is convolved part by part


class _Convolution(Effect):
    """What has an impulse response of `length` samples."""

    length: int

    @abstractmethod
    def response(self) -> Tensor:
        """The impulse response (length)."""

    def step(self, audio: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map the next samples (B, T) to as many; the state is None at the start.

        Where nothing is learned, what is known of the response and of the blocks before is carried along while blocks are
        short and of one size.
        """
        samples = audio.shape[1]
        past = audio.new_zeros(audio.shape[0], self.length - 1) if state is None else state["past"]
        after = torch.cat([past, audio], 1)[:, samples:].detach()
        if torch.is_grad_enabled() or FEWEST_PARTS * samples > self.length:
            return convolve(audio, self.response().to(audio.dtype), past), {"past": after}
        if state is not None and "parts" in state and state["parts"].shape[1] == samples + 1:
            parts, blocks = state["parts"], state["blocks"]
        else:
            parts, blocks = parts_of(self.response().to(audio.dtype), samples), blocks_of(past, samples)
        wet, blocks = convolve_block(audio, past[:, -samples:], blocks, parts)
        return wet, {"past": after, "parts": parts, "blocks": blocks}


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
        self.sample_rate, self.length = sample_rate, taps
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
        self.length = taps
        self.taps = nn.Parameter(deviation * torch.randn(taps))

    def response(self) -> Tensor:
        """The impulse response (taps)."""
        return torch.cat([torch.ones_like(self.taps[:1]), self.taps[1:]])
