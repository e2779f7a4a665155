"""Any separation model with weights of few bits: how many is learned in training (DiffQ) or given (QAT)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from toolkit.dsp.quantization import dequantize, quantize
from toolkit.log import UserError
from toolkit.models.base import SeparationModel
from toolkit.models.compressed import LIMITS_BITS, Compressed, CompressedTensor, field_width

MEGABYTE = 2**23  # bits


class Quantized(SeparationModel):
    """Learns in how few bits a model's weights can be told (Défossez, Adi, Synnaeve 2022, "DiffQ", TMLR, sections 3 and 4).

    Each tensor is told by levels between its smallest and its largest weight, and each group of its weights by a number of bits
    of its own.  In training the weights are noisy, uniformly within half a step of their levels to each side; so the loss
    says how coarse the levels may be, and the bits are learned against their price.  In evaluation they are quantized.

    Args:
        model: any separation model.
        penalty: λ, the price of a megabyte, added to the loss.
        group_size: neighbouring weights that share a number of bits.
        min_size: megabytes of a tensor's float32 weights below which it is not quantized.
        min_bits: fewest bits of a weight.
        max_bits: most bits of a weight.
        init_bits: bits that training begins with.
        bits_lr: learning rate of the bits.
        fixed_bits: give every weight that many bits; gradients pass the rounding as if it were not there (QAT, the baseline of
            the paper), and nothing is learned about bits.

    Raises:
        ValueError: numbers of bits that are out of order, or above 16.
    """

    def __init__(
        self,
        model: SeparationModel,
        penalty: float = 3e-4,
        group_size: int = 8,
        min_size: float = 1.0,
        min_bits: int = 2,
        max_bits: int = 15,
        init_bits: float = 8.0,
        bits_lr: float = 1e-3,
        fixed_bits: int | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= min_bits < init_bits < max_bits <= 16:
            raise ValueError(f"bits: expected 1 <= min < init < max <= 16, found {min_bits}, {init_bits}, {max_bits}")
        if fixed_bits is not None and not 1 <= fixed_bits <= 16:
            raise ValueError(f"fixed_bits: expected 1 to 16, found {fixed_bits}")
        self.model, self.price, self.bits_lr = model, penalty, bits_lr
        self.sources, self.audio_channels = model.sources, model.audio_channels
        self.sums_to_mixture, self.needs_statistics = model.sums_to_mixture, model.needs_statistics
        self.group_size, self.fixed_bits = group_size, fixed_bits
        self.bit_range = (min_bits, max_bits) if fixed_bits is None else (fixed_bits, fixed_bits)
        large = {name: weight for name, weight in model.named_parameters() if 32 * weight.numel() >= min_size * MEGABYTE}
        self.names = list(large)
        share = (init_bits - min_bits) / (max_bits - min_bits)
        groups = [] if fixed_bits is not None else [-(-weight.numel() // group_size) for weight in large.values()]
        self.logits = nn.ParameterList(torch.full((count,), math.log(share / (1 - share))) for count in groups)
        self._kept: tuple[list[Any], list[SeparationModel]] = ([], [])

    def train(self, mode: bool = True) -> Quantized:
        """Go over to training or, with the weights as they are now, to evaluation."""
        self._kept = ([], [])
        return super().train(mode)

    def forward(self, mixture: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """As the model inside, with noisy weights in training and with quantized ones in evaluation."""
        if self.training:
            return functional_call(self.model, self.weights(), (mixture,))
        return self.quantized()(mixture)

    def separate(self, mixture: Tensor) -> Tensor:
        """As the model inside, with quantized weights."""
        return self.quantized().separate(mixture)

    def target(self, references: Tensor) -> Tensor:
        """As the model inside."""
        return self.model.target(references)

    def input_length(self, length: int) -> int:
        """As the model inside."""
        return self.model.input_length(length)

    def fit_statistics(self, mixtures: Iterable[Tensor]) -> None:
        """As the model inside."""
        self.model.fit_statistics(mixtures)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The groups of the model inside, and the bits with a learning rate of their own and no decay."""
        groups = self.model.parameter_groups()
        return [*groups, {"params": list(self.logits), "lr": self.bits_lr, "weight_decay": 0.0}] if len(self.logits) else groups

    def penalty(self) -> Tensor | None:
        """The price of the quantized weights' megabytes, and what the model inside adds."""
        inside = self.model.penalty()
        if not len(self.logits):
            return inside
        bits = torch.stack([self._learned(logits).sum() for logits in self.logits]).sum()
        price = self.price * self.group_size / MEGABYTE * bits
        return price if inside is None else price + inside

    def size_mb(self) -> float:
        """Megabytes of the compressed model: weights, bits of each group, limits, and all that is not quantized."""
        stored = self.model.state_dict()
        bits = sum(8 * value.nbytes for name, value in stored.items() if name not in self.names)
        for name in self.names:
            widths = self._bits(name)
            bits += int(widths.sum()) * self.group_size + LIMITS_BITS
            bits += len(widths) * field_width(*self.bit_range)
        return bits / MEGABYTE

    def weights(self) -> dict[str, Tensor]:
        """What the model computes with in place of its large tensors: noisy or quantized, by their names."""
        make = self._noisy if self.training else self._coarse
        return {name: make(name, self.model.get_parameter(name)) for name in self.names}

    def quantized(self) -> SeparationModel:
        """A copy of the model inside with quantized weights; made again when weights or bits have changed."""
        made_from = [(t._version, t.data_ptr()) for t in (*self.model.state_dict(keep_vars=True).values(), *self.logits)]
        if self._kept[0] != made_from:
            self._kept = ([], [])  # a copy less, while the new one is made
            with torch.inference_mode(False), torch.no_grad():
                made = copy.deepcopy(self.model).eval()
                for name in self.names:
                    made.get_parameter(name).copy_(self._coarse(name, self.model.get_parameter(name)))
            self._kept = (made_from, [made])
        return self._kept[1][0]

    @torch.no_grad()
    def save_compressed(self, path: Path | str) -> None:
        """Write the model inside with its weights packed bit by bit, as safetensors of about `size_mb()` megabytes."""
        stored = self.model.state_dict()
        tensors = {}
        for name in self.names:
            codes, bits, low, high = self._codes(name, stored[name])
            tensors[name] = CompressedTensor(stored[name].shape, codes, bits, low, high)
        plain = {name: value for name, value in stored.items() if name not in self.names}
        Compressed(self.group_size, self.bit_range, tensors, plain).save(path)

    @torch.no_grad()
    def load_compressed(self, path: Path | str) -> None:
        """Read what `save_compressed` wrote; evaluation gives what it gave, to the last bit.

        Raises:
            UserError: the file is missing, damaged, or belongs to another model.
        """
        read = Compressed.load(path)
        wanted, found = (self.group_size, self.bit_range), (read.group_size, read.bit_range)
        if wanted != found:
            raise UserError(f"{path} belongs to another model: expected groups and bits {wanted}, found {found}")
        try:
            self.model.load_state_dict(read.weights())
        except RuntimeError as error:
            raise UserError(f"{path} belongs to another model: {str(error).splitlines()[-1].strip()}") from error
        low, high = self.bit_range
        for name, logits in zip(self.names, self.logits, strict=False):  # no logits where the bits are fixed
            logits.copy_(((read.tensors[name].bits - low) / (high - low)).logit(eps=1e-3))

    def _learned(self, logits: Tensor) -> Tensor:
        """Bits of each group, not rounded."""
        low, high = self.bit_range
        return low + (high - low) * logits.sigmoid()

    def _bits(self, name: str) -> Tensor:
        """Bits of each group of a tensor, as evaluation has them."""
        index = self.names.index(name)
        if self.fixed_bits is None:
            return self._learned(self.logits[index].detach()).round()
        weight = self.model.get_parameter(name)
        return torch.full((-(-weight.numel() // self.group_size),), float(self.fixed_bits), device=weight.device)

    def _noisy(self, name: str, weight: Tensor) -> Tensor:
        if self.fixed_bits is not None:
            return weight + (self._coarse(name, weight) - weight).detach()
        low, high = weight.detach().aminmax()
        bits = self._learned(self.logits[self.names.index(name)])
        half_step = (high - low) / 2 / (2**bits - 1)
        noise = torch.rand(len(bits), self.group_size, dtype=weight.dtype, device=weight.device) * 2 - 1
        return weight + _ungroup(noise * half_step[:, None], weight.shape)

    def _coarse(self, name: str, weight: Tensor) -> Tensor:
        codes, bits, low, high = self._codes(name, weight.detach())
        return _ungroup(dequantize(codes, bits[:, None], low, high), weight.shape)

    def _codes(self, name: str, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Numbers of the levels (groups, group_size), bits (groups), and the limits."""
        low, high = weight.aminmax()
        bits = self._bits(name)
        filler = len(bits) * self.group_size - weight.numel()
        groups = F.pad(weight.flatten(), (0, filler)).view(len(bits), self.group_size)
        return quantize(groups, bits[:, None], low, high), bits, low, high


def _ungroup(groups: Tensor, shape: torch.Size) -> Tensor:
    return groups.flatten()[: shape.numel()].view(shape)
