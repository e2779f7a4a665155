"""PESQ, the perceptual evaluation of speech quality (ITU-T P.862, P.862.2), by the optional package `pesq`."""

from __future__ import annotations

import torch
from torch import Tensor

from toolkit.log import UserError

MODES = {8000: "nb", 16000: "wb"}


def pesq(estimate: Tensor, reference: Tensor, sample_rate: int) -> Tensor:
    """Perceptual evaluation of speech quality: narrow band at 8 kHz, wide band at 16 kHz.

    Args:
        estimate: processed speech (..., time).
        reference: clean speech (..., time).
        sample_rate: 8000 or 16000 Hz.

    Returns:
        (...), mean opinion score from 1 to 4.6; NaN where the standard finds no speech.

    Raises:
        UserError: the package is not installed, or the standard does not know the sample rate.
    """
    try:
        from pesq import PesqError
        from pesq import pesq as measure
    except ImportError as error:
        raise UserError(
            "the metric pesq needs the package of that name, which is not installed. Next: pip install pesq"
        ) from error
    if sample_rate not in MODES:
        raise UserError(f"pesq: expected a sample rate of 8000 or 16000 Hz, found {sample_rate} Hz. Next: leave out the metric")
    values = []
    for y, x in zip(estimate[None].flatten(0, -2), reference[None].flatten(0, -2), strict=True):
        if not (x.any() and y.any()):
            values.append(torch.nan)
            continue
        score = measure(sample_rate, x.cpu().numpy(), y.cpu().numpy(), MODES[sample_rate], on_error=PesqError.RETURN_VALUES)
        values.append(score if score > 0 else torch.nan)  # a failure is told by -1
    return torch.tensor(values).reshape(reference.shape[:-1]).to(reference)
