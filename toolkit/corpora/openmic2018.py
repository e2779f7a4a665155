"""OpenMIC-2018: 20,000 clips of 10 s, partly rated for 20 instruments, E. J. Humphrey et al., doi 10.5281/zenodo.1432913."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import files, log
from toolkit.corpora import _archives, _editions, _mini, _openmic2018, _openmic2018_checksums, _openmic2018_tables
from toolkit.corpora._names import matches
from toolkit.corpora._openmic2018 import CHANNELS, FRAMES, NAME, RATE, SEE, SPLITS, TAGS
from toolkit.corpora._openmic2018_rules import RULES, Rule, choose
from toolkit.corpora._openmic2018_tables import Table
from toolkit.data import manifest, parallel, store
from toolkit.data.manifest import Item
from toolkit.log import UserError

LICENCE = "CC BY 4.0; each clip has the Creative Commons licence of its track on the Free Music Archive"
PARTS = ("train", "valid", "test")
FEATURE = "published/vggish"

logger = log.get(__name__)


def download(corpus: Path) -> None:
    """Fetch and unpack the archive from Zenodo, 2.6 GB; going on where an earlier try stopped.

    Args:
        corpus: the folder to unpack into.

    Raises:
        UserError: the archive cannot be had, or does not hold what was published.
    """
    if _is_complete(corpus):
        return
    archive = corpus / _openmic2018.ADDRESS.rpartition("/")[2]
    files.download(_openmic2018.ADDRESS, archive, size=_openmic2018.SIZE, md5=_openmic2018.MD5)
    logger.info("unpacking %s", archive)
    _archives.extract(archive, corpus)
    if not _is_complete(corpus):
        raise UserError(f"{archive}: expected the lists, labels and audio of all 20,000 clips, found less. {SEE}")
    archive.unlink()


def fetch(corpus: Path, data: Path) -> None:
    """Verify the corpus; nothing else belongs to it.

    Args:
        corpus: folder of the corpus, or the one that it was unpacked in.
        data: folder of all that is prepared.
    """
    logger.info("%s: %s", corpus, verify(corpus))


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (…)`; clips without audio are named in the log.

    Args:
        corpus: folder of the corpus, or the one that it was unpacked in.

    Raises:
        UserError: it is not there.
    """
    return _Clips.read(_openmic2018.find_folder(corpus), errata=True, strict=False).edition


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``openmic2018/east/train``.

    Raises:
        UserError: a name is not of that form.
    """
    others = f"{NAME}/RULE/train and {NAME}/RULE/valid with RULE {' or '.join(RULES)}"
    expected = f"a name such as {NAME}/train or {NAME}/test, or {others}"
    found = matches(names, NAME, rf"{NAME}/(?:({'|'.join(RULES)})/(train|valid)|(train|test))", expected)
    if not found:
        return {}
    rules, splits = {match[1] for match in found}, {match[2] or match[3] for match in found}
    return {
        "rules": [rule for rule in RULES if rule in rules],
        "splits": [split for split in PARTS if split in splits],
        "whole": any(match[3] == "train" for match in found),
    }


def prepare(
    corpus: Path,
    data: Path,
    *,
    rules: list[Rule] = list(RULES),  # noqa: B006  (a command-line default; never changed)
    splits: list[str] = list(PARTS),  # noqa: B006
    whole: bool = False,
    split_file: Path | None = None,
    errata: bool = True,
    checksums: bool = False,
    checksum_lists: Path | None = None,
    nj: int | None = None,
    strict: bool = False,
) -> None:
    """Write manifests ``openmic2018/<rule>/{train,valid}`` and ``openmic2018/test``, and the published VGGish features of each.

    Args:
        corpus: folder of the corpus, or the one that it was unpacked in, whole or a part of it.
        data: folder of all that is prepared.
        rules: which clips are validated on: those of `attention_mil` or of `east`, or both.
        splits: `train`, `valid` and `test`, or some of them.
        whole: also ``openmic2018/train``, all clips of the published split, for what validates on none.
        split_file: AttentionMIC's `train_val.split` (default: the corpus's own, else a seeded draw of as many).
        errata: correct the three labels that the makers' errata name.
        checksums: compare every file with the published MD5 lists first, and leave out clips that differ.
        checksum_lists: the lists, a file or a folder (default: the corpus's own).
        nj: processes for the checksums (default: all processors).
        strict: an unusable clip is an error instead of a named skip.

    Raises:
        UserError: the corpus is not what it should be, or a split would be empty.
    """
    folder = _openmic2018.find_folder(corpus)
    if not splits or not set(splits) <= set(PARTS):
        raise UserError(f"--splits: expected some of {', '.join(PARTS)}, found {splits}")
    if not set(rules) <= set(RULES) or not (rules or whole or splits == ["test"]):
        raise UserError(f"--rules: expected {' or '.join(RULES)}, or both, found {rules}")
    differing: frozenset[str] = frozenset()
    if checksums:
        lists = _openmic2018_checksums.find_lists(folder) if checksum_lists is None else [checksum_lists]
        published = _openmic2018_checksums.read_lists(lists)
        with parallel.Workers(nj) as workers:
            journal = data / NAME / ".checksums.journal"
            differing = _openmic2018_checksums.compare(folder, published, journal, workers, strict)
    clips = _Clips.read(folder, errata, strict, differing)
    if "test" in splits:
        clips.write(data, f"{NAME}/test", "test", clips.listed["test"], {})
    if whole:
        clips.write(data, f"{NAME}/train", "train", clips.listed["train"], {})
    for rule in rules:
        validation = choose(rule, clips.listed["train"], folder, split_file)
        for split in ("train", "valid"):
            if split in splits:
                keys = [key for key in clips.listed["train"] if (key in validation.keys) == (split == "valid")]
                clips.write(data, f"{NAME}/{rule}/{split}", split, keys, {"validation": validation.told})


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write a small OpenMIC-2018 of synthetic music: 60 clips, laid out as published.

    Args:
        corpus: the folder to write into.
        seed: another seed gives other music.
    """
    _mini.make(corpus / _openmic2018.FOLDER, NAME, seed, _write_mini, ("audio", "vggish"))


def _write_mini(folder: Path, seed: int) -> None:
    from toolkit.corpora import _openmic2018_mini  # needs torch, which takes longer to load than all the rest of this module

    _openmic2018_mini.write(folder, seed)


def _is_complete(corpus: Path) -> bool:
    folder = corpus / _openmic2018.FOLDER
    if not (folder / "partitions").is_dir() or not (folder / _openmic2018_tables.ARCHIVE).is_file():
        return False
    audio = _openmic2018.find_files(folder, "audio", ".ogg")
    counts = {split: sum(key in audio for key in keys) for split, keys in _openmic2018.partitions(folder).items()}
    return counts == SPLITS


@dataclass(frozen=True)
class _Clips:
    """The usable clips of a corpus.

    Attributes:
        folder: of the corpus.
        listed: keys in each published split, usable or not.
        table: labels and features of all clips of which something is known.
        rows: of the usable clips in the table.
        skipped: known clips of the splits that are not usable.
        audio: their files below `folder`.
        errata: what was corrected.
        edition: `full`, `mini` or `partial (…)`.
    """

    folder: Path
    listed: dict[str, list[str]]
    table: Table
    rows: dict[str, int]
    skipped: frozenset[str]
    audio: dict[str, str]
    errata: dict[str, Any]
    edition: str

    @classmethod
    def read(cls, folder: Path, errata: bool, strict: bool, differing: frozenset[str] = frozenset()) -> _Clips:
        """Read a corpus; `differing` are keys of clips that are not to be used."""
        _openmic2018.check_class_map(folder)
        listed = _openmic2018.partitions(folder)
        table = _openmic2018_tables.read(folder)
        audio = _openmic2018.find_files(folder, "audio", ".ogg")
        in_splits = {key for keys in listed.values() for key in keys}
        known = {key: row for row, key in enumerate(table.keys) if key in in_splits}
        _name("in no split, not used", set(table.keys) - in_splits, strict)
        silent = known.keys() - audio.keys() - differing
        lost = {key for key in silent if not table.has_features[known[key]]}
        _name("neither audio nor features, not used", lost, strict)
        if audio:
            _name("audio missing or empty, only features used", silent - lost, strict)
        else:
            logger.warning("%s: no audio here; only features are used", folder)
        skipped = known.keys() & (lost | differing)
        rows = {key: row for key, row in known.items() if key not in skipped}
        counts = {split: sum(key in rows for key in keys) for split, keys in listed.items()}
        edition = "mini" if _mini.is_mini(folder, NAME) else _editions.edition(counts, SPLITS, "clips")
        corrections = _correct(table, rows) if errata else {"applied": False}
        return cls(folder, listed, table, rows, frozenset(skipped), audio, corrections, edition)

    def write(self, data: Path, name: str, split: str, keys: Sequence[str], header: dict[str, Any]) -> None:
        """Write a manifest and the features of its clips."""
        usable = [key for key in sorted(keys) if key in self.rows]
        if not usable:
            raise UserError(f"{name}: expected some of {len(keys)} clips in {self.folder}, found none. {SEE}")
        items = [self._item(key, split) for key in usable]
        made_from = self._fingerprint(items)
        path = data / f"{name}.jsonl"
        head = {
            "root": manifest.relative_root(path, self.folder),
            "name": name,
            "corpus": NAME,
            "edition": self.edition,
            "split": split,
            "tags": list(TAGS),
            **header,
            "errata": self.errata,
            "fingerprint": made_from,
            "skipped": len(self.skipped.intersection(keys)),
            "without_audio": sum(not item.audio for item in items),
        }
        manifest.write(path, head, items)
        logger.info("%s: %d clips, %s", name, len(items), self.edition)
        featured = [(key, self.table.features[self.rows[key]]) for key in usable if self.table.has_features[self.rows[key]]]
        if featured:
            origin = {"feature": FEATURE, "manifest": name, "fingerprint": made_from}
            store.write(store.folder_of(data, FEATURE, name), origin, featured)

    def _item(self, key: str, split: str) -> Item:
        labels = [None if math.isnan(value) else value for value in self.table.labels[self.rows[key]].tolist()]
        audio = {"recording": self.audio[key]} if key in self.audio else {}
        return Item(key, split, RATE, FRAMES, CHANNELS, audio, {"tags": labels})

    def _fingerprint(self, items: Iterable[Item]) -> str:
        digest = hashlib.sha256()
        for item in items:
            digest.update(f"{item}".encode())
            digest.update(self.table.features[self.rows[item.id]])
        return digest.hexdigest()


def _correct(table: Table, rows: dict[str, int]) -> dict[str, Any]:
    """Set the labels of the errata to 1 where the table does not say so yet, and tell what was done."""
    corrected = []
    for key, tag in _openmic2018.CORRECTIONS:
        label = (rows.get(key), TAGS.index(tag))
        if label[0] is not None and not table.labels[label] > 0.5:
            table.labels[label] = 1.0
            corrected.append(f"{key} {tag}")
    corrupt = sorted(key for key in rows if key.startswith(_openmic2018.CORRUPT_TRACKS))
    return {"applied": True, "corrected": corrected, "corrupt_when_rated": corrupt}


def _name(what: str, keys: Iterable[str], strict: bool) -> None:
    """Tell of which clips something is missing; an error if `strict`."""
    found = sorted(keys)
    if not found:
        return
    message = f"{what}, clips: {len(found)}: {log.listing(found)}"
    if strict:
        raise UserError(f"{message}. Next: mend the files, or run without --strict")
    logger.warning("%s", message)
