"""Shorten, the lossless code inside many NIST SPHERE files; versions 1 and 2 of its stream, signed 16-bit samples.

Source: T. Robinson, "SHORTEN: Simple lossless and near-lossless waveform compression", CUED/F-INFENG/TR.156, 1994.

A stream is a row of Rice codes: commands, their parameters, and the residuals of a prediction.  A code of width w tells a value
v as v >> w zeros, a one, and the w low bits of v.  Where it ends is known only when the code before it has ended, so decoding
goes over the stream three times: (1) step from code to code, one table look-up each, noting where they end; (2) work out all
residuals at once; (3) undo the prediction, block by block.
"""

from __future__ import annotations

from collections import deque
from operator import mul
from typing import NamedTuple

import numpy as np

MAGIC = b"ajkg"  # then a byte with the version
DIFF0, DIFF1, DIFF2, DIFF3, QUIT, BLOCKSIZE, BITSHIFT, QLPC, ZERO, VERBATIM = range(10)  # the commands
COMMAND_WIDTH, ENERGY_WIDTH, SHIFT_WIDTH, ORDER_WIDTH = 2, 3, 2, 2
COEFFICIENT_BITS = 5  # a coefficient of QLPC counts 1/32
VERBATIM_COUNT_WIDTH, VERBATIM_BYTE_WIDTH = 5, 8
SKIPPED_BYTE_WIDTH = 7
HIGH_FIRST, LOW_FIRST = 3, 5  # sample types: signed 16-bit, by the byte order of the file that was compressed
BLOCK = 256  # samples a block, in what we write
LARGEST_BLOCK = 65535


class _Block(NamedTuple):
    """One block of one channel: its command, samples, scale (bits), where its marks begin, QLPC's coefficients (1/32)."""

    command: int
    size: int
    shift: int
    first: int
    coefficients: list[int]


