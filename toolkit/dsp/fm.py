"""Frequency modulation as the Yamaha DX7 does it: operators, each a sine whose phase others may move.

J. Chowning, "The synthesis of complex audio spectra by means of frequency modulation", JAES 21(7), 1973.  The patches are those
of Caspe, McPherson & Sandler, "DDX7: Differentiable FM synthesis of musical instrument sounds", ISMIR 2022 (released code, in
which no operator feeds back into itself).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from toolkit.dsp.sine import cosine, sine

MOST_OPERATORS = 6
CACHEFUL = 2**15  # samples of each operator that are worked on at a time


@dataclass(frozen=True)
class Patch:
    """Operators, numbered from 1 as on the DX7, and how they are wired.

    Args:
        ratios: frequency of each operator, as a multiple of the fundamental.
        modulations: pairs (modulator, modulated).
        carriers: the operators that are heard.

    Raises:
        ValueError: an operator that is not there, more than six, no carrier, or modulation in a circle.
    """

    ratios: tuple[float, ...]
    modulations: tuple[tuple[int, int], ...]
    carriers: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.operators <= MOST_OPERATORS:
            raise ValueError(f"ratios: expected those of 1 to {MOST_OPERATORS} operators, found {self.operators}")
        wired = {operator for pair in self.modulations for operator in pair} | set(self.carriers)
        strangers = sorted(wired - set(range(1, self.operators + 1)))
        if strangers or not self.carriers:
            raise ValueError(f"modulations, carriers: expected operators 1 to {self.operators}, found {strangers or 'none'}")
        if len(self.order) < self.operators:
            raise ValueError("modulations: expected no operator to modulate itself by way of others, found a circle")

    @property
    def operators(self) -> int:
        """How many there are."""
        return len(self.ratios)

    def modulators(self, operator: int) -> tuple[int, ...]:
        """The operators that modulate this one."""
        return tuple(source for source, target in self.modulations if target == operator)

    def modulated(self, operator: int) -> tuple[int, ...]:
        """The operators that this one modulates."""
        return tuple(target for source, target in self.modulations if source == operator)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The operators in topological order, each after those that modulate it; those of a circle are left out."""
        done: list[int] = []
        waiting = list(range(self.operators, 0, -1))
        while ready := [operator for operator in waiting if set(self.modulators(operator)) <= set(done)]:
            done += ready
            waiting = [operator for operator in waiting if operator not in ready]
        return tuple(done)


STRINGS = ((6, 5), (5, 4), (4, 3), (2, 1))
FLUTE = ((6, 5), (4, 3), (5, 1), (3, 1), (2, 1))
BRASS = ((6, 5), (5, 4), (4, 1), (3, 1), (2, 1))
ABLATED = ((4, 3), (3, 1), (2, 1))

PATCHES = {
    "strings": Patch((1, 1, 1, 1, 3, 14), STRINGS, (1, 3)),
    "flute": Patch((1, 1, 1, 2, 2, 1.5), FLUTE, (1,)),
    "brass": Patch((1, 1, 1, 1, 3.2, 8.5), BRASS, (1,)),
    "ablated_brass": Patch((1, 1, 1, 3.2), ABLATED, (1,)),
    "ablated_flute": Patch((1, 1, 1, 2), ABLATED, (1,)),
    "1stack2": Patch((1, 1), ((2, 1),), (1,)),
    "2stack2": Patch((1, 1, 1, 1), ((4, 3), (2, 1)), (1, 3)),
    "1stack4": Patch((1, 1, 3, 14), ((4, 3), (3, 2), (2, 1)), (1,)),
}


def render(phases: Tensor, levels: Tensor, advances: Tensor, ways: Tensor, patch: Patch, full: float = 1.0) -> Tensor:
    """The sum of the carriers of a patch, in frames in which phases and levels move along given curves.

    An operator gives level · sin(2π · (phase + outputs of its modulators)): an output of 1 moves a phase by a whole cycle, as
    on the DX7, so that a level of I / 2π is a modulation index of I.  Samples are made as many at a time as a processor's
    cache holds; none are kept for the gradient (of first order), which makes them once more.

    Args:
        phases: cycles of each operator, (operators, B, L, A): factors of the curves in `advances`, which are then added.
        levels: of each operator, (operators, B, L, W): factors of the curves in `ways`.
        advances: (A, hop_length).
        ways: (W, hop_length).
        patch: how the operators are wired.
        full: level that is 1 in what comes out.

    Returns:
        (B, L · hop_length).
    """
    given = phases.flatten(1, 2), levels.flatten(1, 2), advances, ways, patch, full, levels.shape[1]
    return _Rendering.apply(*given) if torch.is_grad_enabled() else _rendered(*given)


