"""A long recording in overlapping chunks, so that memory does not grow with its length."""

from collections.abc import Callable

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def in_chunks(separate: Callable[[Tensor], Tensor], mixture: Tensor, chunk: int | None, overlap: float) -> Tensor:
    """Separate chunk by chunk and cross-fade.

    A model trained without a fixed order of sources may swap them from chunk to chunk; each chunk is put into the order in
    which its sources correlate most with what is already there, over the samples they share.

    Args:
        separate: maps (B, C, t) to (B, S, C, t).
        mixture: (B, C, T).
        chunk: samples at once; None for all.
        overlap: share of a chunk that the next one overlaps, up to 0.5.

    Returns:
        (B, S, C, T), on the mixture's device.
    """
    length = mixture.shape[-1]
    if chunk is None or length <= chunk:
        return separate(mixture)
    shared = max(1, round(chunk * overlap))
    hop = chunk - shared
    rise = torch.linspace(0, 1, shared + 2, device=mixture.device)[1:-1]
    whole = separate(mixture[..., :chunk])
    for start in range(hop, length - shared, hop):
        piece = separate(mixture[..., start : start + chunk])
        before = whole[..., start:]
        piece = _align(piece, before)
        faded = before * (1 - rise) + piece[..., :shared] * rise
        whole = torch.cat([whole[..., :start], faded, piece[..., shared:]], dim=-1)
    return whole


def _align(piece: Tensor, before: Tensor) -> Tensor:
    """Order the sources of `piece` (B, S, C, t) like those of `before` (B, S, C, n), n <= t."""
    head = piece[..., : before.shape[-1]]
    similarity = before.flatten(2) @ head.flatten(2).transpose(1, 2)
    order = [linear_sum_assignment(matrix, maximize=True)[1] for matrix in similarity.double().cpu().numpy()]
    index = torch.as_tensor(order, device=piece.device)
    return torch.take_along_dim(piece, index[:, :, None, None], dim=1)
