"""How fast CP-ResNet is trained, against a plain statement of EAsT's training step, and how fast the taggers tag a clip.

    python tools/bench/cp_resnet.py [--clips 2] [--device cuda] [--threads 2]

The plain step makes each clip's spectrogram by itself with torchaudio's filters, and runs a network written down layer by
layer, as the released code does; both have the same weights and must give the same logits.  Times are medians of the
processor's time, since others may share the machine, on a GPU of the clock.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional as F

from toolkit.blocks import CPResNet, KaldiMel, LinearHead, MeanPooling, MobileFCN
from toolkit.losses import DistanceCorrelation
from toolkit.models import Tagger, tap
from toolkit.models.vggish import VGGishNetwork, log_mel_patches

RATE, SECONDS, TAGS = 32000, 10, 20
KERNELS = [[(3, 1), (3, 3), (3, 3), (3, 3)], [(3, 1), (1, 3), (1, 3), (1, 3)], [(1, 1)] * 4]  # at rho 7
TOLERANCE = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=2, help="of 10 s in a batch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    with torch.device(arguments.device):
        print(training(arguments), flush=True)
        print(inference(arguments), flush=True)


class PlainBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, before: int, channels: int, first: int, second: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, first, padding=first // 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, second, padding=second // 3, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if before != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(before, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class PlainNetwork(nn.Module):
    """CP-ResNet at rho 7."""

    def __init__(self) -> None:
        super().__init__()
        self.entrance = nn.Sequential(nn.Conv2d(1, 128, 5, 2, 2, bias=False), nn.BatchNorm2d(128), nn.ReLU())
        widths = [128, 128, 256, 512]
        for number, kernels in enumerate(KERNELS):
            before, channels = widths[number : number + 2]
            blocks = [PlainBlock(channels if index else before, channels, *sizes) for index, sizes in enumerate(kernels)]
            setattr(self, f"stage{number}", nn.ModuleList(blocks))
        self.linear = nn.Linear(512, TAGS)

    def forward(self, spectrograms: Tensor) -> tuple[Tensor, Tensor]:
        x = self.entrance(spectrograms)
        for number in range(3):
            for index, block in enumerate(getattr(self, f"stage{number}")):
                x = block(x)
                if number == 0 and index != 2:
                    x = F.max_pool2d(x, 2)
        return self.linear(x.mean(-1).mean(-1)), x.mean(-2)


def plain_picture(waveform: Tensor) -> Tensor:
    """One clip's spectrogram (128, L)."""
    kernel = torch.tensor([[[-0.97, 1.0]]])
    emphasised = F.conv1d(waveform[None, None], kernel)[0]
    window = torch.hann_window(800, periodic=False)
    power = torch.stft(emphasised, 1024, 320, 800, window, return_complex=True).abs() ** 2
    with torch.device("cpu"):
        banks, _ = torchaudio.compliance.kaldi.get_mel_banks(128, 1024, RATE, 0.0, RATE / 2, 100.0, -500.0, 1.0)
    mel = F.pad(banks, (0, 1)).to(power) @ power[0]
    return ((mel + 1e-5).log() + 3.7) / 3.1


def plain_correlation(x: Tensor, y: Tensor) -> Tensor:
    """One less the distance correlation of (L, B, C) and (L, B, D)."""
    centred = []
    for features in (x, y):
        apart = (features[:, None] - features[:, :, None]).square().sum(-1).add(1e-12).sqrt()
        centred.append(apart - apart.mean(1, True) - apart.mean(2, True) + apart.mean((1, 2), True))
    a, b = centred
    products = [(one * other).mean((1, 2)) for one, other in ((a, b), (a, a), (b, b))]
    return (1 - products[0] / (products[1] * products[2] + 1e-9).sqrt()).mean()


def training(arguments: argparse.Namespace) -> str:
    """Time forward and backward of both in turn; one line of medians and the ratio."""
    ours, theirs = Tagger(KaldiMel(), CPResNet, MeanPooling, LinearHead, TAGS).train(), PlainNetwork().train()
    for parameter in ours.parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter)  # blocks that begin as their shortcuts would hide differences
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    waveforms = 0.1 * torch.randn(arguments.clips, RATE * SECONDS)
    labels, embeddings = torch.rand(arguments.clips, TAGS).round(), torch.randn(arguments.clips, 62, 768)

    def ours_step() -> Tensor:
        with tap(ours, {"last": "backbone.stages.2"}) as taps:
            logits = ours(waveforms)
        loss = F.binary_cross_entropy_with_logits(logits, labels)
        (loss + DistanceCorrelation()(taps["last"].mean(2).mT, embeddings)).backward()
        return logits

    def their_step() -> Tensor:
        logits, features = theirs(torch.stack([plain_picture(waveform) for waveform in waveforms])[:, None])
        loss = F.binary_cross_entropy(logits.sigmoid(), labels)
        (loss + plain_correlation(features.permute(2, 0, 1), embeddings.transpose(0, 1))).backward()
        return logits

    times, logits = in_turn({"ours": ours_step, "plain": their_step}, arguments)
    difference = float((logits["ours"] - logits["plain"]).detach().abs().max())
    if difference > TOLERANCE:
        raise SystemExit(f"the logits differ by {difference:.1e}")
    what = f"training step of CP-ResNet, {arguments.clips} clips of {SECONDS} s"
    faster = f"{times['plain'] / times['ours']:.2f}x as fast"
    return f"{what}: {times['ours']:.2f} s, plain {times['plain']:.2f} s: {faster}; logits differ by {difference:.0e}"


@torch.inference_mode()
def inference(arguments: argparse.Namespace) -> str:
    """A table of the networks' speeds, front ends included."""
    waveforms = 0.1 * torch.randn(arguments.clips, RATE * SECONDS)
    narrow = waveforms[:, ::2].contiguous()
    student = Tagger(KaldiMel(), CPResNet, MeanPooling, LinearHead, TAGS).eval()
    small = Tagger(KaldiMel(RATE // 2, 96), MobileFCN, MeanPooling, LinearHead, 50).eval()
    vggish = VGGishNetwork().eval()
    networks: dict[str, tuple[nn.Module, Callable[[], Tensor]]] = {
        "CP-ResNet": (student, lambda: student(waveforms)),
        "Mobile FCN": (small, lambda: small(narrow)),
        "VGGish": (vggish, lambda: vggish(log_mel_patches(narrow).flatten(0, 1))),
    }
    times, _ = in_turn({name: run for name, (_, run) in networks.items()}, arguments)
    lines = [f"{'clips of 10 s':<14}{'parameters':>14}{'a second':>10}{'of VGGish':>11}"]
    for name, (network, _) in networks.items():
        parameters = sum(parameter.numel() for parameter in network.parameters())
        lines.append(
            f"{name:<14}{parameters:>14,}{arguments.clips / times[name]:>10.2f}{times['VGGish'] / times[name]:>10.2f}x"
        )
    return "\n".join(lines)


def in_turn(
    systems: dict[str, Callable[[], Tensor]], arguments: argparse.Namespace
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Median times and last results."""
    on_gpu = torch.device(arguments.device).type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    times: dict[str, list[float]] = {name: [] for name in systems}
    results: dict[str, Tensor] = {}
    for _ in range(arguments.repeats + 1):  # the first warms up
        for name, run in systems.items():
            began = clock()
            results[name] = run()
            if on_gpu:
                torch.cuda.synchronize()
            times[name].append(clock() - began)
    return {name: statistics.median(values[1:]) for name, values in times.items()}, results


if __name__ == "__main__":
    main()
