"""What a manifest of a million items costs: seconds and memory from its writing to the first batch.

    python tools/bench/big_manifest.py [--items 1000000] [--only write open recordings mixing store clips prepare again]

Items have ids, paths and labels of usual length and come in no order; a third of them is too short and filtered out.  All of
them are one recording of noise, so that little is written; of each, one vector of numbers is stored as a feature.  `prepare` is
the stage of that name over as many utterances, and as many mixtures of two of them, of which no sound is made, and `again` is
the same where its journals are there.  Every step runs in a process of its own: the clock's and the processor's seconds, and
how much more memory it held at most than after its imports.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from toolkit.corpora._mixing import MixtureWork, UtteranceWork
    from toolkit.data.manifest import Item

RATE, SEGMENT, BATCH_SIZE = 8000, 1.0, 32
TAGS, WIDTH, SHARD = 10, 8, 4096  # labels of an item; numbers stored of it; items of a shard
STRIDE = 7919  # items come this far apart in the order of their ids; prime to the number of items
FEATURE = SimpleNamespace(name="bench", scale=1.0)


def main() -> None:
    """Run the steps one after another, each in its process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS), help="what is measured of the steps")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(measured(options.step, options.folder, options.items)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            if step not in options.only and not any(step in NEEDS.get(one, []) for one in options.only):
                continue
            command = [sys.executable, __file__, "--step", step, "--folder", folder, "--items", str(options.items)]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            print(
                f"{step:<11} {found['seconds']:7.1f} s, {found['processor']:6.1f} s of the processor, "
                f"{found['megabytes']:7.1f} MB over the {found['baseline']:.0f} MB of the imports"
            )


def measured(step: str, folder: Path, items: int) -> dict[str, float]:
    """What a step takes, the imports aside."""
    from toolkit import audio  # noqa: F401
    from toolkit.corpora import _mixing  # noqa: F401
    from toolkit.data import clips, loader, mixing  # noqa: F401

    before, began, worked = peak(), time.perf_counter(), time.process_time()
    STEPS[step](folder, items)
    return {
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - worked,
        "megabytes": peak() - before,
        "baseline": before,
    }


def peak() -> float:
    """Megabytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write(folder: Path, items: int) -> None:
    """The manifest, from items as they come."""
    import torch

    from toolkit import audio
    from toolkit.data import manifest

    audio.write(folder / "noise.wav", 0.1 * torch.randn(1, 2 * RATE), RATE)
    header = {"name": "bench", "root": ".", "tags": [f"tag{k}" for k in range(TAGS)]}
    manifest.write(folder / "bench.jsonl", header, made(items))


def made(items: int) -> "Iterator[Item]":
    """Items, each when it is asked for."""
    from toolkit.data.manifest import Item

    for number in range(items):
        place = number * STRIDE % items
        labels = {"speaker": f"speaker{place % 999}", "tags": [float((place >> k) & 1) for k in range(TAGS)]}
        frames = RATE // 2 if place % 3 == 0 else 2 * RATE
        yield Item(
            f"corpus-{place:09d}-utterance", "train", RATE, frames, 1, dict.fromkeys(("s1", "speech"), "noise.wav"), labels
        )


def opened(folder: Path, items: int) -> None:
    """Find where the items begin, and read one."""
    from toolkit.data.manifest import Manifest

    found = Manifest.open(folder / "bench.jsonl")
    assert len(found) == items
    assert found[items // 2].id == f"corpus-{items // 2:09d}-utterance"


def recordings(folder: Path, items: int) -> None:
    """Filter, and read the first batch of pieces of recordings."""
    from toolkit.data import loader
    from toolkit.data.manifest import Manifest
    from toolkit.data.segments import SegmentDataset

    source = SegmentDataset(Manifest.open(folder / "bench.jsonl"), SEGMENT)
    assert len(source) == items - -(-items // 3)
    assert len(next(loader.batches(source, batch_size=BATCH_SIZE, seed=0, epoch=0)).ids) == BATCH_SIZE


def mixing(folder: Path, items: int) -> None:
    """Index the utterances, and mix the first batch of them."""
    from toolkit.data import loader
    from toolkit.data.manifest import Manifest
    from toolkit.data.mixing import DynamicMixing, OppositeLevels
    from toolkit.data.segments import SegmentDataset

    write(folder / "few", 8)
    static = SegmentDataset(Manifest.open(folder / "few" / "bench.jsonl"), SEGMENT)
    source = DynamicMixing(folder, static, 0, "bench", OppositeLevels(), examples=items)
    assert len(next(loader.batches(source, batch_size=BATCH_SIZE, seed=0, epoch=0)).ids) == BATCH_SIZE


def store(folder: Path, items: int) -> None:
    """Store a feature of two thirds of the items, shard by shard."""
    import numpy as np

    from toolkit.data.store import StoreWriter, folder_of

    writer = StoreWriter(folder_of(folder, FEATURE.name, "bench"), {"feature": FEATURE.name})
    shards = range(0, items, SHARD)
    for shard, begin in enumerate(shards):
        ids = [f"corpus-{place:09d}-utterance" for place in range(begin, min(items, begin + SHARD)) if place % 3]
        writer.write(shard, [(identity, np.zeros((1, WIDTH), np.float16)) for identity in ids])
    writer.finish(len(shards))


def stored_clips(folder: Path, items: int) -> None:
    """Match the manifest with the store, and read the first batch of stored features."""
    from toolkit.data import loader
    from toolkit.data.clips import ClipDataset
    from toolkit.data.manifest import Manifest

    source = ClipDataset(Manifest.open(folder / "bench.jsonl"), folder, FEATURE)  # type: ignore[arg-type]
    assert len(source) == items - -(-items // 3)
    assert len(next(loader.batches(source, batch_size=BATCH_SIZE, seed=0, epoch=0)).ids) == BATCH_SIZE


class Pair(NamedTuple):
    """A mixture of two utterances."""

    name: str
    utterances: tuple[str, ...]


def prepare(folder: Path, items: int) -> None:
    """Prepare the utterances of a corpus, and mixtures of two."""
    from toolkit.corpora._mixing import Mixing, Place
    from toolkit.data import parallel

    keys = [f"corpus/speaker{place % 999:03d}/{place:09d}-utterance" for place in range(items)]
    with parallel.Workers(1) as workers:
        stage = Mixing("bench", folder, folder / "prepared", RATE, "min", "full", workers, strict=False)
        sources = dict.fromkeys(keys, folder / "noise.wav")
        spoken = stage.prepare_utterances(
            utterance, "utterances", "tr", sources, lambda found: {"active_level": found["level"]}
        )
        pairs = [Pair(f"{one:09d}_{items - 1 - one:09d}", (keys[one], keys[items - 1 - one])) for one in range(items)]
        place = Place("bench-2mix", "2speakers", "mix")
        stage.prepare_mixtures(mixture, place, "tr", pairs, spoken, lambda pair: (0.5, 0.5), lambda pair, found: {})


def utterance(work: "UtteranceWork") -> dict[str, Any]:
    """What is told of an utterance."""
    return {"frames": 2 * RATE, "level": 0.01}


def mixture(work: "MixtureWork") -> dict[str, Any]:
    """What is told of a mixture."""
    return {"frames": 2 * RATE}


STEPS: dict[str, Callable[[Path, int], None]] = {
    "write": write,
    "open": opened,
    "recordings": recordings,
    "mixing": mixing,
    "store": store,
    "clips": stored_clips,
    "prepare": prepare,
    "again": prepare,
}
NEEDS = {step: ["write"] for step in STEPS} | {"clips": ["write", "store"], "again": ["write", "prepare"]}  # what goes before

if __name__ == "__main__":
    main()
