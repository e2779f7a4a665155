"""Time of BSSEval version 3 and STOI against mir_eval and pystoi in the same run.

    python tools/bench/metrics.py [--seconds 5] [--repeats 5]

Two sources at 8 kHz.  "of an improvement" is what a result needs: estimates and mixture, both in a given order.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import mir_eval
import pystoi
import torch

from toolkit.metrics import bss_eval_v3, stoi
from toolkit.metrics.separation import evaluate

RATE = 8000


def milliseconds(function: Callable[[], object], repeats: int) -> float:
    """Median."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    reference = torch.randn(2, round(RATE * options.seconds), dtype=torch.float64)
    estimate = reference + 0.1 * reference.flip(0) + 0.1 * torch.randn_like(reference)
    mixture = reference.sum(0, keepdim=True)
    x, y, z = reference.numpy(), estimate.numpy(), mixture.expand(2, -1).numpy()
    sources = mir_eval.separation.bss_eval_sources
    rows: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "BSSEval v3, permutation sought": (lambda: bss_eval_v3(estimate, reference), lambda: sources(x, y)),
        "BSSEval v3, order given": (lambda: bss_eval_v3(estimate, reference, False), lambda: sources(x, y, False)),
        "BSSEval v3, of an improvement": (
            lambda: evaluate(mixture, reference[:, None], estimate[:, None], RATE, ["bsseval_v3_sdr_improvement"]),
            lambda: (sources(x, y, False), sources(x, z, False)),
        ),
        "STOI": (lambda: stoi(estimate, reference, RATE), lambda: [pystoi.stoi(a, b, RATE) for a, b in zip(x, y, strict=True)]),
    }
    for name, (ours, theirs) in rows.items():
        first, second = milliseconds(ours, options.repeats), milliseconds(theirs, options.repeats)
        print(f"{name:32} ours {first:8.1f} ms   reference {second:8.1f} ms   {second / first:5.1f}x", flush=True)


if __name__ == "__main__":
    main()
