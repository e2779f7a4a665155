"""How fast Open-Unmix separates, against the `openunmix` package with the same weights: four sources of UMX's size, stereo.

    python tools/bench/open_unmix.py [--seconds 15] [--device cuda] [--threads 2]

Both separate the same noise in turn in one process, and must give the same signals.  Times are medians; a real-time factor
(RTF) is seconds of computing for a second of sound.  The processor's time is compared too, since others may share the machine.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from openunmix.model import OpenUnmix as Theirs
from openunmix.model import Separator
from torch import Tensor

from toolkit.blocks import OpenUnmix, load_openunmix
from toolkit.models import SpectrogramSeparator

SAMPLE_RATE, BINS, MAX_BIN = 44100, 2049, 1487
TARGETS = ("drums", "bass", "other", "vocals")
TOLERANCE = {"cpu": 1e-5, "cuda": 1e-3}  # of the peak; a GPU's matrix products are of TF32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="of the mixture")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--iterations", type=int, nargs="+", default=[1, 0], help="of the Wiener filter")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for iterations in arguments.iterations:
        print(compare(iterations, arguments), flush=True)


@torch.inference_mode()
def compare(iterations: int, arguments: argparse.Namespace) -> str:
    """Time both in turn; one line of medians and ratios."""
    device = torch.device(arguments.device)
    torch.manual_seed(0)
    mixture = 0.1 * torch.randn(1, 2, round(arguments.seconds * SAMPLE_RATE), device=device)
    systems = build(iterations, device)
    wall: dict[str, list[float]] = {name: [] for name in systems}
    processor: dict[str, list[float]] = {name: [] for name in systems}
    separated: dict[str, Tensor] = {}
    for _ in range(arguments.repeats + 1):  # the first warms up
        for name, separate in systems.items():
            began, worked = time.perf_counter(), time.process_time()
            separated[name] = separate(mixture)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            wall[name].append(time.perf_counter() - began)
            processor[name].append(time.process_time() - worked)
    difference = float((separated["ours"] - separated["openunmix"]).abs().max() / separated["openunmix"].abs().max())
    if difference > TOLERANCE[device.type]:
        raise SystemExit(f"the signals differ by {difference:.1e} of their peak")
    ours, theirs = (statistics.median(wall[name][1:]) for name in ("ours", "openunmix"))
    work, their_work = (statistics.median(processor[name][1:]) for name in ("ours", "openunmix"))
    return (
        f"{iterations} Wiener iterations: RTF {ours / arguments.seconds:.3f}, openunmix {theirs / arguments.seconds:.3f}: "
        f"{theirs / ours:.2f}x as fast ({their_work / work:.2f}x by processor time); difference {difference:.0e} of the peak"
    )


def build(iterations: int, device: torch.device) -> dict[str, Callable[[Tensor], Tensor]]:
    """Both separators, of equal weights."""
    networks = {name: Theirs(BINS, max_bin=MAX_BIN) for name in TARGETS}
    separator = Separator(networks, niter=iterations).to(device)
    separator.freeze()
    model = SpectrogramSeparator(partial(OpenUnmix, max_bin=MAX_BIN), wiener_iterations=iterations)
    load_openunmix(model.masker, [network.state_dict() for network in networks.values()])
    return {"openunmix": separator, "ours": model.to(device).eval().separate}


if __name__ == "__main__":
    main()
