"""Labels and published VGGish features of OpenMIC-2018: from `openmic-2018.npz`, or from the table and files it was made of."""

from __future__ import annotations

import csv
import json
import math
import pickletools
import zipfile
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from toolkit import log
from toolkit.corpora._openmic2018 import EMBEDDINGS, SEE, TAGS, find_files
from toolkit.log import UserError

ARCHIVE = "openmic-2018.npz"
LABELS = "openmic-2018-aggregated-labels.csv"
STRINGS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"}
WITHIN_LIST = {"MARK", "APPEND", "APPENDS", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "FRAME"}

logger = log.get(__name__)


class Table(NamedTuple):
    """What is known of the clips.

    Attributes:
        keys: of the clips.
        labels: probabilities (clips, tags), NaN where a tag was not rated.
        features: published VGGish (clips, 10, 128), uint8.
        has_features: (clips,), bool.
    """

    keys: list[str]
    labels: np.ndarray
    features: np.ndarray
    has_features: np.ndarray


def read(folder: Path) -> Table:
    """Read the table of a corpus.

    Raises:
        UserError: it is not there, or not what it should be.
    """
    if (folder / ARCHIVE).is_file():
        return read_archive(folder / ARCHIVE)
    if (folder / LABELS).is_file():
        return read_files(folder)
    raise UserError(f"{folder}: expected {ARCHIVE} or {LABELS}, found neither. {SEE}")


def read_archive(path: Path) -> Table:
    """Read `openmic-2018.npz`.

    Raises:
        UserError: it lacks an array, or one is not what it should be.
    """
    try:
        keys = read_keys(path)
        shapes = {"X": EMBEDDINGS, "Y_true": (len(TAGS),), "Y_mask": (len(TAGS),)}
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name].shape for name in shapes if name != "X"}
            features, labels, mask = _as_bytes(archive["X"], path), archive["Y_true"].astype(float), archive["Y_mask"] > 0
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read ({error}). {SEE}") from error
    for name, shape in (found | {"X": features.shape}).items():
        if shape != (len(keys), *shapes[name]):
            raise UserError(f"{path}: expected {name} of shape {(len(keys), *shapes[name])}, found {shape}. {SEE}")
    labels[~mask] = math.nan
    return _checked(Table(keys, labels, features, np.ones(len(keys), bool)), path)


def read_files(folder: Path) -> Table:
    """Read the table of labels and the files in `vggish`; a damaged one of these is named and counts as missing.

    Raises:
        UserError: the table is not what it should be.
    """
    path = folder / LABELS
    column = {tag: number for number, tag in enumerate(TAGS)}
    rated: dict[str, np.ndarray] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), 2):
            try:
                labels = rated.setdefault(row["sample_key"], np.full(len(TAGS), math.nan))
                labels[column[row["instrument"]]] = float(row["relevance"])
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(
                    f"{path}, line {number}: expected sample_key, instrument, relevance, found {row} ({error}). {SEE}"
                ) from error
    keys = sorted(rated)
    features, has_features = np.zeros((len(keys), *EMBEDDINGS), np.uint8), np.zeros(len(keys), bool)
    published = find_files(folder, "vggish", ".json")
    for index, key in enumerate(keys):
        if key in published:
            try:
                features[index] = _read_embeddings(folder / published[key])
                has_features[index] = True
            except UserError as error:
                logger.warning("no features of %s: %s", key, error)
    labels = np.stack([rated[key] for key in keys]) if keys else np.empty((0, len(TAGS)))
    return _checked(Table(keys, labels, features, has_features), path)


def read_keys(path: Path) -> list[str]:
    """The strings of `sample_key` in the archive; an array of Python objects is read without unpickling it.

    Raises:
        ValueError: it holds something else.
        KeyError: there is no such array.
    """
    with zipfile.ZipFile(path) as archive, archive.open("sample_key.npy") as stream:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
        if dtype.hasobject:
            keys = _pickled_strings(stream)
        elif dtype.kind in "US":
            keys = np.frombuffer(stream.read(), dtype).astype(str).tolist()
        else:
            raise ValueError(f"expected strings in sample_key, found {dtype}")
    if shape != (len(keys),):
        raise ValueError(f"expected {shape} strings in sample_key, found {len(keys)}")
    return keys


def _pickled_strings(stream: IO[bytes]) -> list[str]:
    """The strings of a pickled array, whose state ends with a list of them; `genops` parses and executes nothing."""
    strings: list[str] | None = None
    for operation, argument, _ in pickletools.genops(stream):
        if strings is None:
            strings = [] if operation.name == "EMPTY_LIST" else None
        elif operation.name in STRINGS:
            strings.append(str(argument))
        elif operation.name not in WITHIN_LIST:
            break
    return strings or []


def _read_embeddings(path: Path) -> np.ndarray:
    try:
        values = np.asarray(json.loads(path.read_text(encoding="utf-8"))["features"])
        if values.shape != EMBEDDINGS:
            raise ValueError(f"expected features of shape {EMBEDDINGS}, found {values.shape}")
        return _as_bytes(values, path)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


def _as_bytes(values: np.ndarray, path: Path) -> np.ndarray:
    """The values as uint8, which they are in whatever type they are stored."""
    if values.dtype == np.uint8:
        return values
    with np.errstate(invalid="ignore"):
        small = values.astype(np.uint8)
    if not np.array_equal(small, values):
        raise UserError(f"{path}: expected features that are whole numbers from 0 to 255, found others. {SEE}")
    return small


def _checked(table: Table, path: Path) -> Table:
    if len(set(table.keys)) < len(table.keys):
        raise UserError(f"{path}: expected a row a clip, found {len(table.keys)} rows of {len(set(table.keys))} clips. {SEE}")
    rated = table.labels[~np.isnan(table.labels)]
    if ((rated < 0) | (rated > 1)).any():
        raise UserError(f"{path}: expected probabilities from 0 to 1, found {rated.min():g} to {rated.max():g}. {SEE}")
    return table
