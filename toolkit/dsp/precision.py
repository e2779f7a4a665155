"""Single precision where half of it would not do."""

import contextlib

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> contextlib.AbstractContextManager[None]:
    """Without autocast on the tensor's device; the meta device, where nothing is computed, has none to begin with."""
    kind = tensor.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else contextlib.nullcontext()
