"""How long `prepare` takes for OpenMIC-2018 in its official size, and how much memory: random features and ratings, no audio.

The archive has `openmic-2018.npz` as published (20,000 clips of 10 x 128 whole numbers of 64 bits, keys as Python objects) and
the partitions; all manifests of both validation rules are written. `prepare` runs in a process of its own. For comparison, what
it takes to load the same arrays with NumPy alone.
Usage: python tools/bench/openmic2018.py [--clips 20000]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TRAIN = 14915 / 20000

MEASURED = """
import json, resource, sys, time
{setup}
began = time.perf_counter()
{work}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB on Linux
print(json.dumps([time.perf_counter() - began, peak / 1024]))
"""
PREPARE = (
    "from pathlib import Path; from toolkit.corpora import openmic2018",
    "openmic2018.prepare(Path(sys.argv[1]), Path(sys.argv[2]))",
)
LOAD = ("import numpy", "arrays = numpy.load(sys.argv[1] + '/openmic-2018.npz', allow_pickle=True); dict(arrays)")


def make_archive(root: Path, clips: int) -> None:
    """A folder in the archive's layout; two of twenty tags are rated."""
    rng = np.random.default_rng(0)
    keys = [f"{number:06d}_{3840 * (number % 9)}" for number in range(clips)]
    mask = rng.random((clips, 20)) < 0.1
    labels = np.where(mask, rng.random((clips, 20)).round(5), 0.5)
    np.savez(
        root / "openmic-2018.npz",
        X=rng.integers(0, 256, (clips, 10, 128)),
        Y_true=labels,
        Y_mask=mask,
        sample_key=np.array(keys, dtype=object),
    )
    (root / "partitions").mkdir()
    in_train = rng.permutation(clips) < TRAIN * clips
    for split, wanted in (("train", True), ("test", False)):
        lines = [f"{key}\n" for key, train in zip(keys, in_train, strict=True) if train == wanted]
        (root / "partitions" / f"split01_{split}.csv").write_text("".join(lines))


def measure(parts: tuple[str, str], corpus: Path, data: Path) -> tuple[float, float]:
    """Seconds without imports, and peak memory in MiB with them."""
    setup, work = parts
    script = MEASURED.format(setup=setup, work=work)
    command = [sys.executable, "-c", script, str(corpus), str(data)]
    seconds, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return seconds, memory


def main() -> None:
    """Print seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus, data = Path(folder) / "openmic-2018", Path(folder) / "data"
        corpus.mkdir()
        make_archive(corpus, options.clips)
        for name, parts in (("numpy.load", LOAD), ("prepare", PREPARE)):
            seconds, memory = measure(parts, corpus, data)
            print(f"{options.clips} clips, {name}: {seconds:.1f} s, peak {memory:.0f} MiB")


if __name__ == "__main__":
    main()