class _Codes:
    """A row of Rice codes and the place (bit) where the next one begins.  Running off the end raises IndexError."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        ones = np.where(bits, np.arange(len(bits), dtype=np.int32), np.int32(len(bits)))
        self.next_one = np.ascontiguousarray(np.minimum.accumulate(ones[::-1])[::-1]).data

    def unsigned(self, width: int) -> int:
        one = self.next_one[self.place]
        end = one + 1 + width
        low = int.from_bytes(self.data[(one + 1) >> 3 : (end + 7) >> 3], "big") >> (-end % 8) & ((1 << width) - 1)
        value = (one - self.place) << width | low
        self.place = end
        return value

    def signed(self, width: int) -> int:
        value = self.unsigned(width + 1)
        return ~(value >> 1) if value & 1 else value >> 1

    def long(self) -> int:
        """A value that tells its own width."""
        return self.unsigned(self.unsigned(2))

    def pass_by(self, count: int, width: int) -> list[int]:
        """Go past `count` codes; where the first begins and each of them ends."""
        place, next_one, after = self.place, self.next_one, width + 1
        marks = [place]
        mark = marks.append
        for _ in range(count):
            place = next_one[place] + after
            mark(place)
        self.place = place
        return marks


def decode(stream: bytes) -> np.ndarray:
    """Samples (channels, time), int64, of a whole stream.

    Raises:
        ValueError: it is no such stream, holds another type of samples, or ends too early.
    """
    if stream[:4] != MAGIC or stream[4:5] not in (b"\x01", b"\x02"):
        raise ValueError(f"expected a shorten stream of version 1 or 2, found {stream[:5]!r}")
    codes = _Codes(stream[5:])
    blocks: list[_Block] = []
    try:
        kind, channels, size, _, means, skipped = (codes.long() for _ in range(6))
        if kind not in (HIGH_FIRST, LOW_FIRST) or channels == 0:
            raise ValueError(f"expected signed 16-bit samples (shorten type 3 or 5), found type {kind}, {channels} channels")
        _within(channels, 8, "channels")
        _within(means, 64, "block means")
        codes.pass_by(skipped, SKIPPED_BYTE_WIDTH)
        marks, widths = _walk(codes, _within(size, LARGEST_BLOCK, "block size"), blocks)
    except IndexError as error:
        found = sum(block.size for block in blocks[::channels]) if blocks else 0
        raise ValueError(f"truncated: its shorten stream ends after {found} samples, before its end mark") from error
    residuals = _residuals(codes.data, marks, widths)
    try:
        rounded = stream[4] > 1
        return np.stack([_undo_prediction(blocks[c::channels], residuals, means, rounded) for c in range(channels)])
    except OverflowError as error:
        raise ValueError("shorten stream is broken: its prediction runs away") from error


def _walk(codes: _Codes, size: int, blocks: list[_Block]) -> tuple[list[int], np.ndarray]:
    """Append the blocks up to the end mark to `blocks`; where residuals end, and the width of the code that ends there."""
    marks: list[int] = []
    widths: list[tuple[int, int]] = []
    shift = 0
    while (command := _within(codes.unsigned(COMMAND_WIDTH), VERBATIM, "command")) != QUIT:
        if command == BLOCKSIZE:
            size = _within(codes.long(), LARGEST_BLOCK, "block size")
        elif command == BITSHIFT:
            shift = _within(codes.unsigned(SHIFT_WIDTH), 15, "shift")
        elif command == VERBATIM:
            codes.pass_by(codes.unsigned(VERBATIM_COUNT_WIDTH), VERBATIM_BYTE_WIDTH)
        elif command == ZERO:
            blocks.append(_Block(command, size, shift, len(marks), []))
        else:
            width = _within(codes.unsigned(ENERGY_WIDTH) + 1, 32, "width")
            order = _within(codes.unsigned(ORDER_WIDTH) if command == QLPC else 0, 64, "order of prediction")
            coefficients = [codes.signed(COEFFICIENT_BITS) for _ in range(order)]
            first = len(marks)
            marks += codes.pass_by(size, width)
            blocks.append(_Block(command, size, shift, first, coefficients))
            widths.append((width, size + 1))
    if codes.place > 8 * len(codes.data):
        raise IndexError
    pairs = np.array(widths, np.int64).reshape(-1, 2)
    return marks, np.repeat(pairs[:, 0], pairs[:, 1])


def _within(value: int, largest: int, what: str) -> int:
    if value > largest:
        raise ValueError(f"shorten stream is broken: {what} {value}, expected at most {largest}")
    return value


def _residuals(data: bytes, marks: list[int], widths: np.ndarray) -> np.ndarray:
    """The signed value of the code that ends at each mark (nothing of sense at a mark where a block begins)."""
    ends = np.array(marks, np.int64)
    octets = np.frombuffer(data + bytes(8), np.uint8)
    words = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(octets, 8)).view(">u8")[:, 0]  # at each byte
    begin = ends - widths
    low = words[begin >> 3].astype(np.uint64) << (begin & 7).astype(np.uint64) >> (64 - widths).astype(np.uint64)
    high = np.diff(ends, prepend=0) - 1 - widths
    value = (high << widths) + low.astype(np.int64)
    return (value >> 1) ^ -(value & 1)


def _undo_prediction(blocks: list[_Block], residuals: np.ndarray, means: int, rounded: bool) -> np.ndarray:
    """Samples (time,) of one channel.

    `means` is how many block means the offset of DIFF0 and QLPC is the average of.  Version 2 differs from version 1 in that it
    is `rounded`: means and linear predictions are rounded, not cut, and means follow a change of the scale.
    """
    past = max([3, *(len(block.coefficients) for block in blocks)])
    samples = np.zeros(past + sum(block.size for block in blocks), np.int64)
    recent = deque([0] * means, maxlen=means)
    at = past
    for block in blocks:
        now = samples[at : at + block.size]
        scale = block.shift if rounded else 0
        if block.command != ZERO:
            now[:] = residuals[block.first + 1 : block.first + 1 + block.size]
            if block.command in (DIFF0, QLPC):
                offset = _mean(sum(recent), means, rounded) >> scale if means else 0
                if block.command == QLPC:
                    _add_linear(now, samples[at - past : at] - offset, block.coefficients, rounded)
                now += offset
            else:
                _integrate(now, samples[at - 3 : at].tolist(), block.command)
        if means and block.size:
            recent.append(_mean(int(now.sum()), block.size, rounded) << scale)
        at += block.size
    at = past
    for block in blocks:  # only now: the prediction works on what stands before the shift
        if block.shift:
            samples[at : at + block.size] <<= block.shift
        at += block.size
    return samples[past:]


def _integrate(now: np.ndarray, before: list[int], order: int) -> None:
    """Undo `order` differences in place; `before` are the three samples that came earlier."""
    third, second, first = before
    last = (first, first - second, first - 2 * second + third)  # value, slope and bend at the last sample
    for level in reversed(range(order)):
        if len(now):
            now[0] += last[level]
            np.cumsum(now, out=now)


def _add_linear(now: np.ndarray, before: np.ndarray, coefficients: list[int], rounded: bool) -> None:
    """Undo the linear prediction in place (TR.156, section 3.2): each sample needs those just decoded."""
    order = len(coefficients)
    past = deque(before[: -order - 1 : -1].tolist(), maxlen=order)
    start = 1 << COEFFICIENT_BITS if rounded else 0
    for index, residual in enumerate(now.tolist()):
        value = residual + ((start + sum(map(mul, coefficients, past))) >> COEFFICIENT_BITS)
        past.appendleft(value)
        now[index] = value


def _mean(total: int, count: int, rounded: bool) -> int:
    """Divide as C does, toward zero."""
    total += count // 2 if rounded else 0
    return total // count if total >= 0 else -(-total // count)


def encode(samples: np.ndarray) -> bytes:
    """The stream (version 2) of samples (channels, time), int16: each block by its smallest difference of order 0 to 3."""
    channels, frames = samples.shape
    levels = [samples.astype(np.int64)]
    for _ in range(3):
        levels.append(np.diff(levels[-1], prepend=0))
    differences = np.stack(levels)
    whole = frames - frames % BLOCK
    codes = [_long(value) for value in (LOW_FIRST, channels, BLOCK, 0, 0, 0)]  # no linear prediction, means or skipped bytes
    codes.append(_block_codes(differences[..., :whole], BLOCK))
    if frames > whole:
        codes += [_one(BLOCKSIZE, COMMAND_WIDTH), _long(frames - whole), _block_codes(differences[..., whole:], frames - whole)]
    codes.append(_one(QUIT, COMMAND_WIDTH))
    values, widths = (np.concatenate(parts) for parts in zip(*codes, strict=True))
    return MAGIC + b"\x02" + pack(values, widths)


def pack(values: np.ndarray, widths: np.ndarray) -> bytes:
    """Rice codes of `values` (n,) >= 0, each of its width (n,) in bits, filled up to whole 32-bit words."""
    high = values >> widths
    ends = np.cumsum(high + 1 + widths)
    bits = np.zeros(-(-int(ends[-1]) // 32) * 32, np.uint8)
    bits[ends - widths - 1] = 1
    for low in range(int(widths.max())):
        present = widths > low
        bits[ends[present] - 1 - low] = (values[present] >> low) & 1
    return np.packbits(bits).tobytes()


def _block_codes(differences: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and widths of the codes of blocks of `size` samples; differences (order, channels, time)."""
    rows = differences.reshape(4, differences.shape[1], -1, size).swapaxes(1, 2).reshape(4, -1, size)  # channels take turns
    order = np.abs(rows).sum(axis=2).argmin(axis=0)
    residual = rows[order, np.arange(len(order))]
    value = np.where(residual < 0, ~residual * 2 + 1, residual * 2)
    bits = np.stack([(value >> (energy + 1)).sum(axis=1) + (energy + 2) * size for energy in range(16)])
    energy = bits.argmin(axis=0)[:, None]
    command = np.where(rows[0].any(axis=1), order, ZERO)[:, None]
    values = np.concatenate([command, energy, value], axis=1)
    widths = np.concatenate(
        [np.full_like(energy, COMMAND_WIDTH), np.full_like(energy, ENERGY_WIDTH), np.repeat(energy + 1, size, axis=1)], axis=1
    )
    present = (command != ZERO) | (np.arange(2 + size) == 0)
    return values[present], widths[present]


def _one(value: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([value]), np.array([width])


def _long(value: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([value.bit_length(), value]), np.array([2, value.bit_length()])
