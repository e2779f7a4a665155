"""A small LibriSpeech of synthetic voices: folders, names, FLAC files and SPEAKERS.TXT as of the real one."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from toolkit import audio, files, progress
from toolkit.corpora import _librimix_metadata, _librispeech, _mixing
from toolkit.corpora._librimix_metadata import Measured
from toolkit.dsp.loudness import integrated_loudness
from toolkit.dsp.voices import speak

SAMPLE_RATE = 16000
SPEAKERS = {  # subset to speakers; one bears the name that breaks the columns of the real SPEAKERS.TXT
    "train-clean-100": ("19", "26", "27", "32", "39", "40", "60", "78", "83", "87"),
    "dev-clean": ("84", "174", "251"),
    "test-clean": ("61", "121", "237", "260"),
}
NAMES = {"60": "|CBW|Simon", "26": "Zoë Müller", "84": "Søren Å"}
UTTERANCES = 6  # a speaker
MIXTURES = {"train-clean-100": 120, "dev-clean": 24, "test-clean": 24}


def write(corpus: Path, seed: int) -> None:
    """Write `LibriSpeech` and `metadata` below `corpus`."""
    rng = random.Random(seed)
    speech: dict[str, dict[str, np.ndarray]] = {}
    voices = [(subset, speaker) for subset, speakers in SPEAKERS.items() for speaker in speakers]
    for number, (subset, speaker) in enumerate(progress.track(voices, "voices of the mini corpus")):
        chapter = str(rng.randrange(100000, 300000))
        folder = corpus / "LibriSpeech" / subset / speaker / chapter
        names = [f"{speaker}-{chapter}-{utterance:04d}" for utterance in range(UTTERANCES)]
        for utterance, name in enumerate(names):
            seconds = 0.6 if number == utterance == 1 else rng.uniform(3.0, 5.0)  # one is very short
            samples = speak(seed * 1000 + number, seed * 10000 + number * 100 + utterance, seconds, SAMPLE_RATE)
            level = 1 / 100 if number == 2 and utterance == 0 else rng.uniform(0.5, 1.5)  # one is very quiet
            samples = np.clip(np.rint(level * samples * 2**15), -(2**15), 2**15 - 1).astype(np.float32) / 2**15
            audio.write(folder / f"{name}.flac", samples[None], SAMPLE_RATE)
            speech.setdefault(subset, {})[_librispeech.key(name)] = samples
        files.write_text(folder / f"{speaker}-{chapter}.trans.txt", "".join(f"{name} A SYNTHETIC VOICE\n" for name in names))
    files.write_text(corpus / "LibriSpeech" / "SPEAKERS.TXT", _speakers_text())
    for subset, utterances in speech.items():
        for n in _librimix_metadata.SPEAKERS:
            _write_table(corpus, n, subset, utterances, random.Random(f"{seed} {n} {subset}"))


def _write_table(corpus: Path, n: int, subset: str, speech: dict[str, np.ndarray], rng: random.Random) -> None:
    measured = {
        key: Measured(integrated_loudness(samples, SAMPLE_RATE), float(np.abs(samples).max()))
        for key, samples in speech.items()
    }
    mixtures = []
    for mixture in _librimix_metadata.draw(measured, n, MIXTURES[subset], rng):
        mixed = _mixing.mix([speech[key] for key in mixture.utterances], mixture.gains, "max")[0]
        mixtures.append(_librimix_metadata.without_clipping(mixture, float(np.abs(mixed).max())))
    root = corpus / "LibriSpeech"
    paths = {_librispeech.key(path.stem): path for path in (root / subset).rglob("*.flac")}
    path = corpus / "metadata" / f"Libri{n}Mix" / _librimix_metadata.file_name(n, subset)
    _librimix_metadata.write(path, n, mixtures, paths, root)


def _speakers_text() -> str:
    lines = [";ID  |SEX| SUBSET           |MINUTES| NAME"]
    for subset, speakers in SPEAKERS.items():
        lines += [
            f"{one:<5}| {'FM'[int(one) % 2]} | {subset:<17}| {0.4:<6}| {NAMES.get(one, 'Synthetic Voice')}" for one in speakers
        ]
    return "\n".join(["; Synthetic voices in the place of LibriVox readers", ";", *lines, ""])
