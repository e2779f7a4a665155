"""MUSDB18 (Z. Rafii et al., 2017): its two releases, their layouts, what a track must be."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from toolkit import audio
from toolkit.corpora import _editions
from toolkit.corpora._editions import another
from toolkit.log import UserError

SEE = "Next: see egs/musdb18/README.md for what the folder must hold"
RATE, CHANNELS = 44100, 2
SOURCES = ("drums", "bass", "other", "vocals")
ROLES = ("mixture", *SOURCES)  # also the order of the streams in a stem.mp4
SPLITS = {"train": 86, "valid": 14, "test": 50}  # tracks
SUBSETS = ("train", "test")  # folders of the corpus; the validation tracks lie in `train`
STEM_SUFFIX = ".stem.mp4"
BLOCK = 1 << 20  # samples read at once
EXACT = 120.0  # dB that stand for "the stems add up to the mixture to the last bit"

# sigsep/sigsep-mus-db, musdb/configs/mus.yaml, `validation_tracks`
VALIDATION = (
    "Actions - One Minute Smile",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave",
    "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants",
    "Leaf - Summerghost",
    "Skelpolu - Human Mistakes",
    "Young Griffo - Pennies",
    "ANiMAL - Rockshow",
    "James May - On The Line",
    "Meaxic - Take A Step",
    "Traffic Experiment - Sirens",
)


class Release(NamedTuple):
    """What is published of a release: address, size and MD5 of its archive, and what its stems' sum must keep to.

    Attributes:
        sum_ratio: dB; below that ratio of the mixture's energy to that of (mixture - sum of stems) a track is named in the log.
    """

    address: str
    size: int
    md5: str
    sum_ratio: float


RELEASES = {
    # sums of 16-bit files: only rounding and the few known errata keep them from being the mixture
    "musdb18-hq": Release(
        "https://zenodo.org/records/3338373/files/musdb18hq.zip", 22656664047, "12d4f2ecd55245a4688754dd76363103", 30.0
    ),
    # mixture and stems were coded apart, each with its own errors of the coder
    "musdb18": Release(
        "https://zenodo.org/records/1117372/files/musdb18.zip", 4684228845, "af06762477334799bfc5abf237648207", 10.0
    ),
}


def find_release(corpus: Path, wanted: str | None) -> str:
    """Which release a folder holds: folders of WAV files are `musdb18-hq`, stem.mp4 files `musdb18`.

    Raises:
        UserError: neither, or only the other than `wanted`.
    """
    found = [release for release in RELEASES if any(index(corpus, release).values())]
    if not found:
        raise another(corpus, "MUSDB18 (train/<track>.stem.mp4, test/…) or MUSDB18-HQ (train/<track>/mixture.wav, …)", SEE)
    if wanted is not None and wanted not in found:
        config = "conf/hq.yaml" if found[0] == "musdb18-hq" else "conf/paper.yaml"
        raise UserError(f"{corpus}: expected {wanted} as the config names it, found {found[0]}. Next: add --config {config}")
    return wanted or found[0]


def index(corpus: Path, release: str) -> dict[str, dict[str, Path]]:
    """Tracks of every split: name, in composed Unicode, to folder or stem.mp4 file.

    Raises:
        UserError: a track is in two splits.
    """
    found: dict[str, dict[str, Path]] = {split: {} for split in SPLITS}
    for subset in SUBSETS:
        for name, path in _tracks(corpus / subset, release):
            found["valid" if subset == "train" and name in VALIDATION else subset][name] = path
    if both := sorted((found["train"].keys() | found["valid"].keys()) & found["test"].keys()):
        raise UserError(f"{corpus}: expected different tracks in train and test, found in both: {', '.join(both)}. {SEE}")
    return found


def edition(counts: dict[str, int]) -> str:
    """`full`, or `partial (…)` in words, from the numbers of usable tracks in the splits."""
    return _editions.edition(counts, SPLITS, "tracks")


def check(paths: Sequence[Path]) -> int:
    """Samples per channel of a track's WAV files, in the order of `ROLES`.

    Raises:
        UserError: a file is missing, truncated, empty, not stereo, not at 44,100 Hz, or not as long as the mixture.
    """
    if missing := [path.name for path in paths if not path.is_file()]:
        raise UserError(f"expected {', '.join(path.name for path in paths)}, missing {', '.join(missing)}: {paths[0].parent}")
    found = [audio.info(path) for path in paths]
    for path, info in zip(paths, found, strict=True):
        if (info.channels, info.sample_rate) != (CHANNELS, RATE):
            raise UserError(
                f"expected {CHANNELS} channels at {RATE} Hz, found {info.channels} at {info.sample_rate} Hz: {path}"
            )
        if info.frames != found[0].frames or info.frames == 0:
            raise UserError(f"expected {found[0].frames or 'some'} samples as in the mixture, found {info.frames}: {path}")
    return found[0].frames


def measure(paths: Sequence[Path], frames: int) -> dict[str, Any]:
    """What a manifest tells of a track: mean and deviation of its mono mixture, and how well the stems add up.

    Args:
        paths: WAV files in the order of `ROLES`.
        frames: samples of each.

    Returns:
        `frames`; `mean` and `deviation` (n - 1, as `torch.std`) of the mean of the channels; `ratio`, dB, energy of the mixture
        over that of mixture minus sum of stems, at most 120.

    Raises:
        UserError: a sample is not finite, or the mixture is silent throughout.
    """
    total = squares = energy = error = 0.0
    for start in range(0, frames, BLOCK):
        mixture, *stems = (audio.read_array(path, start, BLOCK).astype(np.float64) for path in paths)
        mono = mixture.mean(axis=0)
        total += mono.sum()
        squares += np.square(mono).sum()
        energy += np.square(mixture).sum()
        error += np.square(mixture - sum(stems)).sum()
    if energy == 0:
        raise UserError(f"silent throughout: {paths[0]}")
    mean = total / frames
    deviation = math.sqrt(max(squares - frames * mean**2, 0.0) / max(frames - 1, 1))
    ratio = min(EXACT, 10 * math.log10(energy / error)) if error else EXACT
    return {"frames": frames, "mean": mean, "deviation": deviation, "ratio": ratio}


def _tracks(folder: Path, release: str) -> list[tuple[str, Path]]:
    if not folder.is_dir():
        return []
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if release == "musdb18-hq":
        return [(unicodedata.normalize("NFC", path.name), path) for path in paths if path.is_dir()]
    named = [(unicodedata.normalize("NFC", path.name), path) for path in paths if path.is_file()]
    return [(name[: -len(STEM_SUFFIX)], path) for name, path in named if name.endswith(STEM_SUFFIX)]
