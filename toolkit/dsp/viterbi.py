"""The likeliest path through states that are in a row and change to near ones: pitches, voiced or not."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

LEAST = math.log(sys.float_info.min)  # of an impossible observation or step; the path may need one, where all are


def triangle(states: int, reach: int) -> Tensor:
    """How probable steps between N states are that are at most `reach` apart, falling linearly with the distance.

    Returns:
        (2 reach + 1, N), float64: in column j the logarithms of the probabilities to come to state j from j - reach to
        j + reach.  What leaves a state adds up to 1, at the ends too.
    """
    distance = torch.arange(-reach, reach + 1, dtype=torch.float64)[:, None]
    source = torch.arange(states) + distance
    leaving = torch.zeros(states, dtype=torch.float64)
    for step in range(-reach, reach + 1):
        leaving[max(0, -step) : states - max(0, step)] += reach + 1 - abs(step)
    inside = (source >= 0) & (source < states)
    weight = (reach + 1 - distance.abs()) / leaving[source.clamp(0, states - 1).long()]
    return torch.where(inside, weight.log(), -torch.inf)


def viterbi(observed: Iterable[Tensor], near: Tensor, switch: Tensor) -> Tensor:
    """The likeliest path, as `librosa.sequence.viterbi` finds it with the transition matrix kron(switch, near).

    A state is a kind (voiced, unvoiced) and a place (a pitch); all are as likely at first.

    Args:
        observed: pieces of time, (B, L, V, N) each: how probable each of V kinds of N places makes what is observed.
        near: (2 reach + 1, N): logarithms of the probabilities of steps between places, see `triangle`.
        switch: (V, V): how probable steps from a kind (row) to a kind (column) are.

    Returns:
        (B, L), kind · N + place, on the CPU; L of all pieces.

    Raises:
        ValueError: there is no piece.
    """
    score: Tensor | None = None
    pointers: list[np.ndarray] = []
    for piece in observed:
        logs = torch.where(piece > 0, piece.log(), LEAST)
        steps, kinds = near.to(logs), switch.to(logs).log()
        origins = torch.zeros(logs.shape[1], len(logs), logs[0, 0].numel(), dtype=torch.int16, device=logs.device)
        for log, origin in zip(logs.unbind(1), origins, strict=True):
            if score is not None:
                score, came_from = _step(score, steps, kinds)
                origin.copy_(came_from.flatten(1))
            score = log if score is None else score + log
            score = score - score.amax((1, 2), keepdim=True)
        pointers.append(origins.cpu().numpy())
    if score is None:
        raise ValueError("expected at least one piece of time, found none")
    return torch.from_numpy(_backwards(np.concatenate(pointers), score.flatten(1).argmax(1).cpu().numpy()))


def _step(score: Tensor, near: Tensor, switch: Tensor) -> tuple[Tensor, Tensor]:
    """From the scores (B, V, N) of one moment to those of the next without its observation, and the state each came from."""
    reach, places = len(near) // 2, score.shape[-1]
    windows = F.pad(score, (reach, reach), value=-torch.inf).unfold(-1, places, 1)
    best, offset = (windows + near).max(dim=2)
    reached, kind = (best[:, :, None] + switch[..., None]).max(dim=1)
    place = torch.arange(-reach, places - reach, device=score.device) + offset.gather(1, kind)
    top, state = score.flatten(1).max(dim=1)
    jump = top[:, None, None] + LEAST
    return torch.maximum(reached, jump), torch.where(reached < jump, state[:, None, None], kind * places + place)


def _backwards(pointers: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Follow pointers (L, B, S) from the last states (B,) to the first: (B, L)."""
    path = np.empty(pointers.shape[:2], np.int64)
    rows = np.arange(len(last))
    path[-1] = last
    for moment in range(len(path) - 1, 0, -1):
        path[moment - 1] = pointers[moment, rows, path[moment]]
    return np.ascontiguousarray(path.T)
