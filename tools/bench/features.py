"""How fast the stage `features` is, against the loop over librosa that papers' code has in its place.

    python tools/bench/features.py [--clips 20] [--rounds 3] [--device cpu]

Clips of synthetic sound, as in MagnaTagATune (mp3, 16 kHz, mono, 29 s) and in OpenMIC-2018 (ogg, 44.1 kHz, stereo, 10 s), are
stored as waveforms and as log-mel spectrograms at 16 kHz.  librosa's loop loads each clip with `librosa.load`, takes
`melspectrogram` and `power_to_db` with the same settings and saves the array.  Both take turns; medians of hours of audio a
minute.  The processor's time is compared too, since others may share the machine.  "Decoding" is what libsndfile alone takes.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
import soundfile
import torch

from toolkit.blocks import MelSpectrogram, StoredSpectrum, Waveform
from toolkit.data import manifest
from toolkit.data.manifest import Item, Manifest
from toolkit.data.store import Store
from toolkit.dsp.resample import resample
from toolkit.features.compute import compute

RATE, N_FFT, HOP, BINS = 16000, 512, 256, 128


class Corpus(NamedTuple):
    """Clips of one kind."""

    suffix: str
    sample_rate: int
    channels: int
    seconds: int


class Taken(NamedTuple):
    """Seconds by the clock, and by all processors together."""

    wall: float
    processor: float


CORPORA = {"MagnaTagATune": Corpus("mp3", 16000, 1, 29), "OpenMIC-2018": Corpus("ogg", 44100, 2, 10)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20, help="of each corpus")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.tensor(0.0, device=arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        for name, corpus in CORPORA.items():
            clips = write(Path(folder) / name, corpus, arguments.clips)
            print(f"{name}: {len(clips)} clips, {corpus.suffix}, {corpus.sample_rate} Hz, {corpus.seconds} s")
            compare(clips, Path(folder) / name, torch.device(arguments.device), arguments.rounds)


def compare(clips: Manifest, folder: Path, device: torch.device, rounds: int) -> None:
    """Both ways in turn, for both features; the first turn warms up."""
    paths = [clips.path_of(item, "recording") for item in clips]
    mel = StoredSpectrum(MelSpectrogram(RATE, N_FFT, HOP, BINS), RATE, RATE / HOP)
    ours: dict[str, Callable[[Path], object]] = {
        "waveforms": lambda target: compute(Waveform(RATE), clips, target, device),
        "log-mel": lambda target: compute(mel, clips, target, device),
        "decoding": lambda target: [soundfile.read(path, dtype="float32") for path in paths],
    }
    theirs: dict[str, Callable[[Path], None]] = {
        "waveforms": lambda target: save_each(paths, target, lambda wave: (wave * 32767).astype(np.int16)),
        "log-mel": lambda target: save_each(paths, target, log_mel),
    }
    hours = sum(item.seconds for item in clips) / 3600
    times: dict[str, list[Taken]] = {}
    for turn in range(rounds + 1):
        for who, ways in (("ours", ours), ("librosa", theirs)):
            for what, run in ways.items():
                taken = measure(run, folder / f"{who}-{what}-{turn}")
                times.setdefault(f"{who} {what}", []).extend([taken] if turn else [])
    medians = {key: Taken(*(statistics.median(values) for values in zip(*taken, strict=True))) for key, taken in times.items()}
    for what in theirs:
        mine, other = medians[f"ours {what}"], medians[f"librosa {what}"]
        print(
            f"  {what:<9} {hours / mine.wall * 60:.2f} h of audio a minute, librosa {hours / other.wall * 60:.2f}: "
            f"{other.wall / mine.wall:.1f}x as fast ({other.processor / mine.processor:.1f}x by processor time); "
            f"decoding is {medians['ours decoding'].processor / mine.processor:.0%} of ours"
        )
    difference = np.abs(
        Store(folder / "ours-log-mel-0").read(clips[0].id) - np.load(folder / "librosa-log-mel-0" / f"{paths[0].stem}.npy")
    )
    print(f"  the spectrograms of the first clip differ by {difference.mean():.3f} dB in the mean")


def measure(run: Callable[[Path], object], target: Path) -> Taken:
    """How long it takes to fill a new folder."""
    target.mkdir(parents=True)
    began, worked = time.perf_counter(), time.process_time()
    run(target)
    return Taken(time.perf_counter() - began, time.process_time() - worked)


def save_each(paths: list[Path], target: Path, feature: Callable[[np.ndarray], np.ndarray]) -> None:
    """librosa's loop."""
    for path in paths:
        wave, _ = librosa.load(path, sr=RATE)
        np.save(target / f"{path.stem}.npy", feature(wave))


def log_mel(wave: np.ndarray) -> np.ndarray:
    """In decibels, (frames, bins), half precision."""
    power = librosa.feature.melspectrogram(
        y=wave, sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=BINS, htk=True, norm=None, pad_mode="reflect"
    )
    return librosa.power_to_db(power, ref=1.0, top_db=None).T.astype(np.float16)


def write(folder: Path, corpus: Corpus, count: int) -> Manifest:
    """Clips of plucked harmonic notes over faint noise, and their manifest."""
    rng, items = np.random.default_rng(0), []
    for number in range(count):
        wave = np.stack([pluck(rng, corpus.seconds) for _ in range(corpus.channels)])
        path = folder / f"{number:03d}.{corpus.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, resample(wave, 44100, corpus.sample_rate).T, corpus.sample_rate)
        info = soundfile.info(path)
        items.append(Item(path.stem, "test", info.samplerate, info.frames, info.channels, {"recording": path.name}))
    manifest.write(folder / "test.jsonl", {"root": ".", "name": "bench/test"}, items)
    return Manifest.open(folder / "test.jsonl")


def pluck(rng: np.random.Generator, seconds: int) -> np.ndarray:
    """Four notes a second at 44.1 kHz."""
    time_steps = np.arange(44100) / 44100
    notes = []
    for _ in range(4 * seconds):
        pitch = 110 * 2 ** (rng.integers(36) / 12)
        harmonics = sum(np.sin(2 * np.pi * k * pitch * time_steps) / k for k in range(1, 9))
        notes.append(harmonics * np.exp(-4 * time_steps))
    wave = 0.003 * rng.standard_normal(44100 * (seconds + 1))
    for number, note in enumerate(notes):
        begin = number * 44100 // 4
        wave[begin : begin + len(note)] += 0.1 * note
    return wave[: 44100 * seconds]


if __name__ == "__main__":
    main()
