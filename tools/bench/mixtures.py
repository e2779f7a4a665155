"""How fast WSJ0-mix is prepared, against a plain loop over the mixtures as the original scripts have it.

The loop reads both utterances, resamples them, measures their levels, mixes and writes, for every mixture anew; both sides use
the same functions for resampling and levels.  As in the real corpus, an utterance is used 4.6 times on average.

    python tools/bench/mixtures.py [--mixtures 300] [--nj 2]
"""

import argparse
import filecmp
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from toolkit.corpora import wsj0_mix
from toolkit.dsp.active_level import active_level
from toolkit.dsp.resample import resample

USES = 4.6  # 40,000 places for 8,769 utterances in the list of 2 speakers, tr
SECONDS = 7.0  # mean length of an utterance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixtures", type=int, default=300)
    parser.add_argument("--nj", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lists = write_corpus(root / "corpus", arguments.mixtures)
        plain = seconds(lambda: plain_loop(root / "corpus", root / "plain", lists))
        print(f"{arguments.mixtures} mixtures of {SECONDS} s: plain loop {plain:.1f} s")
        for nj in (1, arguments.nj):
            ours = seconds(lambda nj=nj: wsj0_mix.prepare(root / "corpus", root / f"nj{nj}", nj=nj))
            print(f"prepare --nj {nj}: {ours:.1f} s, {plain / ours:.1f} times as fast")
        again = seconds(lambda: wsj0_mix.prepare(root / "corpus", root / "nj1", nj=1))
        print(f"prepare again: {again:.2f} s, {plain / again:.0f} times as fast")
        print("the same whatever --nj:", same(root / "nj1", root / f"nj{arguments.nj}"))


def write_corpus(corpus: Path, mixtures: int) -> list[list[tuple[str, float]]]:
    """WSJ0 of noise, merged, as WAV; all mixtures are in the split tr, the others have one."""
    rng, draw = np.random.default_rng(0), random.Random(0)
    count = round(2 * mixtures / USES)
    keys = [f"si_tr_s/{number % 50:03d}/{number % 50:03d}c{number:04d}" for number in range(count)]
    for key in [*keys, "si_dt_05/050/050c0000", "si_et_05/440/440c0000"]:
        path = corpus / "wsj0" / f"{key}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        time_steps = int(16000 * rng.uniform(0.5, 1.5) * SECONDS)
        envelope = np.repeat(rng.random(time_steps // 1600 + 1) ** 3, 1600)[:time_steps]
        soundfile.write(path, 0.1 * envelope * rng.standard_normal(time_steps), 16000)
    lists = {
        "tr": [],
        "cv": [[(keys[0], 0.0), (keys[1], 0.0)]],
        "tt": [[("si_dt_05/050/050c0000", 0.0), ("si_et_05/440/440c0000", 0.0)]],
    }
    while len(lists["tr"]) < mixtures:
        first, second = draw.sample(keys, 2)
        gain = round(draw.uniform(0, 2.5), 4)
        lists["tr"].append([(first, gain), (second, -gain)])
    for split, rows in lists.items():
        text = "".join(" ".join(f"wsj0/{key}.wav {gain}" for key, gain in row) + " \n" for row in rows)
        (corpus / "lists").mkdir(exist_ok=True)
        (corpus / "lists" / f"mix_2_spk_{split}.txt").write_text(text)
    return [row for rows in lists.values() for row in rows]


def plain_loop(corpus: Path, target: Path, lists: list[list[tuple[str, float]]]) -> None:
    for role in ("mix", "s1", "s2"):
        (target / role).mkdir(parents=True)
    for number, row in enumerate(lists):
        sources = []
        for key, gain in row:
            speech, _ = soundfile.read(corpus / "wsj0" / f"{key}.wav")
            narrow = resample(speech, 16000, 8000)
            sources.append(10 ** (gain / 20) * narrow / np.sqrt(active_level(narrow, 8000)))
        frames = min(map(len, sources))
        signals = np.stack([sources[0][:frames] + sources[1][:frames], *(source[:frames] for source in sources)])
        integers = np.rint(2**15 * 0.9 * signals / np.abs(signals).max()).astype(np.int16)
        for role, samples in zip(("mix", "s1", "s2"), integers, strict=True):
            soundfile.write(target / role / f"{number}.wav", samples, 8000)


def same(one: Path, other: Path) -> bool:
    """Whether two prepared folders hold the same audio and manifests."""
    found = [path.relative_to(one) for suffix in ("wav", "jsonl") for path in one.rglob(f"*.{suffix}")]
    return bool(found) and all(filecmp.cmp(one / path, other / path, shallow=False) for path in found)


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
