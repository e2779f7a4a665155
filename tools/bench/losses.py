"""Time of the separation losses, forward and backward, against Asteroid's in the same run.

    python tools/bench/losses.py [--batch 4] [--seconds 2] [--device cpu] [--repeats 9]

Rows: number of speakers.  The first column of times is Asteroid's permutation-invariant SI-SDR with its Hungarian search, the
second the same with all permutations tried; where a cell is empty it refuses the number of speakers, or it would try more than
50,000 orders.  The others are ours, in milliseconds and as a multiple of Asteroid's speed where both have a figure.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr
from torch import Tensor

from toolkit.losses import AnnealedMultipleChoice, MultipleChoice, PermutationInvariant, SeparationLoss

SPEAKERS = (2, 3, 4, 5, 8, 10, 20)
MOST_ORDERS = 50_000
Loss = Callable[[Tensor, Tensor], Tensor]


def contenders() -> dict[str, Loss]:
    """Losses of estimate and reference (B, n, 1, T), by name."""
    wrapper = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
    tried = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx", perm_reduce=lambda losses: losses.mean(-1))

    def try_all(estimate: Tensor, reference: Tensor) -> Tensor:
        if math.factorial(reference.shape[1]) > MOST_ORDERS:
            raise AssertionError
        return tried(estimate[:, :, 0], reference[:, :, 0])

    ours: dict[str, SeparationLoss] = {"PIT": PermutationInvariant(), "MCL": MultipleChoice(), "aMCL": AnnealedMultipleChoice()}
    return {
        "asteroid": lambda estimate, reference: wrapper(estimate[:, :, 0], reference[:, :, 0]),
        "asteroid, all orders": try_all,
        **{name: averaged(loss) for name, loss in ours.items()},
    }


def averaged(loss: SeparationLoss) -> Loss:
    """The mean over the batch."""
    return lambda estimate, reference: loss(estimate, reference).mean()


def milliseconds(loss: Loss, estimate: Tensor, reference: Tensor, repeats: int) -> float | None:
    """Median of forward and backward; None where the loss refuses."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        try:
            torch.autograd.grad(loss(estimate, reference), estimate)
        except AssertionError:
            return None
        if estimate.is_cuda:
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times[1:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each signal, at 8 kHz")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    print(f"{'speakers':>8}" + "".join(f"{name:>22}" for name in contenders()) + "   (ms, median; times as fast as asteroid)")
    for speakers in SPEAKERS:
        shape = (options.batch, speakers, 1, round(8000 * options.seconds))
        reference = torch.randn(shape, device=options.device)
        estimate = (reference + 0.3 * torch.randn_like(reference)).requires_grad_()
        row, theirs = f"{speakers:>8}", None
        for name, loss in contenders().items():
            ours = milliseconds(loss, estimate, reference, options.repeats)
            theirs = ours if name == "asteroid" else theirs
            ratio = f" ({theirs / ours:.1f}x)" if theirs and ours and name != "asteroid" else ""
            row += f"{'-' if ours is None else f'{ours:.1f}{ratio}':>22}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
