"""A small WSJ0 of synthetic voices: discs, names, SPHERE files and lists as of the real one."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from toolkit import files, progress
from toolkit.audio import sphere
from toolkit.dsp.voices import speak

SAMPLE_RATE = 16000
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
SPEAKERS = {  # disc and folder to its speakers, named as WSJ0 names them
    "11-1.1/wsj0/si_tr_s": ("011", "01a", "01t", "022", "02b"),
    "11-2.1/wsj0/si_tr_s": ("20c", "20g", "401", "40e", "40n"),
    "11-6.1/wsj0/si_dt_05": ("050", "22g"),
    "11-14.1/wsj0/si_et_05": ("440", "445"),
}
TRAINING, VALIDATION, TEST = 6, 2, 6  # utterances a speaker; training and validation have the same speakers, as in WSJ0-mix
MIXTURES = {"tr": 120, "cv": 24, "tt": 24}


def write(corpus: Path, seed: int) -> None:
    """Write the discs and the lists below `corpus`."""
    rng = random.Random(seed)
    keys: dict[str, list[str]] = {"tr": [], "cv": [], "tt": []}
    jobs: list[tuple[Path, int, int, float]] = []
    for number, (folder, speaker) in enumerate((folder, speaker) for folder, names in SPEAKERS.items() for speaker in names):
        training = folder.endswith("si_tr_s")
        for utterance in range(TRAINING + VALIDATION if training else TEST):
            name = f"{speaker}{rng.choice('aco')}{rng.randrange(1, 4):02d}{BASE36[utterance // 36]}{BASE36[utterance % 36]}"
            split = "tt" if not training else "tr" if utterance < TRAINING else "cv"
            keys[split].append(f"wsj0/{folder.rpartition('/')[2]}/{speaker}/{name}.wav")
            jobs.append((corpus / folder / speaker / f"{name}.wv1", number, len(jobs), rng.uniform(2.0, 5.0)))
    short, quiet = jobs[1], jobs[2]
    for path, speaker_number, utterance_number, seconds in progress.track(jobs, "utterances of the mini corpus"):
        samples = speak(
            seed * 1000 + speaker_number, seed * 1000 + utterance_number, 0.6 if path == short[0] else seconds, SAMPLE_RATE
        )
        if path == quiet[0]:
            samples = samples / 300
        integers = np.clip(np.rint(samples * 2**15), -(2**15), 2**15 - 1).astype(np.int16)
        sphere.write(path, integers[None], SAMPLE_RATE, coding="shorten")
    for speakers in (2, 3):
        for split, count in MIXTURES.items():
            lines = _draw(keys[split], speakers, count, rng)
            files.write_text(corpus / "lists" / f"mix_{speakers}_spk_{split}.txt", "".join(lines))


def _draw(keys: list[str], speakers: int, count: int, rng: random.Random) -> list[str]:
    """Lines of a list: different speakers, gains of one pair ±g with g up to 2.5 dB and of a third speaker 0, as published."""
    lines: dict[tuple[str, ...], str] = {}
    while len(lines) < count:
        chosen = rng.sample(keys, speakers)
        if len({key.split("/")[2] for key in chosen}) == speakers:
            gain = f"{rng.uniform(0, 2.5):.5g}"
            gains = (gain, f"-{gain}", "0")[:speakers]
            lines[tuple(sorted(chosen))] = "".join(f"{key} {value} " for key, value in zip(chosen, gains, strict=True)) + "\n"
    return list(lines.values())
