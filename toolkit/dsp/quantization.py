"""Numbers on evenly spaced levels between two limits, and such numbers packed into as few bits as they need."""

import numpy as np
import torch
from torch import Tensor

PIECE = 2**20  # numbers packed at once, a multiple of 8 so that each piece ends with a whole byte


def quantize(values: Tensor, bits: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The nearest of 2^bits levels, the first of them at `low` and the last at `high`, by its number from 0, as float.

    Args:
        values: any shape; what lies beyond the limits is brought to them.
        bits: whole numbers that broadcast to the values.
        low: lower limit.
        high: upper limit.
    """
    last = _last(bits)
    tiny = torch.finfo(values.dtype).tiny  # limits that are equal leave one level
    share = (values - low) / (high - low).clamp(min=tiny)
    return (share * last).round().clamp(min=0).minimum(last)


def dequantize(codes: Tensor, bits: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The values of levels, of any shape; the inverse of `quantize`, which gives these very levels for them again.

    Each value is reckoned from the nearer limit, so that the first and the last level are the limits to the last bit.
    """
    share, span = codes / _last(bits), high - low
    return torch.where(share < 0.5, low + share * span, high - (1 - share) * span)


def pack(numbers: np.ndarray, width: int) -> np.ndarray:
    """Pack numbers (n,) from 0 to 2^width - 1 into bytes (uint8), `width` bits each (at most 16), the lowest bit first."""
    shifts = np.arange(width, dtype=np.uint16)
    pieces = [numbers[start : start + PIECE].astype(np.uint16) for start in range(0, len(numbers), PIECE)]
    packed = [np.packbits((piece[:, None] >> shifts & 1).astype(np.uint8), bitorder="little") for piece in pieces]
    return np.concatenate([np.empty(0, np.uint8), *packed])


def unpack(packed: np.ndarray, width: int, count: int) -> np.ndarray:
    """The first `count` numbers that `pack` put into bytes, as uint16.

    Raises:
        ValueError: there are not as many bytes as they take.
    """
    if len(packed) != packed_size(width, count):
        raise ValueError(f"expected {packed_size(width, count)} bytes for {count} numbers of {width} bits, found {len(packed)}")
    weights = (1 << np.arange(width)).astype(np.uint16)
    numbers = np.empty(count, np.uint16)
    for start in range(0, count, PIECE):
        piece = numbers[start : start + PIECE]
        bits = np.unpackbits(packed[start * width // 8 :], bitorder="little", count=len(piece) * width)
        piece[:] = bits.reshape(len(piece), width) @ weights
    return numbers


def packed_size(width: int, count: int) -> int:
    """Bytes that `count` numbers of `width` bits take."""
    return -(-width * count // 8)


def _last(bits: Tensor) -> Tensor:
    return 2.0**bits - 1