def _rendered(phases: Tensor, levels: Tensor, advances: Tensor, ways: Tensor, patch: Patch, full: float, batch: int) -> Tensor:
    """As `render`, batch and frames of what moves being one axis."""
    audio = levels.new_empty(batch, levels.shape[1] // batch * ways.shape[1])
    pieces = audio.view(-1, ways.shape[1])
    curves = _in_radians(advances, patch), _in_radians(ways, patch)
    for frames, work in _workspaces(pieces, patch.operators, keep=False):
        work.play(phases[:, frames], levels[:, frames], *curves, patch)
        work.sum_carriers(patch, out=pieces[frames]).div_(2 * math.pi * full)
    return audio


class _Rendering(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, phases: Tensor, levels: Tensor, advances: Tensor, ways: Tensor, patch: Patch, full: float, batch: int
    ) -> Tensor:
        ctx.save_for_backward(phases, levels, advances, ways)
        ctx.patch, ctx.full = patch, full
        return _rendered(phases, levels, advances, ways, patch, full, batch)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        phases, levels, advances, ways = ctx.saved_tensors
        gradient = gradient.reshape(-1, ways.shape[1])
        to_phases, to_levels = torch.empty_like(phases), torch.empty_like(levels)
        curves = _in_radians(advances, ctx.patch), _in_radians(ways, ctx.patch)
        for frames, work in _workspaces(gradient, ctx.patch.operators, keep=True):
            work.play(phases[:, frames], levels[:, frames], *curves, ctx.patch)
            work.backward(gradient[frames] / (2 * math.pi * ctx.full), ctx.patch)
            if ctx.needs_input_grad[0]:
                to_phases[:, frames] = torch.bmm(work.angles, curves[0].mT)
            to_levels[:, frames] = torch.bmm(work.strengths, curves[1].mT)
        return to_phases if ctx.needs_input_grad[0] else None, to_levels, None, None, None, None, None


def _in_radians(curves: Tensor, patch: Patch) -> Tensor:
    """Curves (A, hop_length), the same for all operators: (operators, A, hop_length)."""
    return (2 * math.pi * curves).expand(patch.operators, -1, -1)


class _Workspace(NamedTuple):
    """Where some frames of all operators are worked out, (operators, N, hop_length) each.

    Attributes:
        angles: in radians.
        sines: of the angles; the same place, if they need not be kept.
        strengths: the operators' levels, as radians of modulation.
    """

    angles: Tensor
    sines: Tensor
    strengths: Tensor

    def play(self, phases: Tensor, levels: Tensor, advances: Tensor, ways: Tensor, patch: Patch) -> None:
        """Work everything out, the curves (operators, …, hop_length) being in radians."""
        torch.bmm(phases, advances, out=self.angles)
        torch.bmm(levels, ways, out=self.strengths)
        angles, sines, strengths = (place.unbind() for place in self)
        for number in patch.order:
            own = number - 1
            sine(angles[own], out=sines[own])
            for modulated in patch.modulated(number):
                angles[modulated - 1].addcmul_(strengths[own], sines[own])

    def sum_carriers(self, patch: Patch, out: Tensor) -> Tensor:
        """What is heard (N, hop_length), in radians of modulation, put into `out`."""
        first, *others = (carrier - 1 for carrier in patch.carriers)
        torch.mul(self.strengths[first], self.sines[first], out=out)
        for carrier in others:
            out.addcmul_(self.strengths[carrier], self.sines[carrier])
        return out

    def backward(self, gradient: Tensor, patch: Patch) -> None:
        """Put the gradients to angles and strengths in their place, given that to the sum of the carriers."""
        angles, sines, strengths = (place.unbind() for place in self)
        for number in reversed(patch.order):
            own = number - 1
            heard = [gradient] * patch.carriers.count(number) + [angles[modulated - 1] for modulated in patch.modulated(number)]
            arrived = sum(heard[1:], heard[0]) if heard else torch.zeros_like(gradient)
            cosine(angles[own], out=angles[own])
            angles[own].mul_(strengths[own]).mul_(arrived)
            torch.mul(sines[own], arrived, out=strengths[own])


def _workspaces(samples: Tensor, operators: int, keep: bool) -> Iterator[tuple[slice, _Workspace]]:
    """Slices of the frames (N, hop_length), one after the other, with room to compute in; all at once on a GPU."""
    count, hop_length = samples.shape
    if samples.device.type != "cpu" or torch.compiler.is_compiling():
        yield slice(None), _workspace(samples, operators, count, keep)
        return
    size, work = max(1, CACHEFUL // hop_length), None
    for first in range(0, count, size):
        frames = min(size, count - first)
        if work is None or work.angles.shape[1] != frames:
            work = _workspace(samples, operators, frames, keep)
        yield slice(first, first + size), work


def _workspace(like: Tensor, operators: int, frames: int, keep: bool) -> _Workspace:
    angles, strengths = like.new_empty((2, operators, frames, like.shape[1]))
    return _Workspace(angles, torch.empty_like(angles) if keep else angles, strengths)
