"""The sopranos of Bach's chorales, as AR-VAE was published on (Pati & Lerch 2020, arXiv 2004.05485).

They are read from music21's own corpus, by what is called `download` elsewhere; nothing comes from the net.  A folder holds one
file, `chorales.jsonl`: where they are from, then a chorale a line, as `toolkit/corpora/_bach_chorales.py` has them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit import config, files, log
from toolkit.audio import scores
from toolkit.corpora import _bach_chorales as chorales
from toolkit.corpora import _bach_chorales_mini, _mini
from toolkit.corpora._bach_chorales import EDITION, GRID, Chorale
from toolkit.corpora._names import matches
from toolkit.data import manifest, tables
from toolkit.dsp.bar_attributes import ATTRIBUTES, attributes
from toolkit.log import UserError

NAME = "bach_chorales"
LICENCE = "Bach's music is free; its encodings have licences of their own, told in music21's corpus"  # for a model card
LIST = "chorales.jsonl"
TRIED = 371  # numbers of Riemenschneider's edition; some name a chorale that another one names
MINI = 16  # sopranos
VARIANTS = {"all_meters": None, "common_time": "4/4"}
SEE = "Next: see egs/bach_chorales/README.md, or read them from music21 with --corpus download"

logger = log.get(__name__)


def download(corpus: Path, seed: int = 0) -> None:
    """Read all chorales from music21's corpus: a minute of one processor.  What has been read is not read again.

    Args:
        corpus: the folder to write.
        seed: not used: nothing is random.

    Raises:
        UserError: music21 is not installed.
    """
    head = {"source": f"music21 {scores.music21().__version__}", "edition": EDITION, "tried": TRIED}
    path = corpus / LIST
    if not path.is_file() or files.read_jsonl(path)[0] != head:
        _write(path, head, chorales.read(corpus / ".journal.jsonl"))


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write sopranos in the manner of a chorale, made by rule.

    Args:
        corpus: the folder to write.
        seed: another seed gives other melodies.
    """
    head = {"source": f"rule, seed {seed}", "edition": EDITION, "tried": MINI}
    _mini.make(corpus, NAME, seed, lambda _, drawn: _write(corpus / LIST, head, _bach_chorales_mini.make_mini(drawn, MINI)))


def fetch(corpus: Path, data: Path) -> None:
    """Verify the corpus; nothing else belongs to it.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
    """
    logger.info("%s: %s", corpus, verify(corpus))


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (…)`.

    Args:
        corpus: its folder.

    Raises:
        UserError: it is not there, or is another.
    """
    head, rows = _read(corpus)
    return _edition(corpus, head, len(_usable(rows)))


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``bach_chorales/all_meters/train``: none, it makes all.

    Raises:
        UserError: a name is not of that form.
    """
    stems = [f"{NAME}/{variant}" for variant in VARIANTS]
    expected = f"{' or '.join(stems)}, then /train, /valid or /test"
    matches(names, NAME, rf"(?:{'|'.join(stems)})/(?:{'|'.join(chorales.SPLITS)})", expected)
    return {}


def prepare(corpus: Path, data: Path, *, nj: int | None = None, strict: bool = False) -> None:
    """Write the manifests ``bach_chorales/{all_meters,common_time}/{train,valid,test}``, one table each.

    Roles are `tokens` (N, 24), numbers of a vocabulary, and `attributes` (N, 4), whose names are a label, as is what the tokens
    stand for: `grid`, see `toolkit.tasks.latent`.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
        nj: not used: it takes a second.
        strict: a chorale that cannot be used is an error instead of a named skip.

    Raises:
        UserError: the corpus is not there, or a split would be empty.
    """
    head, rows = _read(corpus)
    pieces = _usable(rows, strict)
    edition = _edition(corpus, head, len(pieces))
    for variant, meter in VARIANTS.items():
        made = chorales.bars(pieces, meter)
        vocabulary, places = np.unique(made.spelled(), return_inverse=True)
        grid = {"ticks": list(GRID.ticks), "tokens": (vocabulary % chorales.NAME).tolist()}
        labels = {"attributes": list(ATTRIBUTES), "grid": grid}
        columns: dict[str, NDArray[Any]] = {
            "tokens": places.reshape(made.tokens.shape).astype(np.uint8),
            "attributes": attributes(made.tokens),
        }
        for split, part in chorales.split(len(made.tokens)).items():
            count = part.stop - part.start
            if count <= 0:
                raise UserError(f"{corpus}: expected bars for {split}, found {len(made.tokens)} in all. {SEE}")
            path = data / NAME / variant / f"{split}.jsonl"
            for role, values in columns.items():
                tables.write(path.with_name(f"{split}.{role}.npy"), values[part])
            item = tables.item(split, split, count, {role: f"{split}.{role}.npy" for role in columns}, labels)
            name = {"root": ".", "name": f"{NAME}/{variant}/{split}", "corpus": NAME, "edition": edition, "split": split}
            held = [tables.digest(values[part]) for values in columns.values()]
            fingerprint = config.fingerprint([head, variant, count, labels, *held])
            manifest.write(path, {**name, "fingerprint": fingerprint, "skipped": len(rows) - len(pieces)}, [item])
        told = (f"{NAME}/{variant}", len(np.unique(made.chorale)), len(made.tokens), len(vocabulary))
        logger.info("%s: %d sopranos, %d bars, a vocabulary of %d tokens", *told)


def _write(path: Path, head: dict[str, Any], pieces: Sequence[Chorale]) -> None:
    lines = [head]
    for piece in pieces:
        lines.append({"name": piece.name, "meters": list(piece.meters)})
        lines[-1] |= {"tokens": piece.tokens.tolist(), "fifths": piece.fifths.tolist()}
    files.write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def _read(corpus: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first line, and the others."""
    path = files.require_folder(corpus, "sopranos of chorales", SEE) / LIST
    if not path.is_file():
        raise UserError(f"{corpus}: expected {LIST}, found none. {SEE}")
    head, *rows = files.read_jsonl(path)
    if "source" not in head or head.get("edition") != EDITION:
        raise UserError(f"{path}: expected chorales of edition {EDITION}, found {head!r:.80}. {SEE}")
    return head, rows


def _usable(rows: Sequence[dict[str, Any]], strict: bool = False) -> list[Chorale]:
    pieces = []
    for number, row in enumerate(rows):
        try:
            pieces.append(chorales.of_row(row))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reason = f"line {number + 2} of {LIST} is no chorale: {' '.join(str(error).split())}"
            if strict:
                raise UserError(f"{reason}. {SEE}") from error
            logger.warning("skipped %s: %s", row.get("name", "a chorale"), reason)
    return pieces


def _edition(corpus: Path, head: dict[str, Any], usable: int) -> str:
    if _mini.is_mini(corpus, NAME):
        return "mini"
    return "full" if head["source"].startswith("music21 ") else f"partial ({usable} sopranos of another source)"
