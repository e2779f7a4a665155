"""The Nottingham Music Database: a thousand British and American folk tunes in ABC notation, collected by Eric Foxley."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from toolkit import config, files, log
from toolkit.corpora import _mini, _nottingham, _nottingham_mini
from toolkit.corpora._names import matches
from toolkit.data import manifest
from toolkit.data.abc import Collection, Tune, split_of
from toolkit.data.manifest import Item
from toolkit.log import UserError

NAME = "nottingham"
LICENCE = "GPLv3, as the cleaned files are published under"  # what a model card says
SEE = "Next: see egs/nottingham/README.md for where it is got"
SPLITS = ("train", "valid", "test")
VARIANTS = {"abc": True, "melody": False}  # whether chord symbols are kept
FIELDS = ("M", "L", "K")  # that stand above the music
RULE = "drawn from the title, 80, 10 and 10 %"

logger = log.get(__name__)


def fetch(corpus: Path, data: Path) -> None:
    """Verify the corpus; nothing else belongs to it.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
    """
    logger.info("%s: %s", corpus, verify(corpus))


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (n of 14 files)`.

    Args:
        corpus: its folder.

    Raises:
        UserError: it is not there, or holds no tune.
    """
    _read(corpus)
    return _edition(corpus)


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``nottingham/abc/train``: none, it makes all.

    Raises:
        UserError: a name is not of that form.
    """
    expected = f"{NAME}/abc or {NAME}/melody, with /train, /valid or /test"
    matches(names, NAME, rf"{NAME}/(?:{'|'.join(VARIANTS)})/(?:{'|'.join(SPLITS)})", expected)
    return {}


def prepare(corpus: Path, data: Path, *, nj: int | None = None, strict: bool = False) -> None:
    """Write manifests ``nottingham/<variant>/<split>``: `abc` with chord symbols, `melody` without; an item is a tune.

    Versions of a tune, which have the same title, stand in one split; a text that stands twice is taken once.

    Args:
        corpus: its folder, whole or a part of it.
        data: folder of all that is prepared.
        nj: not used: it takes a second.
        strict: an unusable tune is an error instead of a named skip.

    Raises:
        UserError: the corpus is not there, or a split would be empty.
    """
    found, edition = _read(corpus), _edition(corpus)
    for reason in found.skipped:
        if strict:
            raise UserError(f"{corpus}: {reason}. {SEE}")
        logger.warning("skipped %s", reason)
    for variant, chords in VARIANTS.items():
        items = list(_items(found.tunes, chords))
        for split in SPLITS:
            path = data / NAME / variant / f"{split}.jsonl"
            own = [item for item in items if item.split == split]
            head = {
                "root": manifest.relative_root(path, corpus),
                "name": f"{NAME}/{variant}/{split}",
                "corpus": NAME,
                "edition": edition,
                "split": split,
                "rule": RULE,
                "fingerprint": config.fingerprint([(item.id, item.labels) for item in own]),
            }
            manifest.write(path, head | {"skipped": len(found.skipped)}, own)
        told = ", ".join(f"{sum(item.split == split for item in items)} tunes in {split}" for split in SPLITS)
        logger.info("%s/%s: %s", NAME, variant, told)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write a small collection of generated jigs, reels and waltzes in the files of the corpus.

    Args:
        corpus: the folder to write.
        seed: another seed gives other tunes.
    """
    _mini.make(corpus, NAME, seed, _nottingham_mini.write, (_nottingham.FOLDER,))


def _read(corpus: Path) -> Collection:
    return _nottingham.read_tunes(files.require_folder(corpus, "Nottingham's tunes", SEE), complete=False)


def _edition(corpus: Path) -> str:
    if _mini.is_mini(corpus, NAME):
        return "mini"
    folder = corpus / _nottingham.FOLDER if (corpus / _nottingham.FOLDER).is_dir() else corpus
    there = sum((folder / name).is_file() for name in _nottingham.FILES)
    others = len(_nottingham.files_in(folder)) - there
    if there == len(_nottingham.FILES) and not others:
        return "full"
    return f"partial ({there} of {len(_nottingham.FILES)} files" + (f", {others} others)" if others else ")")


def _items(tunes: Sequence[Tune], chords: bool) -> Iterator[Item]:
    """A line for each text; one that stands twice is the first."""
    known: set[str] = set()
    for tune in tunes:
        text = tune.text(FIELDS, chords).replace("\N{LOWER ONE EIGHTH BLOCK}", " ")  # sentencepiece's mark of a space
        prompt = "".join(f"{line}\n" for line in text.split("\n")[: _heads(tune)])
        if text in known:
            continue
        known.add(text)
        labels = {"title": tune.title, "meter": tune.meter, "key": tune.key, "prompt": prompt, "text": text}
        yield Item(tune.origin, split_of(tune), 0, len(text), 0, {}, labels)


def _heads(tune: Tune) -> int:
    """Lines above the music."""
    return sum(len(tune.fields.get(letter, [])) for letter in FIELDS)
