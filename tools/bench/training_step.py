"""How fast a training step is, against Asteroid's network of the same size: forward, PIT loss, backward, Adam.

Both take their steps in turn in one process, with the same loss, optimizer, threads and memory allocator, and start from the
same kind of weights.  Medians are compared; the processor's time too, since others may share the machine.

    python tools/bench/training_step.py [--model dprnn] [--device cuda --precision bf16 --compile]
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from toolkit.blocks import DPRNN, TCN, LearnedFilterbank
from toolkit.losses import NegativeSISDR, PermutationInvariant
from toolkit.models import MaskedSeparator

SAMPLE_RATE = 8000
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MODELS = ("conv_tasnet", "dprnn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, nargs="+", default=MODELS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--compile", action="store_true", help="compile both networks")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each example")
    parser.add_argument("--steps", type=int, default=7, help="that are timed, of each network")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for model in arguments.model:
        print(compare(model, arguments), flush=True)


def compare(model: str, arguments: argparse.Namespace) -> str:
    """Time both networks in turn; one line of medians and ratios."""
    device = torch.device(arguments.device)
    shape = (arguments.batch, 2, 1, round(arguments.seconds * SAMPLE_RATE))
    references = torch.randn(shape, device=device)
    systems = {}
    for name, network in networks(model).items():
        count = sum(parameter.numel() for parameter in network.parameters())
        systems[name] = count, training_step(network.to(device), references, arguments)
    (parameters, _), (expected, _) = systems.values()
    if parameters != expected:
        raise SystemExit(f"{model}: {parameters} parameters against {expected}")
    wall: dict[str, list[float]] = {name: [] for name in systems}
    processor: dict[str, list[float]] = {name: [] for name in systems}
    for step in range(arguments.steps + 2):  # the first two warm up
        for name, (_, run) in systems.items():
            synchronise(device)
            began, worked = time.perf_counter(), time.process_time()
            run()
            synchronise(device)
            if step >= 2:
                wall[name].append(time.perf_counter() - began)
                processor[name].append(time.process_time() - worked)
    ours, theirs = (statistics.median(times) for times in wall.values())
    ours_cpu, theirs_cpu = (statistics.median(times) for times in processor.values())
    return (
        f"{model}, {parameters:,} parameters, {arguments.batch} x {arguments.seconds:g} s, {arguments.precision}, {device}: "
        f"ours {ours:.3f} s, asteroid {theirs:.3f} s, {theirs / ours:.2f} times as fast "
        f"(processor time {ours_cpu:.3f} s, {theirs_cpu:.3f} s, {theirs_cpu / ours_cpu:.2f} times)"
    )


def networks(model: str) -> dict[str, nn.Module]:
    """Ours and Asteroid's, of the same layers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from asteroid.models import ConvTasNet, DPRNNTasNet
    if model == "conv_tasnet":
        return {"ours": MaskedSeparator(LearnedFilterbank(512, 16), TCN), "asteroid": ConvTasNet(2, encoder_activation="relu")}
    ours = MaskedSeparator(LearnedFilterbank(64, 16, activation="linear"), DPRNN)
    return {"ours": ours, "asteroid": DPRNNTasNet(2)}


def training_step(network: nn.Module, references: Tensor, arguments: argparse.Namespace) -> Callable[[], None]:
    """What a training loop does with one batch."""
    forward = torch.compile(network) if arguments.compile else network
    loss = PermutationInvariant(NegativeSISDR())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler(references.device.type, enabled=arguments.precision == "fp16")
    mixture = references.sum(1)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        precision = PRECISIONS[arguments.precision]
        with torch.autocast(references.device.type, precision, enabled=arguments.precision != "fp32"):
            value = loss(forward(mixture).view_as(references).float(), references).mean()
        scaler.scale(value).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
