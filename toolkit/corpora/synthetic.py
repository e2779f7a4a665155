"""Harmonic signals as spectral optimal transport was published on (B. Torres, G. Peeters, G. Richard, ICASSP 2024).

Nothing is downloaded: the corpus is generated, in full by what is called `download` elsewhere.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit import audio, config, files, log, progress
from toolkit.corpora import _mini
from toolkit.corpora import _synthetic_signals as signals
from toolkit.corpora._names import matches
from toolkit.data import manifest
from toolkit.data.manifest import Item
from toolkit.log import UserError

NAME = "synthetic"
LICENCE = "none: generated"  # what a model card says
SEE = "Next: see egs/synthetic/README.md, or generate it with --corpus download"
LIST = "signals.jsonl"
SIZE, MINI = 4000, 240  # signals
SPLITS = tuple(signals.SHARES)
HOP = 256  # samples between annotated pitches
PEAK = 0.9

logger = log.get(__name__)


def download(corpus: Path, seed: int = 0) -> None:
    """Generate all 4,000 signals, 65 MB, in some seconds.

    Args:
        corpus: the folder to write.
        seed: another seed gives other signals; the released ones were drawn without any.
    """
    _write(corpus, SIZE, seed)


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
        UserError: it is not there.
    """
    return _edition(corpus, sum((corpus / row["file"]).is_file() for row in _rows(corpus)))


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``synthetic/harmonics/train``: none, it makes all.

    Raises:
        UserError: a name is not of that form.
    """
    matches(names, NAME, rf"{NAME}/harmonics/(?:{'|'.join(SPLITS)})", f"{NAME}/harmonics/train, valid or test")
    return {}


def prepare(corpus: Path, data: Path, *, nj: int | None = None, strict: bool = False) -> None:
    """Write the manifests ``synthetic/harmonics/{train,valid,test}`` of the corpus's own files.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
        nj: not used: nothing is computed.
        strict: an unusable signal is an error instead of a named skip.

    Raises:
        UserError: the corpus is not there, or a split would be empty.
    """
    rows = _rows(corpus)
    found: dict[str, list[Item]] = {split: [] for split in SPLITS}
    skipped = dict.fromkeys(SPLITS, 0)
    for row in rows:
        if reason := _unusable(corpus / row["file"]):
            if strict:
                raise UserError(f"{reason}. {SEE}")
            skipped[row["split"]] += 1
            logger.warning("skipped %s: %s", row["id"], reason)
            continue
        roles = {"recording": row["file"]}
        found[row["split"]].append(Item(row["id"], row["split"], signals.RATE, signals.SAMPLES, 1, roles, row["labels"]))
    edition = _edition(corpus, len(rows) - sum(skipped.values()))
    for split, items in found.items():
        path = data / NAME / "harmonics" / f"{split}.jsonl"
        head = {
            "root": manifest.relative_root(path, corpus),
            "name": f"{NAME}/harmonics/{split}",
            "corpus": NAME,
            "edition": edition,
            "split": split,
            "fingerprint": config.fingerprint([(item.id, item.labels) for item in items]),
        }
        manifest.write(path, head | {"skipped": skipped[split]}, items)
    logger.info("%s: %s", corpus, ", ".join(f"{len(items)} signals in {split}" for split, items in found.items()))


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write the same kind of corpus with 240 signals.

    Args:
        corpus: the folder to write.
        seed: another seed gives other signals.
    """
    _mini.make(corpus, NAME, seed, lambda folder, drawn: _write(folder, MINI, drawn))


def _write(corpus: Path, count: int, seed: int) -> None:
    """Write `count` signals as they are trained on, their peaks at 0.9, and then the list of them."""
    head = {"count": count, "seed": seed}
    if (corpus / LIST).is_file() and files.read_jsonl(corpus / LIST)[0] == head:
        return
    shutil.rmtree(corpus / "signals", ignore_errors=True)
    drawn = signals.draw(count, seed)
    lines: list[dict[str, Any]] = [head]
    for first in progress.track(range(0, count, signals.BATCH), f"batches of {count} signals", -(-count // signals.BATCH)):
        made = signals.render(drawn, first, signals.BATCH)
        for number, signal in enumerate(made, first):
            name = f"signals/{number:04d}.wav"
            audio.write(corpus / name, (PEAK / signal.abs().max() * signal)[None], signals.RATE, "FLOAT")
            row = {"id": f"{number:04d}", "split": drawn.splits[number], "file": name, "labels": drawn.labels(number, HOP)}
            lines.append(row)
    files.write_text(corpus / LIST, "".join(json.dumps(line) + "\n" for line in lines))


def _rows(corpus: Path) -> list[dict[str, Any]]:
    folder = files.require_folder(corpus, "synthetic harmonics", SEE)
    if not (folder / LIST).is_file():
        raise UserError(f"{folder}: expected {LIST} beside the folder of signals, found none. {SEE}")
    return files.read_jsonl(folder / LIST)[1:]


def _unusable(path: Path) -> str:
    """Why a signal cannot be used, or nothing."""
    if not path.is_file():
        return f"expected a signal at {path}, found nothing"
    try:
        info = audio.info(path)
    except UserError as error:
        return str(error)
    if (found := (info.frames, info.sample_rate, info.channels)) != (signals.SAMPLES, signals.RATE, 1):
        wanted = f"{signals.SAMPLES} samples at {signals.RATE} Hz in 1 channel"
        return f"expected {wanted}, found {found[0]}, {found[1]}, {found[2]}: {path}"
    return ""


def _edition(corpus: Path, usable: int) -> str:
    if _mini.is_mini(corpus, NAME):
        return "mini"
    return "full" if usable == SIZE else f"partial ({usable} of {SIZE:,} signals)"
