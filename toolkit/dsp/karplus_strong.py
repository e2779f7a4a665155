"""A string: what is put into a delay line comes round once a period, softer and duller each time.

K. Karplus & A. Strong, "Digital synthesis of plucked-string and drum timbres", Computer Music Journal 7(2), 1983; the delay
line is read between samples, so that any pitch is in tune (Jaffe & Smith in the same issue).
"""

import torch
from torch import Tensor


def pluck(excitation: Tensor, periods: Tensor, gains: Tensor, damping: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
    """y[n] = x[n] + gain · ((1 - damping) y[n - D] + damping y[n - D - 1]), with D + damping the period.

    y between two samples lies on the straight line between them.  As many samples as the shortest delay come about at once:
    none of them needs another.

    Args:
        excitation: x, (B, T).
        periods: (B, T), samples, 2 to N - 1; not rounded.
        gains: (B, T), what is left of the sound after a period.
        damping: (B, T), 0 to 1: how dull the string is; 1/2 is Karplus and Strong's mean of two samples.
        line: (B, N), the output before the first sample.

    Returns:
        y, (B, T), and the line (B, N) after it.
    """
    samples, memory = excitation.shape[-1], line.shape[-1]
    delays = periods - damping
    whole = delays.detach().floor()
    part = delays - whole
    taps = torch.stack([(1 - damping) * (1 - part), (1 - damping) * part + damping * (1 - part), damping * part])
    back = whole.long() + torch.arange(3, device=whole.device)[:, None, None]  # (3, B, T) samples
    chunk = samples if whole.is_meta else max(1, int(whole.min()))  # only the shape is wanted where there are no numbers
    pieces = []
    for begin in range(0, samples, chunk):
        end = min(begin + chunk, samples)
        places = memory + torch.arange(end - begin, device=line.device) - back[..., begin:end]
        read = line.expand(3, -1, -1).gather(-1, places.clamp(min=0))
        piece = excitation[:, begin:end] + gains[:, begin:end] * (taps[..., begin:end] * read).sum(0)
        pieces.append(piece)
        line = torch.cat([line, piece], -1)[:, -memory:]
    return torch.cat(pieces, -1), line
