"""Convolutions along the bins of spectra, of wide kernels in less than half the work of a direct one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from toolkit.dsp.precision import full_precision

TILE = 32  # bins that are transformed at once; those beyond the kernel's reach come out


class BinConvolution(nn.Conv1d):
    """A convolution over F bins of many frames at once, as `torch.nn.Conv1d` padded with zeros so that F is kept.

    Tiles of bins overlap by what the kernel reaches over.  Their real discrete Fourier transforms, what is made of them, and
    the way back are products of matrices throughout; a tile of 32 bins and a kernel of 15 cost 40 % of the direct sum.  Bins
    come first and frames last, so that all of these matrices stand in memory as they are.

    Args:
        channels_in: C.
        channels_out: O.
        kernel_size: odd, less than 32.

    Raises:
        ValueError: the kernel's size is even or too large.
    """

    forwards: Tensor
    backwards: Tensor

    def __init__(self, channels_in: int, channels_out: int, kernel_size: int) -> None:
        if kernel_size % 2 == 0 or kernel_size >= TILE:
            raise ValueError(f"kernel_size: expected an odd number of bins below {TILE}, found {kernel_size}")
        super().__init__(channels_in, channels_out, kernel_size, padding=kernel_size // 2)
        waves = _waves()
        weights = torch.full((TILE, 1), 2.0, dtype=torch.float64)
        weights[:2] = 1
        self.register_buffer("forwards", waves.float(), persistent=False)
        self.register_buffer("backwards", (weights * waves / TILE).T[: TILE - kernel_size + 1].float(), persistent=False)

    def forward(self, spectra: Tensor) -> Tensor:
        """Map (F, C, M) of M frames to (F, O, M), in single precision."""
        with full_precision(spectra):
            x = spectra.float().contiguous()
            return _Tiled.apply(x, self._products(), self.bias, self.forwards, self.backwards, self.kernel_size[0] // 2)

    def _products(self) -> Tensor:
        """What each frequency's cosine and sine parts are multiplied with: (TILE / 2, 2 · O, 2 · C).

        0 and half a cycle have no sine part and share the first matrix.
        """
        parts = torch.einsum("pk,ock->poc", self.forwards[:, : self.kernel_size[0]], self.weight)
        none = torch.zeros_like(parts[0])
        ends = torch.stack([torch.cat([parts[0], none], 1), torch.cat([none, parts[1]], 1)]).flatten(0, 1)
        cosines, sines = parts[2::2], parts[3::2]
        others = torch.cat([torch.cat([cosines, sines], 2), torch.cat([-sines, cosines], 2)], 1)
        return torch.cat([ends[None], others])


def _waves() -> Tensor:
    """Rows of the transform of TILE bins: 0 and half a cycle a bin, then cosine and sine of all frequencies in between."""
    place = torch.arange(TILE, dtype=torch.float64)
    cycles = torch.tensor([0, TILE // 2, *(number for number in range(1, TILE // 2) for _ in range(2))], dtype=torch.float64)
    late = torch.tensor([0.0, 0.0, *[0.0, 0.25] * (TILE // 2 - 1)], dtype=torch.float64)
    return torch.cos(2 * math.pi * (cycles[:, None] * place / TILE - late[:, None]))


class _Tiled(torch.autograd.Function):
    """The tiles one after the other, each small enough for a processor's cache."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, products: Tensor, bias: Tensor, forwards: Tensor, backwards: Tensor, reach: int) -> Tensor:
        bins, channels, frames = x.shape
        outputs, step = len(bias), len(backwards)
        tiles = [(first - reach, first) for first in range(0, bins, step)]
        flat = x.flatten(1)
        y = x.new_empty(bins, outputs, frames)
        transformed = x.new_empty(len(tiles), TILE, channels * frames)
        for (start, first), tile in zip(tiles, transformed, strict=True):
            there = slice(max(start, 0), min(start + TILE, bins))
            torch.mm(forwards[:, there.start - start : there.stop - start], flat[there], out=tile)
            made = torch.bmm(products, tile.view(TILE // 2, 2 * channels, frames))
            made[0, :outputs] += TILE * bias[:, None]
            torch.mm(backwards[: bins - first], made.view(TILE, -1), out=y[first : first + step].flatten(1))
        ctx.save_for_backward(transformed, products, forwards, backwards)
        ctx.tiles, ctx.size = tiles, x.shape
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        transformed, products, forwards, backwards = ctx.saved_tensors
        bins, channels, frames = ctx.size
        outputs, step = products.shape[1] // 2, len(backwards)
        given = gradients[0].contiguous().flatten(1)
        of_x = given.new_zeros(bins, channels * frames)
        of_products, of_bias = torch.zeros_like(products), given.new_zeros(outputs)
        for (start, first), tile in zip(ctx.tiles, transformed, strict=True):
            there = slice(max(start, 0), min(start + TILE, bins))
            made = torch.mm(backwards[: bins - first].T, given[first : first + step]).view(TILE // 2, 2 * outputs, frames)
            of_bias += TILE * made[0, :outputs].sum(-1)
            of_products.baddbmm_(made, tile.view(TILE // 2, 2 * channels, frames).mT)
            if ctx.needs_input_grad[0]:
                inner = torch.bmm(products.mT, made).view(TILE, -1)
                of_x[there].addmm_(forwards[:, there.start - start : there.stop - start].T, inner)
        return of_x.view(ctx.size), of_products, of_bias, None, None, None
