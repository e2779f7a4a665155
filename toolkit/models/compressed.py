"""Weights of few bits in a file: safetensors, bits packed, nothing pickled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from toolkit import files
from toolkit.dsp.quantization import dequantize, pack, packed_size, unpack
from toolkit.log import UserError

LIMITS_BITS = 64  # two float32 for each tensor
FORMAT = "quantized-1"


@dataclass
class CompressedTensor:
    """A tensor told by levels.

    Attributes:
        shape: of the tensor.
        codes: numbers of the levels (groups, group_size), from the tensor's first value to its last, then filler.
        bits: of each group, whole numbers.
        low: the first level's value.
        high: the last level's value.
    """

    shape: torch.Size
    codes: Tensor
    bits: Tensor
    low: Tensor
    high: Tensor


@dataclass
class Compressed:
    """A model's weights, the large ones told by levels.

    Attributes:
        group_size: values that share a number of bits.
        bit_range: the fewest and the most bits there may be; where they are the same, no group's bits are stored.
        tensors: by the names of a state dict.
        plain: what is not quantized.
    """

    group_size: int
    bit_range: tuple[int, int]
    tensors: dict[str, CompressedTensor]
    plain: dict[str, Tensor]

    def weights(self) -> dict[str, Tensor]:
        """A state dict of the model, with the values of the levels."""
        decoded = dict(self.plain)
        for name, tensor in self.tensors.items():
            values = dequantize(tensor.codes, tensor.bits[:, None], tensor.low, tensor.high)
            decoded[name] = values.flatten()[: tensor.shape.numel()].view(tensor.shape)
        return decoded

    def save(self, path: Path | str) -> None:
        """Write safetensors: `codes/`, `bits/` and `limits/` of each quantized tensor, `plain/` of each other."""
        stored = {f"plain/{name}": value for name, value in self.plain.items()}
        for name, tensor in self.tensors.items():
            bits = tensor.bits.cpu().numpy().astype(np.uint8)
            codes = tensor.codes.cpu().numpy().astype(np.uint16)
            by_width = [pack(codes[bits == width].flatten(), width) for width in self._widths]
            stored[f"codes/{name}"] = torch.from_numpy(np.concatenate(by_width))
            stored[f"bits/{name}"] = torch.from_numpy(pack(bits - self.bit_range[0], field_width(*self.bit_range)))
            stored[f"limits/{name}"] = torch.stack([tensor.low, tensor.high])
        about = {"format": FORMAT, "group_size": str(self.group_size), "bits": json.dumps(self.bit_range)}
        shapes = json.dumps({name: list(tensor.shape) for name, tensor in self.tensors.items()})
        files.write_tensors(path, stored, {**about, "shapes": shapes})

    @classmethod
    def load(cls, path: Path | str) -> Compressed:
        """Read a file of `save`.

        Raises:
            UserError: the file is missing, or is not such a file.
        """
        if not Path(path).is_file():
            raise UserError(f"no compressed weights at {path}. Next: run the stage `train`")
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                if about.get("format") != FORMAT:
                    raise ValueError(f"expected the format {FORMAT}, found {about.get('format')}")
                stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            low, high = json.loads(about["bits"])
            read = cls(int(about["group_size"]), (low, high), {}, {})
            for name, shape in json.loads(about["shapes"]).items():
                read.tensors[name] = read._tensor(stored, name, torch.Size(shape))
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} holds no compressed weights, or is damaged: {error}") from error
        read.plain = {name.removeprefix("plain/"): value for name, value in stored.items() if name.startswith("plain/")}
        return read

    @property
    def _widths(self) -> range:
        return range(self.bit_range[0], self.bit_range[1] + 1)

    def _tensor(self, stored: dict[str, Tensor], name: str, shape: torch.Size) -> CompressedTensor:
        groups = -(-shape.numel() // self.group_size)
        bits = unpack(stored[f"bits/{name}"].numpy(), field_width(*self.bit_range), groups) + self.bit_range[0]
        packed, codes = stored[f"codes/{name}"].numpy(), np.empty((groups, self.group_size), np.uint16)
        for width in self._widths:
            count = int((bits == width).sum()) * self.group_size
            taken, packed = np.split(packed, [packed_size(width, count)])
            codes[bits == width] = unpack(taken, width, count).reshape(-1, self.group_size)
        if len(packed):
            raise ValueError(f"{name}: expected {len(packed)} bytes less")
        low, high = stored[f"limits/{name}"]
        return CompressedTensor(shape, torch.from_numpy(codes).float(), torch.from_numpy(bits).float(), low, high)


def field_width(least: int, most: int) -> int:
    """Bits that tell a number of bits between two limits."""
    return (most - least).bit_length()
