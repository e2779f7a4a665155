"""Which training clips of OpenMIC-2018 papers validate on: the corpus itself has train and test only."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from toolkit.log import UserError

Rule = Literal["attention_mil", "east"]
RULES: tuple[Rule, ...] = ("attention_mil", "east")
PART = 0.15  # of the training clips
SPLIT_FILE = "train_val.split"


class Validation(NamedTuple):
    """Keys of the clips to validate on, and by which rule they were chosen."""

    keys: frozenset[str]
    told: str


def choose(rule: str, train: Sequence[str], folder: Path, split_file: Path | None) -> Validation:
    """Choose the clips to validate on.

    Args:
        rule: `attention_mil` or `east`.
        train: keys of all training clips, as published.
        folder: of the corpus, where `train_val.split` may lie.
        split_file: that file elsewhere.

    Raises:
        UserError: the file does not fit the list of training clips.
    """
    rows = sorted(train)  # the order of openmic-2018.npz, which both repositories go by
    if rule == "east":
        return _east(rows)
    if split_file is None and (folder / SPLIT_FILE).is_file():
        split_file = folder / SPLIT_FILE
    return _seeded(rows) if split_file is None else _published(rows, split_file)


def _published(rows: Sequence[str], path: Path) -> Validation:
    """The split of SiddGururani/AttentionMIC, data/train_val.split: an npz file of row numbers `train` and `val`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            train, valid = archive["train"].tolist(), archive["val"].tolist()
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{path}: expected row numbers `train` and `val` ({error}). Next: fetch it again") from error
    if sorted(train + valid) != list(range(len(rows))):
        raise UserError(
            f"{path}: expected every row from 0 to {len(rows) - 1} of the training list once, "
            f"found {len(train)} + {len(valid)} rows. Next: give the file that belongs to these partitions, or none"
        )
    return Validation(frozenset(rows[row] for row in valid), f"AttentionMIC's {SPLIT_FILE}: {len(valid)} of {len(rows)}")


def _seeded(rows: Sequence[str]) -> Validation:
    """As many as AttentionMIC takes, those whose hash is smallest: the same clips on every machine."""
    count = int(PART * len(rows))
    ordered = sorted(rows, key=lambda key: hashlib.sha256(f"attention_mil {key}".encode()).digest())
    told = f"seeded: {count} of {len(rows)}, for want of AttentionMIC's {SPLIT_FILE}"
    return Validation(frozenset(ordered[:count]), told)


def _east(rows: Sequence[str]) -> Validation:
    """The split of suncerock/EAsT-music-classification, preprocess/split_openmic_train.py: its published openmic_valid.json."""
    draw = random.Random(2022)
    keys = frozenset(key for key in rows if draw.random() < PART)
    return Validation(keys, f"EAsT's draw, seed 2022: {len(keys)} of {len(rows)}")
