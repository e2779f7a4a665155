"""Constant-Q transforms against librosa and nnAudio: time on one core, and how far the spectra are from each other.

    python tools/bench/cqt.py [--seconds 30] [--signals 2] [--rounds 3] [RECORDING ...]

Melodies of a synthesizer, or the recordings that are given, at 22050 Hz.  All take turns; medians over rounds and signals, by
the clock and of the processor, which others may share; of the ratios, those of each round.  librosa makes its kernels in every
call, the others beforehand.  "Apart" is the norm of the difference over that of the other's spectrum: of complex values, and
librosa asked for whole kernels (it drops small values of them unless told otherwise, and is timed so); nnAudio's CQT2010v2
counts time otherwise, so that its magnitudes are compared.  Ours has the windows of the one that it is held against.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
import torch
from nnAudio.features.cqt import CQT1992v2, CQT2010v2
from torch import Tensor

from toolkit import audio
from toolkit.blocks.fm_synthesizer import FMSynthesizer
from toolkit.dsp.cqt import CQT, Convention
from toolkit.dsp.resample import resample

RATE = 22050
LOWEST = librosa.note_to_hz("C1")


class Setting(NamedTuple):
    """Options of all of them."""

    bins: int
    bins_per_octave: int
    hop_length: int


class Taken(NamedTuple):
    """Seconds by the clock, and of the processor."""

    wall: float
    processor: float


SETTINGS = [Setting(84, 12, 512), Setting(252, 36, 512), Setting(84, 12, 128)]
Transform = Callable[[Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--signals", type=int, default=2, help="melodies, where no recordings are given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("recordings", nargs="*", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    signals = [read(path, options.seconds) for path in options.recordings]
    signals = signals or [melody(options.seconds, seed) for seed in range(options.signals)]
    print("bins  an octave  hop                    theirs, ms        ours, ms   times as fast      apart")
    print("                                    clock processor  clock processor  clock processor")
    for setting in SETTINGS:
        for name, (theirs, whole, ours, magnitudes) in contenders(setting).items():
            with torch.inference_mode():
                apart = max(difference(whole(signal), ours(signal), magnitudes) for signal in signals)
                rows = [(taken(theirs, signal), taken(ours, signal)) for _ in range(options.rounds) for signal in signals]
            kinds = Taken._fields
            columns = [1e3 * statistics.median(getattr(row[of], kind) for row in rows) for of in (0, 1) for kind in kinds]
            columns += [statistics.median(getattr(a, kind) / getattr(b, kind) for a, b in rows) for kind in kinds]
            print("{:4} {:10} {:4}".format(*setting) + f"  {name:12}", end=" ")
            print("{:8.1f} {:9.1f} {:6.1f} {:9.1f} {:6.1f} {:9.1f}".format(*columns) + f"   {apart:.1e}", flush=True)


def contenders(setting: Setting) -> dict[str, tuple[Transform, Transform, Transform, bool]]:
    """By name: theirs as it is timed and as it is compared, ours, and whether only magnitudes are compared."""
    bins, bins_per_octave, hop_length = setting
    sizes = {"hop_length": hop_length, "n_bins": bins, "bins_per_octave": bins_per_octave}

    def of_librosa(sparsity: float) -> Transform:
        return lambda signal: torch.from_numpy(librosa.cqt(signal.numpy(), sr=RATE, fmin=LOWEST, sparsity=sparsity, **sizes))

    def of_nnaudio(cls: type) -> Transform:
        layer = cls(sr=RATE, fmin=LOWEST, pad_mode="constant", verbose=False, **sizes)
        return lambda signal: torch.view_as_complex(layer(signal, "Complex", "librosa")[0].contiguous())

    def ours(kernels: Convention) -> Transform:
        transform = CQT(RATE, hop_length, LOWEST, bins, bins_per_octave, kernels=kernels)
        return lambda signal: transform(signal[None])[0]

    plain, reduced = of_nnaudio(CQT1992v2), of_nnaudio(CQT2010v2)
    return {
        "librosa": (of_librosa(0.01), of_librosa(0.0), ours("librosa"), False),
        "CQT1992v2": (plain, plain, ours("nnaudio"), False),
        "CQT2010v2": (reduced, reduced, ours("nnaudio"), True),
    }


def taken(transform: Transform, signal: Tensor) -> Taken:
    """Time of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    transform(signal)
    return Taken(time.perf_counter() - wall, time.process_time() - processor)


def difference(theirs: Tensor, ours: Tensor, magnitudes: bool) -> float:
    """Norm of the difference over theirs, of the frames that both have."""
    theirs, ours = (spectrum[:, : min(theirs.shape[1], ours.shape[1])] for spectrum in (theirs, ours))
    if magnitudes:
        theirs, ours = theirs.abs(), ours.abs()
    return ((theirs - ours).norm() / theirs.norm()).item()


def melody(seconds: float, seed: int) -> Tensor:
    """Notes of a third of a second by a synthesizer of six operators, fading in and out at the ends: (T)."""
    random = torch.Generator().manual_seed(seed)
    synthesizer = FMSynthesizer(RATE, 64, ("strings", "flute", "brass")[seed % 3], max_level=0.6)
    notes = int(3 * seconds)
    frames = round(seconds * RATE / 64)
    which = torch.arange(frames) * notes // frames
    f0 = 110 * 2 ** (torch.randint(0, 36, (notes,), generator=random) / 12)[which]
    levels = torch.randn(notes, 6, generator=random)[which]
    sound = synthesizer(levels[None], f0[None])[0]
    return 0.5 * sound * torch.from_numpy(np.hanning(len(sound)) ** 0.1).float()


def read(path: Path, seconds: float) -> Tensor:
    """The beginning of a recording, mixed down: (T)."""
    sample_rate = audio.info(path).sample_rate
    waveform = audio.read(path, 0, round(seconds * sample_rate)).mean(0).numpy()
    return torch.from_numpy(resample(waveform, sample_rate, RATE)).float()


if __name__ == "__main__":
    main()
