"""How fast Demucs' third version separates, against the package `demucs` with the same weights: hybrid and time-only.

    python tools/bench/hybrid_demucs.py [--seconds 10] [--device cuda] [--threads 2]

Both separate the same noise in turn in one process, and must give the same signals.  Times are medians; a real-time factor
(RTF) is seconds of computing for a second of sound.  The processor's time is compared too, since others may share the machine.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from torch import Tensor, nn

from toolkit.models import HybridDemucs, SeparationModel, TimeDemucs
from toolkit.models.demucs_weights import hybrid_demucs_weights, time_demucs_weights

RATE = 44100
STEMS = ["drums", "bass", "other", "vocals"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the mixture")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    mixture = 0.1 * torch.randn(1, 2, round(arguments.seconds * RATE), device=arguments.device)
    for name, ours, theirs, weights in [
        ("hybrid, 48 channels", HybridDemucs, HDemucs, hybrid_demucs_weights),
        ("time only, 64 channels", TimeDemucs, Demucs, time_demucs_weights),
    ]:
        compare(name, ours(), theirs(STEMS), weights, mixture, arguments.repeats)


def compare(
    name: str,
    ours: SeparationModel,
    theirs: nn.Module,
    weights: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    mixture: Tensor,
    repeats: int,
) -> None:
    """Time both in turn and print a line of medians and ratios."""
    theirs = theirs.eval().to(mixture.device)
    ours.load_state_dict(weights(theirs.state_dict()))
    ours = ours.eval().to(mixture.device)
    with torch.inference_mode():
        difference = (ours(mixture) - theirs(mixture)).abs().max().item()
        if difference > 1e-5:
            raise SystemExit(f"{name}: the signals differ by {difference:.1e}")
        pairs = [(timed(ours, mixture), timed(theirs, mixture)) for _ in range(repeats)]
    seconds = mixture.shape[-1] / RATE
    (own, work), (other, other_work) = (
        map(statistics.median, zip(*column, strict=True)) for column in zip(*pairs, strict=True)
    )
    print(
        f"{name}: RTF {own / seconds:.3f}, demucs {other / seconds:.3f}: {other / own:.2f}x as fast "
        f"({other_work / work:.2f}x by processor time); largest difference {difference:.0e}",
        flush=True,
    )


def timed(model: nn.Module, mixture: Tensor) -> tuple[float, float]:
    """Seconds of one separation, and of the processor's work in it."""
    began, worked = time.perf_counter(), time.process_time()
    model(mixture)
    if mixture.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began, time.process_time() - worked


if __name__ == "__main__":
    main()
