"""Reading stored features in any order against shard by shard (`data.shuffle: shards`), from a disk that nothing is kept of.

    python tools/bench/shards.py [--megabytes 192] [--folder .]

Clips of a second are read in batches of 64, in the loader's order, without workers.  Before each reading the system is told to
forget the files (`posix_fadvise`), which other programs do not notice.  Told are megabytes of clips a second, by the clock, and
bytes read from the disk for each byte of clips (Linux).  Of the random order only the first batches are read, as later ones
would find in memory what a store larger than memory does not leave there; of the order by shards a whole epoch is.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np

from toolkit.data import loader, manifest
from toolkit.data.performances import PerformanceDataset
from toolkit.data.shards import Shuffle
from toolkit.data.store import StoreWriter, folder_of

RATE, CLIPS, BATCH_SIZE = 16000, 256, 64  # samples of a clip of a second; clips of a shard, as the stage `features` makes them
EXAMPLES, SHARDS = get_args(Shuffle)
FEATURE = SimpleNamespace(name="bench", scale=1.0)


def main() -> None:
    """Read in both orders, two epochs of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=192, help="of all shards")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk that is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder = Path(made)
        write(folder, options.megabytes * 1_000_000 // (2 * RATE * CLIPS))
        for epoch in range(2):
            for shuffle, most in ((EXAMPLES, 2), (SHARDS, None)):
                forget(folder)
                tell(folder, shuffle, most, epoch)


def write(folder: Path, shards: int) -> None:
    """The store and its manifest."""
    rng, items = np.random.default_rng(0), []
    writer = StoreWriter(folder_of(folder, FEATURE.name, "bench"), {})
    for shard in range(shards):
        names = [f"clip{number:08d}" for number in range(shard * CLIPS, (shard + 1) * CLIPS)]
        noise = rng.integers(-9999, 9999, (CLIPS, RATE), np.int16)
        writer.write(shard, list(zip(names, noise, strict=True)))
        items += [manifest.Item(name, "train", RATE, RATE, 1, {}) for name in names]
    writer.finish(shards)
    manifest.write(folder / "bench.jsonl", {"root": ".", "name": "bench"}, items)


def forget(folder: Path) -> None:
    """Let the system drop what it holds of the files in memory."""
    for path in folder.rglob("*.npy"):
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def tell(folder: Path, shuffle: Shuffle, most: int | None, epoch: int) -> None:
    """Read an epoch, or so many batches of it, and print what it took."""
    opened = manifest.Manifest.open(folder / "bench.jsonl")
    source = PerformanceDataset(opened, folder, FEATURE, None, None, 1, shuffle=shuffle)  # type: ignore[arg-type]
    began, before, wanted = time.perf_counter(), from_disk(), 0
    for indices in loader.order(len(source), BATCH_SIZE, 0, epoch, True, 0, 1, True, source.shards())[:most]:
        wanted += source.batch(epoch, indices.tolist()).waveform.numel() * np.dtype(np.int16).itemsize
    elapsed, read = time.perf_counter() - began, from_disk() - before
    print(f"{shuffle:<8} {wanted / elapsed / 1e6:6.1f} MB/s, {read / wanted:6.1f} bytes from the disk for each", flush=True)


def from_disk() -> int:
    """Bytes that the disk has read for this process."""
    rows = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(rows["read_bytes"])


if __name__ == "__main__":
    main()
