"""Time and agreement of BSSEval version 4 with museval on the same signals, in one run.

    python tools/bench/bss_eval_v4.py [--seconds 30] [--sources 4] [--channels 2] [--repeats 3] [--threads 2] [--device cpu]

museval is called once, as it takes half a minute.  The estimates are noisy and leak into each other.
"""

import argparse
import os
import statistics
import sys
import time
from types import ModuleType

import torch

RATE = 44_100


def main() -> None:
    """Print both times, their ratio and the largest difference of each ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--sources", type=int, default=4)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(options.threads)  # museval's NumPy reads it when it is loaded
    sys.modules.setdefault("stempeg", ModuleType("stempeg"))  # reads stems, which nobody needs here, and asks for ffmpeg
    import museval

    from toolkit.metrics import bss_eval_v4

    torch.set_num_threads(options.threads)
    reference = torch.randn(options.sources, options.channels, round(RATE * options.seconds))
    estimate = reference + 0.3 * reference.flip(0) + 0.2 * torch.randn_like(reference)
    on_device = estimate.to(options.device), reference.to(options.device)
    times = []
    for _ in range(options.repeats + 1):  # the first one warms up
        began = time.perf_counter()
        found = [ratio.cpu() for ratio in bss_eval_v4(*on_device, RATE)]
        times.append(time.perf_counter() - began)
    ours = statistics.median(times[1:])
    began = time.perf_counter()
    expected = museval.evaluate(reference.mT.double().numpy(), estimate.mT.double().numpy())
    theirs = time.perf_counter() - began
    shape = f"{options.sources} sources, {options.channels} channels, {options.seconds:g} s, {options.threads} threads"
    print(f"{shape}: ours {ours:.2f} s ({options.device})   museval {theirs:.1f} s   {theirs / ours:.0f}x")
    for name, ratio, value in zip(("SDR", "ISR", "SIR", "SAR"), found, expected, strict=False):
        print(f"{name}: largest difference {(ratio - torch.from_numpy(value)).abs().max():.1e} dB")


if __name__ == "__main__":
    main()
