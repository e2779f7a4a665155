"""OpenMIC-2018 (E. J. Humphrey, S. Durand, B. McFee, 2018): what was published, and where it lies in the folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from toolkit import files, log
from toolkit.corpora._editions import another
from toolkit.log import UserError

SEE = "Next: see egs/openmic2018/README.md for what the folder must hold"
NAME = "openmic2018"
FOLDER = "openmic-2018"  # what the archive unpacks to
RATE, CHANNELS, FRAMES = 44100, 2, 441000  # of every clip
EMBEDDINGS = (10, 128)  # VGGish of a clip: frames of 0.96 s, features of 0..255
SPLITS = {"train": 14915, "test": 5085}  # clips
PARTITIONS = {split: (f"split01_{split}.csv", f"{split}01.txt") for split in SPLITS}

# class-map.json
TAGS = (
    "accordion",
    "banjo",
    "bass",
    "cello",
    "clarinet",
    "cymbals",
    "drums",
    "flute",
    "guitar",
    "mallet_percussion",
    "mandolin",
    "organ",
    "piano",
    "saxophone",
    "synthesizer",
    "trombone",
    "trumpet",
    "ukulele",
    "violin",
    "voice",
)

ADDRESS = "https://zenodo.org/records/1432913/files/openmic-2018-v1.0.0.tgz"
MD5 = "e4ccf187e2bb5ab2e115416e8aafe7f4"  # mirdata, mirdata/datasets/openmic2018.py
SIZE = 2623376754  # as a project that downloaded it tells

# cosmir/openmic-2018, README.md, Errata: tracks that were corrupt when their clips were rated, and what is present nevertheless
CORRUPT_TRACKS = ("071826", "071827", "087435", "095253", "095259", "095263", "102144", "113025", "113604", "138485")
CORRECTIONS = (("095253_134400", "piano"), ("095263_96000", "mallet_percussion"), ("113025_99840", "trumpet"))


def find_folder(corpus: Path) -> Path:
    """The folder that holds `partitions`: `corpus` itself, or `openmic-2018` in it.

    Raises:
        UserError: it is neither.
    """
    corpus = files.require_folder(corpus, "OpenMIC-2018", SEE)
    for folder in (corpus, corpus / FOLDER):
        if (folder / "partitions").is_dir():
            return folder
    raise another(corpus, "OpenMIC-2018 (audio/, partitions/, openmic-2018.npz, …)", SEE)


def check_class_map(folder: Path) -> None:
    """See that labels are in the published order.

    Raises:
        UserError: class-map.json tells another one.
    """
    path = folder / "class-map.json"
    expected = {tag: column for column, tag in enumerate(TAGS)}
    if path.is_file() and files.read_json(path) != expected:
        raise UserError(f"{path}: expected {expected}, found {files.read_json(path)}. {SEE}")


def partitions(folder: Path) -> dict[str, list[str]]:
    """Keys of the clips in each split, in the order of the lists (which is that of sorted keys).

    Raises:
        UserError: a list is missing or empty, or a key stands twice.
    """
    listed = {split: _read_list(folder / "partitions", names) for split, names in PARTITIONS.items()}
    if both := sorted(set(listed["train"]) & set(listed["test"])):
        raise UserError(
            f"{folder / 'partitions'}: expected different clips in train and test, found in both: {log.listing(both)}. {SEE}"
        )
    return listed


def find_files(folder: Path, kind: str, suffix: str) -> dict[str, str]:
    """Files of a kind that are not empty: key of the clip to path below `folder`.

    Args:
        folder: of the corpus.
        kind: `audio` or `vggish`.
        suffix: of the files.
    """
    found = {}
    for below in sorted(path for path in (folder / kind).glob("*") if path.is_dir()):
        with os.scandir(below) as entries:
            for entry in entries:
                stem, ending = os.path.splitext(entry.name)
                if ending == suffix and not stem.startswith(".") and entry.stat().st_size > 0:
                    found[stem] = f"{kind}/{below.name}/{entry.name}"
    return found


def _read_list(folder: Path, names: Sequence[str]) -> list[str]:
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise UserError(f"{folder}: expected {' or '.join(names)}, found neither. {SEE}")
    keys = path.read_text(encoding="utf-8-sig").split()
    if not keys or len(set(keys)) < len(keys):
        raise UserError(f"{path}: expected keys that differ, found {len(keys)}, {len(set(keys))} of them different. {SEE}")
    return keys
