"""Sines and cosines of many angles, in place or where they are wanted."""

import numpy as np
import torch
from torch import Tensor

SHARED = 2**15  # numbers from which torch shares the work among its threads


def sine(angles: Tensor, out: Tensor) -> None:
    """Put sin(angles), in radians, into `out` (of their shape and type, or the angles themselves); no gradient."""
    if _at_hand(angles):
        np.sin(angles.numpy(), out=out.numpy())
    else:
        torch.sin(angles, out=out)


def cosine(angles: Tensor, out: Tensor) -> None:
    """Put cos(angles), in radians, into `out` (of their shape and type, or the angles themselves); no gradient."""
    if _at_hand(angles):
        np.cos(angles.numpy(), out=out.numpy())
    else:
        torch.cos(angles, out=out)


def _at_hand(angles: Tensor) -> bool:
    """Whether NumPy may take over: its own vector loops need half the time of torch's library on processors not made by Intel.

    Not for a tensor that only stands for numbers, nor where torch would use several threads.
    """
    if type(angles) is not Tensor or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    alone = angles.numel() <= SHARED or torch.get_num_threads() == 1
    return alone and angles.device.type == "cpu" and angles.dtype == torch.float32
