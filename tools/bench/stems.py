"""How many training examples of MUSDB18-HQ a second are loaded: Reprise against Open-Unmix's and Asteroid's datasets.

Same files: noise in the layout of MUSDB18-HQ, six stereo tracks of 3 minutes, 44.1 kHz, 16-bit WAV. Segments of 6 s, every stem
from a random place of a random track, with a random gain and channel swap; batches of 16. Open-Unmix's dataset starts `ffmpeg`
for each stem, so it has fewer examples in a round, and it yields one target, the others all four. All load in one process and
with workers; rounds take turns, so that a noisy machine is noisy for all.
Usage: python tools/bench/stems.py [--workers 2] [--rounds 3]
"""

import argparse
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile
from torch.utils.data import DataLoader, Dataset

from toolkit.data import loader, manifest
from toolkit.data.augment import ChannelSwap, Gain
from toolkit.data.segments import SegmentDataset
from toolkit.data.stems import StemMixing

SAMPLE_RATE, SEGMENT, BATCH_SIZE = 44100, 6.0, 16
TRACKS, SECONDS = 6, 180
STEMS = ["drums", "bass", "other", "vocals"]
PER_TRACK = {"Reprise": 32, "Asteroid": 8, "Open-Unmix": 1}  # examples of a track in a round


def make_corpus(root: Path) -> None:
    """Noise in the folders of MUSDB18-HQ, and our manifest."""
    rng, items = np.random.default_rng(0), []
    for number in range(TRACKS):
        paths = {role: f"train/Artist {number} - Title/{role}.wav" for role in ["mixture", *STEMS]}
        (root / paths["mixture"]).parent.mkdir(parents=True)
        for path in paths.values():
            noise = rng.integers(-9000, 9000, (SECONDS * SAMPLE_RATE, 2), np.int16)
            soundfile.write(root / path, noise, SAMPLE_RATE)
        items.append(manifest.Item(f"Artist {number} - Title", "train", SAMPLE_RATE, SECONDS * SAMPLE_RATE, 2, paths))
    manifest.write(root / "train.jsonl", {"name": "bench", "root": "."}, items)


def our_source(root: Path) -> StemMixing:
    """As a recipe of Open-Unmix has it."""
    static = SegmentDataset(manifest.Manifest.open(root / "train.jsonl"), SEGMENT, sources=STEMS)
    return StemMixing(
        root, static, 0, remix="tracks", examples_per_track=PER_TRACK["Reprise"], augment=[Gain(0.25, 1.25), ChannelSwap()]
    )


def their_datasets(root: Path) -> dict[str, Dataset]:
    """Both packages' own classes for these files."""
    sys.modules.setdefault("librosa", types.ModuleType("librosa"))  # Asteroid imports it for other corpora
    from asteroid.data import MUSDB18Dataset
    from openunmix.data import MUSDBDataset, aug_from_str

    changes = aug_from_str(["gain", "channelswap"])
    return {
        "Asteroid": MUSDB18Dataset(
            str(root),
            STEMS,
            targets=STEMS,
            segment=SEGMENT,
            samples_per_track=PER_TRACK["Asteroid"],
            random_segments=True,
            random_track_mix=True,
            source_augmentations=changes,
        ),
        "Open-Unmix": MUSDBDataset(
            root=str(root),
            is_wav=True,
            seq_duration=SEGMENT,
            samples_per_track=PER_TRACK["Open-Unmix"],
            source_augmentations=changes,
            random_track_mix=True,
        ),
    }


def rate(batches: Iterable[Sequence[Any]]) -> float:
    """Examples a second."""
    began, examples = time.perf_counter(), 0
    for mixture, *_ in batches:
        examples += len(mixture)
    return examples / (time.perf_counter() - began)


def main() -> None:
    """Print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_corpus(Path(folder))
        ours, theirs = our_source(Path(folder)), their_datasets(Path(folder))
        for workers in sorted({0, options.workers}):
            compare(workers, options.rounds, ours, theirs)


def compare(workers: int, rounds: int, ours: StemMixing, theirs: dict[str, Dataset]) -> None:
    """One round of each in turn; the first, in which processes start and files are read into memory, does not count."""
    runs: dict[str, Callable[[int], Iterable[Sequence[Any]]]] = {
        "Reprise": lambda epoch: loader.batches(ours, batch_size=BATCH_SIZE, seed=0, epoch=epoch, workers=workers)
    }
    for name, dataset in theirs.items():
        table = DataLoader(dataset, BATCH_SIZE, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
        runs[name] = lambda epoch, table=table: table
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for epoch in range(rounds + 1):
        for name, run in runs.items():
            rates[name].append(rate(run(epoch)))
    middle = {name: median(values[1:]) for name, values in rates.items()}
    shown = ", ".join(f"{name} {value:.1f}" for name, value in middle.items())
    ratios = ", ".join(f"{middle['Reprise'] / middle[name]:.1f} {name}'s" for name in theirs)
    print(f"{workers} workers: {shown} examples/s; {ratios}")


if __name__ == "__main__":
    main()
