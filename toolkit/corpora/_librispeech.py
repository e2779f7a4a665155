"""LibriSpeech (V. Panayotov et al., ICASSP 2015): its subsets, and where their utterances lie."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from toolkit import files, log
from toolkit.corpora import _archives, _speech
from toolkit.corpora._mixing import speaker
from toolkit.log import UserError

ADDRESS = "https://www.openslr.org/resources/12"
SEE = "Next: see egs/librimix/README.md for what the folder must hold"
VALIDATION, TEST = ("dev-clean", "dev-other"), ("test-clean", "test-other")  # the first that is there is taken
HELD_OUT = 10  # one speaker of so many, where there is no subset for validation

logger = log.get(__name__)


class Split(NamedTuple):
    """A part of the corpus: as the mixtures' folders name it, the subset it is from, and its utterances by key."""

    name: str
    subset: str
    utterances: dict[str, Path]


class Subset(NamedTuple):
    """What is published of a subset: how many utterances it has, and the MD5 of its archive."""

    utterances: int
    md5: str


SUBSETS = {
    "train-clean-100": Subset(28539, "2a93770f6d5c6c964bc36631d331a522"),
    "train-clean-360": Subset(104014, "c0e676e450a7ff2f54aeade5171606fa"),
    "train-other-500": Subset(148688, "d1a0fd59409feb2c614ce4d30c387708"),
    "dev-clean": Subset(2703, "42e2234ba48799c1f50f24a7926300a1"),
    "dev-other": Subset(2864, "c8d0bcc9cca99d4f8b62fcc847357931"),
    "test-clean": Subset(2620, "32fa31d27d2e1cad72775fee3f4849a9"),
    "test-other": Subset(2939, "fb5a50374b501bb3bac4815ee91d3135"),
}


def key(utterance: str) -> str:
    """``84/84-121123-0000``, speaker and utterance, for the utterance ``84-121123-0000``."""
    return f"{utterance.split('-')[0]}/{utterance}"


def root(corpus: Path) -> Path:
    """The folder of the subsets: `corpus`, or `LibriSpeech` in it, as the archives unpack."""
    return corpus / "LibriSpeech" if (corpus / "LibriSpeech").is_dir() else corpus


def index(corpus: Path) -> dict[str, dict[str, Path]]:
    """Find the utterances of every subset, at whatever depth they lie in its folder; others are named in the log.

    Returns:
        Subset to key ``84/84-121123-0000`` to path.
    """
    found = {}
    for name in SUBSETS:
        subset = root(corpus) / name
        if subset.is_dir():
            found[name] = _utterances(subset)
    return found


def download(corpus: Path, subsets: Iterable[str]) -> None:
    """Fetch and unpack subsets that are not there as a whole; an archive goes when its content is there.

    Raises:
        UserError: an archive cannot be had, or does not hold what was published.
    """
    for name in subsets:
        if is_whole(name, index(corpus).get(name, {})):
            continue
        archive = files.download(f"{ADDRESS}/{name}.tar.gz", corpus / f"{name}.tar.gz", md5=SUBSETS[name].md5)
        logger.info("unpacking %s", archive)
        _archives.extract(archive, corpus)
        count = len(index(corpus).get(name, {}))
        if count != SUBSETS[name].utterances:
            raise UserError(f"{archive}: expected {SUBSETS[name].utterances} utterances of {name}, found {count}. {SEE}")
        archive.unlink()


def is_whole(name: str, utterances: dict[str, Path]) -> bool:
    """Whether a subset has as many utterances as published."""
    return len(utterances) == SUBSETS[name].utterances


def plan(corpus: Path, found: dict[str, dict[str, Path]], train_subset: str) -> list[Split]:
    """Training, validation and test by subset; without a subset for validation, speakers of training are held out.

    Raises:
        UserError: training or test is not there, or two splits share a speaker.
    """
    test = next((name for name in TEST if found.get(name)), None)
    if not found.get(train_subset) or test is None:
        wanted = f"{train_subset} and in {' or '.join(TEST)}"
        raise UserError(f"{corpus}: expected utterances in {wanted}, found {counts(found)}. {SEE}")
    dev = next((name for name in VALIDATION if found.get(name)), None)
    if dev is None:
        train, held_out = _hold_out(found[train_subset])
        splits = [Split(folder(train_subset), train_subset, train), Split("dev", train_subset, held_out)]
        logger.info("no subset for validation: %d speakers of %s are held out", len(speakers(held_out)), train_subset)
    else:
        splits = [Split(folder(name), name, found[name]) for name in (train_subset, dev)]
    splits.append(Split("test", test, found[test]))
    for one, other in itertools.combinations(splits, 2):
        if both := sorted(speakers(one.utterances) & speakers(other.utterances)):
            raise UserError(
                f"{corpus}: expected different speakers in {one.subset} and {other.subset}, found in both: "
                f"{', '.join(both[:10])}. Next: take their files out of one of the two"
            )
    return splits


def folder(subset: str) -> str:
    """As LibriMix names the folder of a subset's mixtures: `train-100`, `dev`, `test`."""
    return subset.replace("-clean", "").replace("-other", "")


def counts(found: dict[str, dict[str, Path]]) -> str:
    """What is there of what was published, in words."""
    parts = [f"{name} {len(keys)} of {SUBSETS[name].utterances}" for name, keys in found.items()]
    return ", ".join(parts) or "none of its subsets"


def speakers(keys: Iterable[str]) -> set[str]:
    """Who speaks these utterances."""
    return set(map(speaker, keys))


def _hold_out(utterances: dict[str, Path]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Part the utterances of a training subset by speaker into those to train on and those to validate on.

    One speaker of ten is held out, at least three: those whose number has the smallest SHA-256.
    """
    ordered = sorted(speakers(utterances), key=lambda number: hashlib.sha256(number.encode()).hexdigest())
    held_out = set(ordered[: max(3, math.ceil(len(ordered) / HELD_OUT))])
    train = {one: path for one, path in utterances.items() if speaker(one) not in held_out}
    return train, {one: path for one, path in utterances.items() if speaker(one) in held_out}


def _utterances(subset: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for place, names in _speech.walk(subset):
        for path in (place / name for name in names if name.lower().endswith((".flac", ".wav"))):
            if re.fullmatch(r"\d+-\d+-\d+", path.stem):
                found.setdefault(key(path.stem), path)
            else:
                logger.warning("skipped %s: expected a name <speaker>-<chapter>-<utterance>", path)
    return dict(sorted(found.items()))
