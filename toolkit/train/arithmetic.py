"""How a device computes what a model says: in which numbers, in which order of memory, compiled or not."""

from __future__ import annotations

import contextlib
from typing import Any, cast

import torch
from torch import nn

from toolkit.log import UserError
from toolkit.tasks.options import TrainOptions
from toolkit.train import recompute

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def arrange(model: nn.Module, options: TrainOptions, device: torch.device) -> None:
    """Prepare a model on its device for how it is to be computed.

    Raises:
        UserError: an option does not fit the model, or the device.
    """
    if options.precision == "fp16" and device.type == "cpu":  # where recurrent networks cannot be computed in it
        raise UserError("train.precision: expected fp32 or bf16 on a CPU, found fp16. Next: --train.precision bf16")
    choose(options.precision, device)
    recompute.apply(model, options.checkpoint_activations)
    if options.channels_last:
        channels_last(model)


def choose(precision: str, device: torch.device) -> None:
    """Let a GPU multiply float32 numbers as `precision` says: as they are, or in TensorFloat-32 where it is `tf32`.

    PyTorch's own default is a mixture: convolutions in TensorFloat-32, products of matrices as they are.
    """
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Where forward and loss are computed in `bf16` or `fp16` as far as PyTorch holds that to be sound."""
    dtype = AUTOCAST.get(precision)
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def channels_last(model: nn.Module) -> None:
    """Keep the weights of a model's two-dimensional convolutions (O, I, F, L) with the channels as last axis in memory.

    Such a convolution puts out its activations in that order too, whatever the order of what it reads.

    Raises:
        UserError: the model has no such convolution.
    """
    if not any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in model.modules()):
        raise UserError(
            f"train.channels_last: expected a model with two-dimensional convolutions, found none in {type(model).__name__}. "
            "Next: --train.channels_last false"
        )
    cast(Any, model).to(memory_format=torch.channels_last)


def compiled(model: nn.Module, option: bool | str) -> nn.Module:
    """The model compiled as `train.compile` says, with the same weights; the model itself where that is false."""
    if not option:
        return model
    return cast(nn.Module, torch.compile(model, mode=option if isinstance(option, str) else None))
