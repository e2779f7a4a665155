"""How fast synthesizers are: FM against a loop over its operators, and streams in blocks against DDX7's published figures.

    python tools/bench/synthesis.py [--batch 16] [--seconds 4] [--rounds 7]

The first table: the patches of DDX7 on a batch as in its training, forward alone and forward with backward, on one core.  The
loop upsamples pitch and levels and computes one operator after the other over the whole sound, in single precision, as that
paper's code does it.  Both take turns; milliseconds are medians, by the clock and of the processor, which others may share; of
the ratios, those of each round.  "Apart" is the largest difference between the two in double precision.

The second table: time that a second of sound takes, in blocks whose state is carried along, on one core: DDX7 with six
operators and its baseline HpN, both with their room of 16,000 taps and random weights (`toolkit realtime` measures others).
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from toolkit.blocks.controllers import CausalTCN, RecurrentDecoder
from toolkit.blocks.fm_synthesizer import FMSynthesizer
from toolkit.blocks.harmonic_noise import HarmonicNoise
from toolkit.blocks.reverbs import NoiseReverb
from toolkit.dsp.fm import PATCHES, Patch
from toolkit.models.resynthesizer import Resynthesizer
from toolkit.score.real_time import BLOCKS, measure

RATE, HOP = 16000, 64
MAX_LEVEL = 0.32  # cycles: a modulation index of 2
Render = Callable[[Tensor, Tensor], Tensor]
PUBLISHED = {  # https://fcaspe.github.io/ddx7, on an Intel i7-6700HQ
    "DDX7": (0.079, 0.158, 0.343, 0.637, 1.31, 2.51, 5.01),
    "HpN": (0.231, 0.466, 1.04, 1.88, 3.71, 7.39, 15.2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    throughput(options.batch, round(options.seconds * RATE / HOP), options.rounds)
    streams()


def throughput(batch: int, frames: int, rounds: int) -> None:
    """Print the first table."""
    print("                             loop, ms          ours, ms   times as fast     apart")
    print("                      clock processor   clock processor  clock processor")
    for name in ("strings", "flute", "brass", "2stack2", "1stack2"):
        synthesizer = FMSynthesizer(RATE, HOP, name, max_level=MAX_LEVEL, antialias=False)
        loop = plain(PATCHES[name])
        parameters, f0 = torch.randn(batch, frames, synthesizer.parameters_in), 300 + 500 * torch.rand(batch, frames)
        short = parameters[:1, :50].double(), f0[:1, :50].double()
        apart = (loop(*short) - synthesizer(*short)).abs().max().item()
        for kind, run in (("forward", forward), ("and backward", backward)):
            times = [(run(loop, parameters, f0), run(synthesizer, parameters, f0)) for _ in range(rounds + 1)][1:]
            columns = [1e3 * statistics.median(row[of][clock] for row in times) for of in (0, 1) for clock in (0, 1)]
            columns += [statistics.median(theirs[clock] / ours[clock] for theirs, ours in times) for clock in (0, 1)]
            print(f"{name:8}{kind:12}" + "{:7.1f} {:9.1f} {:7.1f} {:9.1f} {:6.1f} {:9.1f}".format(*columns) + f"   {apart:.0e}")


def plain(patch: Patch) -> Render:
    """One operator after the other."""

    def render(parameters: Tensor, f0: Tensor) -> Tensor:
        frames = MAX_LEVEL * torch.sigmoid(parameters)
        levels = F.interpolate(frames.transpose(1, 2), scale_factor=HOP, mode="linear").transpose(1, 2)
        frequencies = F.interpolate(f0[:, None], scale_factor=HOP, mode="linear")[:, 0]
        omega = torch.cumsum(2 * math.pi * frequencies / RATE, 1)
        outputs: dict[int, Tensor] = {}
        for operator in patch.order:
            phase = patch.ratios[operator - 1] * omega
            for modulator in patch.modulators(operator):
                phase = phase + 2 * math.pi * outputs[modulator]
            outputs[operator] = levels[..., operator - 1] * torch.sin(phase % (2 * math.pi))
        carriers = [outputs[carrier] for carrier in patch.carriers]
        return sum(carriers[1:], carriers[0]) / MAX_LEVEL

    return render


def forward(render: Render, parameters: Tensor, f0: Tensor) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    with torch.no_grad():
        wall, processor = time.perf_counter(), time.process_time()
        render(parameters, f0)
        return time.perf_counter() - wall, time.process_time() - processor


def backward(render: Render, parameters: Tensor, f0: Tensor) -> tuple[float, float]:
    """The same, with the gradient to the parameters, of a gradient that arrives at the sound."""
    arriving, learned = torch.ones(len(f0), f0.shape[1] * HOP), parameters.clone().requires_grad_()
    wall, processor = time.perf_counter(), time.process_time()
    torch.autograd.grad(render(learned, f0), learned, arriving)
    return time.perf_counter() - wall, time.process_time() - processor


def streams() -> None:
    """Print the second table."""
    print("\nblocks, ms               " + "".join(f"{block:8}" for block in BLOCKS))
    for name, model in models().items():
        factors = [measure(model, block) for block in BLOCKS]
        print(f"{name:6} published         " + "".join(f"{value:8.3f}" for value in PUBLISHED[name]))
        print("       ours, clock       " + "".join(f"{found.wall:8.3f}" for found in factors))
        print("       ours, processor   " + "".join(f"{found.processor:8.3f}" for found in factors), flush=True)


def models() -> dict[str, Resynthesizer]:
    """Those of the published figures."""

    def fm(sample_rate: int, hop_length: int) -> FMSynthesizer:
        return FMSynthesizer(sample_rate, hop_length, max_level=MAX_LEVEL, antialias=False)

    def harmonic_noise(sample_rate: int, hop_length: int) -> HarmonicNoise:
        return HarmonicNoise(sample_rate, hop_length, harmonics=60, bands=65, curve="hold", noise_bias=0.0)

    def leaky(conditions: int, parameters: int) -> RecurrentDecoder:
        return RecurrentDecoder(conditions, parameters, activation="leaky_relu")

    return {
        "DDX7": Resynthesizer(CausalTCN, fm, NoiseReverb(), RATE, HOP),
        "HpN": Resynthesizer(leaky, harmonic_noise, NoiseReverb(), RATE, HOP),
    }


if __name__ == "__main__":
    main()
