"""How many training examples a second are loaded: Reprise against Asteroid's LibriMix, same files, same run.

Two speakers, 8 kHz, 3-s segments, 16-bit WAV, batches of 24.  Both load in one process and with workers; rounds take turns, so
that a noisy machine is noisy for both.  Usage: python tools/bench/loader.py [--workers 2] [--items 600] [--rounds 5]
"""

import argparse
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import torch
from torch.utils.data import DataLoader, Dataset

from toolkit import audio
from toolkit.data import loader, manifest
from toolkit.data.segments import SegmentDataset

SAMPLE_RATE, SEGMENT, BATCH_SIZE = 8000, 3.0, 24
ROLES = ("mixture", "s1", "s2")


def asteroid_dataset(folder: str) -> Dataset:
    """Asteroid's own class for these files."""
    sys.modules.setdefault("librosa", types.ModuleType("librosa"))  # Asteroid imports it for other corpora
    from asteroid.data import LibriMix

    return LibriMix(folder, "sep_clean", SAMPLE_RATE, 2, SEGMENT)


def make_corpus(root: Path, count: int) -> None:
    """Noise of 3 to 13 s, a manifest for us and a table for Asteroid."""
    items, rows = [], ["mixture_ID,mixture_path,source_1_path,source_2_path,length"]
    for number in range(count):
        frames = int(SAMPLE_RATE * (3 + 10 * ((number * 0.618) % 1)))
        paths = {role: f"{role}/{number:05d}.wav" for role in ROLES}
        for path in paths.values():
            audio.write(root / path, 0.1 * torch.randn(1, frames), SAMPLE_RATE)
        items.append(manifest.Item(f"{number:05d}", "train", SAMPLE_RATE, frames, 1, paths))
        rows.append(",".join([str(number), *(str(root / path) for path in paths.values()), str(frames)]))
    manifest.write(root / "train.jsonl", {"name": "bench", "root": "."}, items)
    (root / "mixture_train_mix_clean.csv").write_text("\n".join(rows) + "\n")


def rate(batches: Iterable[object]) -> float:
    """Examples a second."""
    began, examples = time.perf_counter(), 0
    for _ in batches:
        examples += BATCH_SIZE
    return examples / (time.perf_counter() - began)


def main() -> None:
    """Print the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_corpus(Path(folder), options.items)
        ours = SegmentDataset(manifest.Manifest.open(Path(folder) / "train.jsonl"), SEGMENT)
        theirs = asteroid_dataset(folder)
        for workers in sorted({0, options.workers}):
            table = DataLoader(
                theirs, BATCH_SIZE, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
            )
            compare(workers, options.rounds, ours, table)


def compare(workers: int, rounds: int, ours: SegmentDataset, theirs: DataLoader) -> None:
    """One round of each in turn; the first, in which processes start and files are read into memory, does not count."""
    runs: dict[str, Callable[[int], Iterable[object]]] = {
        "Reprise": lambda epoch: loader.batches(ours, batch_size=BATCH_SIZE, seed=0, epoch=epoch, workers=workers),
        "Asteroid": lambda epoch: theirs,
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for epoch in range(rounds + 1):
        for name, run in runs.items():
            rates[name].append(rate(run(epoch)))
    middle = {name: median(values[1:]) for name, values in rates.items()}
    shown = ", ".join(f"{name} {value:.0f}" for name, value in middle.items())
    print(f"{workers} workers: {shown} examples/s, ratio {middle['Reprise'] / middle['Asteroid']:.1f}")


if __name__ == "__main__":
    main()
