"""Frequency modulation as the Yamaha DX7 does it: operators, each a sine whose phase others may move.

J. Chowning, "The synthesis of complex audio spectra by means of frequency modulation", JAES 21(7), 1973.  The patches are those
of Caspe, McPherson & Sandler, "DDX7: Differentiable FM synthesis of musical instrument sounds", ISMIR 2022 (released code, in
which no operator feeds back into itself).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

MOST_OPERATORS = 6


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


def modulate(phases: Sequence[Tensor], levels: Sequence[Tensor], patch: Patch) -> Tensor:
    """The sum of the carriers of a patch.

    An operator gives level · sin(2π · (phase + outputs of its modulators)): an output of 1 moves a phase by a whole cycle, as
    on the DX7, so that a level of I / 2π is a modulation index of I.

    Args:
        phases: of each operator, (B, T), cycles.
        levels: of each operator, (B, T).
        patch: how the operators are wired.

    Returns:
        (B, T).
    """
    outputs: dict[int, Tensor] = {}
    for operator in patch.order:
        phase = phases[operator - 1]
        for modulator in patch.modulators(operator):
            phase = phase + outputs[modulator]
        outputs[operator] = levels[operator - 1] * torch.sin(2 * math.pi * phase)
    total = outputs[patch.carriers[0]]
    for carrier in patch.carriers[1:]:
        total = total + outputs[carrier]
    return total
