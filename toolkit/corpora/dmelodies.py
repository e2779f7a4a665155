"""dMelodies: all melodies of two bars that nine factors make, A. Pati, S. Gururani and A. Lerch, ISMIR 2020.

Nothing is downloaded: the corpus is generated, in full by what is called `download` elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit import config, files, log
from toolkit.corpora import _dmelodies, _mini
from toolkit.corpora._dmelodies import COUNT, FACTORS, TICKS
from toolkit.corpora._names import matches
from toolkit.data import manifest, tables
from toolkit.dsp import tick_grid
from toolkit.dsp.tick_grid import EIGHTHS
from toolkit.log import UserError

NAME = "dmelodies"
LICENCE = "CC BY-NC-SA 4.0 (the released tables; these are generated)"  # what a model card says
SEE = "Next: see egs/dmelodies/README.md, or generate it with --corpus download"
COLUMNS = {"tokens": TICKS, "factors": len(FACTORS)}  # of the two tables
ROLES = {"tokens": "tokens", "attributes": "factors"}  # of a manifest's item, and the table that each has rows of
DIGESTS = {  # SHA-256 of the bytes of all rows
    "tokens": "f255494e32df7ad25ac232bc812d499420168505eb66a415cc950ee322d40785",
    "factors": "98d0846939fa2ba058b6a736a1c89cf0e6ae6eb3f5e9f5bd4eeb1cc9c8540f52",
}
MINI = 4000  # melodies
SPLITS = ("train", "valid", "test")
PARTS = {"": 1, "/tenth": 10}  # what stands after the seed, and how many melodies it has one of

Table = NDArray[np.uint8]

logger = log.get(__name__)


def download(corpus: Path) -> None:
    """Generate all 1,354,752 melodies, 34 MB, in a second or two.

    Args:
        corpus: the folder to write.
    """
    if not (corpus / _mini.MARK).is_file() and all(_is_whole(corpus, name) for name in COLUMNS):
        return
    (corpus / _mini.MARK).unlink(missing_ok=True)
    _write(corpus, np.arange(COUNT))


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write tables of 4,000 of the melodies, in which every factor takes all of its values.

    Args:
        corpus: the folder to write.
        seed: another seed gives other melodies.
    """
    _mini.make(corpus, NAME, seed, _write_mini)


