"""The slots of synthesis: what a block promises to whoever plugs it in.

A differentiable synthesizer is Controller → Synthesizer → Effect (Engel et al. 2020, "DDSP").  Each of them also runs in blocks
of any size: `step` takes what it carried away from the block before, and what comes out of all blocks is what comes out of the
whole.  Letters of the shapes: B batch, L frames, T samples, P parameters of a synthesizer in each frame.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from toolkit.blocks.slots import check_shape
from toolkit.dsp.precision import full_precision

State = dict[str, Tensor]  # what a block carries from one call of `step` to the next


class Controller(nn.Module, ABC):
    """Conditions such as pitch and loudness to parameters; built as ``Block(conditions, parameters, **options)``.

    Args:
        conditions: values of each frame that come in.
        parameters: P, values of each frame that come out, before the synthesizer scales them.
    """

    def __init__(self, conditions: int, parameters: int) -> None:
        super().__init__()
        self.conditions, self.parameters_out = conditions, parameters

    def forward(self, conditions: Tensor) -> Tensor:
        """Map (B, L, conditions) to (B, L, P)."""
        return self.step(conditions)[0]

    @abstractmethod
    def step(self, conditions: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map the next frames (B, L, conditions) to (B, L, P); the state is None at the start.

        Raises:
            ValueError: the controller looks ahead, so that it cannot run in blocks.
        """


class Synthesizer(nn.Module, ABC):
    """Parameters and pitch to sound; built as ``Block(sample_rate, hop_length, **options)``.

    Args:
        sample_rate: Hz.
        hop_length: samples of a frame.
        latency: samples that `step` is late, because a control or a filter looks ahead.

    Attributes:
        parameters_in: P, values that are wanted for each frame.

    Raises:
        ValueError: the rate or the hop is not positive.
    """

    parameters_in: int

    def __init__(self, sample_rate: int, hop_length: int, latency: int = 0) -> None:
        super().__init__()
        if hop_length < 1 or sample_rate < 1:
            raise ValueError(f"sample_rate, hop_length: expected positive numbers, found {sample_rate}, {hop_length}")
        self.sample_rate, self.hop_length, self.latency = sample_rate, hop_length, latency

    def forward(self, parameters: Tensor, f0: Tensor) -> Tensor:
        """Render parameters (B, L, P), any real numbers, at f0 (B, L) in Hz, as (B, L · hop_length)."""
        self.check(parameters, f0)
        frames = f0.shape[1]
        more = -(-self.latency // self.hop_length)  # the last frame lasts until what is late has come
        lasting = parameters[:, -1:].expand(-1, more, -1), f0[:, -1:].expand(-1, more)
        audio, _ = self.step(torch.cat([parameters, lasting[0]], 1), torch.cat([f0, lasting[1]], 1))
        return audio[:, self.latency : self.latency + frames * self.hop_length]

    def step(self, parameters: Tensor, f0: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Render the next frames (B, L, P) and (B, L) as (B, L · hop_length); the state is None at the start.

        The first `latency` samples of all blocks in a row are to be dropped; then comes what `forward` gives.  Repeating the
        last frame brings the rest.  Everything is computed in f0's precision, also under autocast.

        Raises:
            ValueError: the shapes are others than these.
        """
        self.check(parameters, f0)
        with full_precision(f0):
            return self.render(parameters.to(f0.dtype), f0, state)

    @abstractmethod
    def render(self, parameters: Tensor, f0: Tensor, state: State | None) -> tuple[Tensor, State]:
        """What `step` does, for a subclass to bring; shapes are checked, and both are of one type."""

    def check(self, parameters: Tensor, f0: Tensor) -> None:
        """Hold the input against the contract.

        Raises:
            ValueError: naming the expected and the found shape.
        """
        check_shape(parameters, "parameters", batch=None, frames=None, parameters=self.parameters_in)
        check_shape(f0, "f0", batch=parameters.shape[0], frames=parameters.shape[1])


class Effect(nn.Module, ABC):
    """Sound to sound of the same length."""

    def forward(self, audio: Tensor) -> Tensor:
        """Map (B, T) to (B, T); what rings on after the end is cut off."""
        return self.step(audio)[0]

    @abstractmethod
    def step(self, audio: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map the next samples (B, T) to as many; the state is None at the start."""