def fetch(corpus: Path, data: Path) -> None:
    """Verify the corpus; nothing else belongs to it.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
    """
    logger.info("%s: %s", corpus, verify(corpus))


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (…)`.

    All rows are held against checksums, those of a part against the rule.

    Args:
        corpus: its folder.

    Raises:
        UserError: it is not there, or a row is not what the rule gives, or stands there twice.
    """
    found = _read(corpus)
    edition = _edition(corpus, len(found["tokens"]))
    whole = edition == "full"
    if whole and all(tables.digest(table) == DIGESTS[name] for name, table in found.items()):
        return edition
    _check_rows(corpus, **found)
    if whole:
        raise UserError(f"{corpus}: expected the melodies in the order of the release, found another. {SEE}")
    return edition


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``dmelodies/seed0/train``: the seeds.

    Raises:
        UserError: a name is not of that form.
    """
    expected = f"{NAME}/seed0/train or {NAME}/seed0/tenth/train, valid or test"
    found = matches(names, NAME, rf"{NAME}/seed(\d+)/(?:tenth/)?(?:{'|'.join(SPLITS)})", expected)
    seeds = {int(match[1]) for match in found}
    return {"seeds": sorted(seeds)} if seeds else {}


def prepare(
    corpus: Path,
    data: Path,
    *,
    seeds: list[int] = [0],  # noqa: B006  (a command-line default; never changed)
    nj: int | None = None,
    strict: bool = False,
) -> None:
    """Write the manifests ``dmelodies/seed<n>/{train,valid,test}``, a table each, and ``…/tenth/…``, the first tenth of each.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
        seeds: of the order in which the melodies are dealt out, see `_dmelodies.split`.
        nj: not used: it takes a second.
        strict: not used: there is nothing that could be skipped.

    Raises:
        UserError: the corpus is not there.
    """
    found = _read(corpus)
    edition = _edition(corpus, len(found["tokens"]))
    for seed in seeds:
        for split, rows in _dmelodies.split(seed, len(found["tokens"])).items():
            for part, share in PARTS.items():
                some = {name: table[rows[: len(rows) // share]] for name, table in found.items()}
                _write_split(data, f"{NAME}/seed{seed}{part}", split, some, edition)
        logger.info("%s: %d melodies dealt out with seed %d", corpus, len(found["tokens"]), seed)


def _write_split(data: Path, variant: str, split: str, found: dict[str, Table], edition: str) -> None:
    """A manifest of one item, and its tables."""
    if not (count := len(found["tokens"])):
        raise UserError(f"{variant}: expected melodies for the split {split!r}, found none. {SEE}")
    roles = {role: f"{split}.{role}.npy" for role in ROLES}
    for role, name in ROLES.items():
        tables.write(data / variant / roles[role], found[name])
    grid = {"ticks": list(EIGHTHS.ticks), "tokens": _notes()}
    labels = {"attributes": list(FACTORS), "values": list(FACTORS.values()), "grid": grid}
    head = {
        "root": ".",
        "name": f"{variant}/{split}",
        "corpus": NAME,
        "edition": edition,
        "split": split,
        "fingerprint": config.fingerprint([labels, *(tables.digest(table) for table in found.values())]),
        "skipped": 0,
    }
    manifest.write(data / variant / f"{split}.jsonl", head, [tables.item(split, split, count, roles, labels)])


def _check_rows(corpus: Path, tokens: Table, factors: Table) -> None:
    """See that each row is what the rule gives, and none stands there twice."""
    numbers = np.zeros(len(factors), np.int64)
    for column, (name, size) in enumerate(FACTORS.items()):
        if len(over := np.flatnonzero(factors[:, column] >= size)):
            there = f"row {over[0]}: {name}: expected less than {size}, found {factors[over[0], column]}"
            raise UserError(f"{corpus}/factors.npy: {there}. {SEE}")
        numbers = size * numbers + factors[:, column]
    if len(wrong := np.flatnonzero((tokens != _dmelodies.melodies(numbers)).any(1))):
        raise UserError(f"{corpus}/tokens.npy: row {wrong[0]}: expected the melody of its factors, found another. {SEE}")
    if (different := len(np.unique(numbers))) != len(numbers):
        raise UserError(f"{corpus}: expected each melody once, found {different} in {len(numbers)} rows. {SEE}")


def _notes() -> list[int]:
    """What each token is on a tick grid (see `toolkit.dsp.tick_grid`): a note, or a rest, or that a note is held."""
    notes = _dmelodies.pitches()
    notes[[_dmelodies.SLUR, _dmelodies.REST]] = tick_grid.HOLD, tick_grid.REST
    return [int(note) for note in notes]


def _write_mini(corpus: Path, seed: int) -> None:
    _write(corpus, np.sort(np.random.default_rng(seed).choice(COUNT, MINI, replace=False)))


def _write(corpus: Path, numbers: NDArray[Any]) -> None:
    """Write the tables of melodies of these numbers."""
    tables.write(corpus / "tokens.npy", _dmelodies.melodies(numbers))
    tables.write(corpus / "factors.npy", _dmelodies.factors(numbers))


def _is_whole(corpus: Path, name: str) -> bool:
    path = corpus / f"{name}.npy"
    return path.is_file() and np.load(path, mmap_mode="r").shape == (COUNT, COLUMNS[name])


def _read(corpus: Path) -> dict[str, Table]:
    """The two tables, mapped into memory.

    Raises:
        UserError: one is missing or of another shape.
    """
    folder = files.require_folder(corpus, "dMelodies", SEE)
    found = {}
    for name, columns in COLUMNS.items():
        path = folder / f"{name}.npy"
        try:
            table = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(f"no such file: {path}. {SEE}") from error
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{path}: expected a table of bytes, found {' '.join(str(error).split())}. {SEE}") from error
        if table.dtype != np.uint8 or table.ndim != 2 or table.shape[1] != columns:
            raise UserError(f"{path}: expected bytes in {columns} columns, found {table.dtype} of shape {table.shape}. {SEE}")
        found[name] = table
    if len(found["tokens"]) != len(found["factors"]):
        lengths = " and ".join(str(len(table)) for table in found.values())
        raise UserError(f"{folder}: expected as many rows of factors as of tokens, found {lengths}. {SEE}")
    return found


def _edition(corpus: Path, melodies: int) -> str:
    if _mini.is_mini(corpus, NAME):
        return "mini"
    return "full" if melodies == COUNT else f"partial ({melodies:,} of {COUNT:,} melodies)"
