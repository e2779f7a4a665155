"""MagnaTagATune: 25,863 clips of 29 s with tags that players of a game gave them, E. Law et al., ISMIR 2009.

Two versions of the same split by folders are in use: `original`, every clip that has sound, and `clean`, those of them that
have at least one of the fifty most frequent tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from toolkit import audio, files, log
from toolkit.corpora import _editions, _magnatagatune, _magnatagatune_archive, _magnatagatune_mini, _mini, _mixing
from toolkit.corpora._magnatagatune import ADDRESS, ANNOTATIONS, FOLDERS, NAME, SEE, SPLITS, TAGS, Clip
from toolkit.corpora._names import matches
from toolkit.data import parallel
from toolkit.data.manifest import Item
from toolkit.log import UserError

LICENCE = "CC BY-NC-SA 3.0"  # what a model card says

Version = Literal["original", "clean"]
VERSIONS: tuple[Version, ...] = get_args(Version)

logger = log.get(__name__)


def download(corpus: Path) -> None:
    """Fetch annotations and audio from the makers' server, about 3 GB, and unpack them.

    The makers publish no checksums; each file is checked by the CRC-32 that the archive holds of it.

    Args:
        corpus: the folder to unpack into.

    Raises:
        UserError: a file cannot be had, or the archive does not hold what was published.
    """
    annotations = files.download(ADDRESS + ANNOTATIONS, corpus / ANNOTATIONS)
    clips = _magnatagatune.read_annotations(annotations)
    if not _is_complete(corpus, clips):
        archive = [files.download(ADDRESS + name, corpus / name) for name in _magnatagatune_archive.PARTS]
        _magnatagatune_archive.extract(archive, corpus)
        if not _is_complete(corpus, clips):
            raise UserError(f"{corpus}: expected all {sum(SPLITS.values())} clips in the archive, found fewer. {SEE}")
        for path in archive:
            path.unlink()


def fetch(corpus: Path, data: Path) -> None:
    """Verify the corpus; nothing else belongs to it.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
    """
    logger.info("%s: %s", corpus, verify(corpus))


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (…)`; clips that are missing or empty are named in the log.

    Args:
        corpus: its folder, with the clips or with the parts of the archive.

    Raises:
        UserError: it is not there.
    """
    layout = _magnatagatune.find(corpus)
    clips, sizes = _magnatagatune.read_annotations(layout.annotations), layout.sizes()
    _name_missing([clip for clip in clips if not sizes.get(clip.path)], corpus, strict=False)
    return _edition(corpus, _magnatagatune.count(clip for clip in clips if sizes.get(clip.path)))


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``magnatagatune/clean/train``.

    Raises:
        UserError: a name is not of that form.
    """
    expected = f"a name such as {NAME}/VERSION/train, valid or test with VERSION {' or '.join(VERSIONS)}"
    found = matches(names, NAME, rf"{NAME}/({'|'.join(VERSIONS)})/({'|'.join(SPLITS)})", expected)
    if not found:
        return {}
    versions, splits = {match[1] for match in found}, {match[2] for match in found}
    return {
        "versions": [version for version in VERSIONS if version in versions],
        "splits": [split for split in SPLITS if split in splits],
    }


def prepare(
    corpus: Path,
    data: Path,
    *,
    versions: list[Version] = list(VERSIONS),  # noqa: B006  (a command-line default; never changed)
    splits: list[str] = list(SPLITS),  # noqa: B006
    nj: int | None = None,
    strict: bool = False,
) -> None:
    """Write manifests ``magnatagatune/<version>/<split>`` of the clips where they lie; an archive is unpacked below `data`.

    Args:
        corpus: its folder, with the clips or with the parts of the archive.
        data: folder of all that is prepared.
        versions: `original`, every clip that has sound, and `clean`, those with one of the fifty tags, or one of the two.
        splits: `train`, `valid` and `test`, or some of them.
        nj: processes (default: all processors).
        strict: an unusable clip is an error instead of a named skip.

    Raises:
        UserError: the corpus is not what it should be, or a split would be empty.
    """
    for option, values, known in (("--versions", versions, VERSIONS), ("--splits", splits, tuple(SPLITS))):
        if not values or not set(values) <= set(known):
            raise UserError(f"{option}: expected some of {', '.join(known)}, found {values}")
    layout = _magnatagatune.find(corpus)
    clips, sizes = _magnatagatune.read_annotations(layout.annotations), layout.sizes()
    _name_missing([clip for clip in clips if clip.path not in sizes and clip.split in splits], corpus, strict)
    found = {split: {clip.id: clip for clip in clips if clip.split == split and clip.path in sizes} for split in SPLITS}
    for split in splits:
        if not found[split]:
            folders = ", ".join(FOLDERS[split])
            raise UserError(f"{NAME} {split}: expected {SPLITS[split]} clips in the folders {folders}, found none. {SEE}")
    root = _unpacked(layout, data)
    with parallel.Workers(nj) as workers:
        measured = {split: _measure_all(split, found[split], root, data, workers, strict) for split in splits}
    usable = {split: len(there) for split, there in found.items()}
    edition = _edition(corpus, usable | {split: len(done.results) for split, done in measured.items()})
    for split, done in measured.items():
        there, skipped = found[split], [one.id for one in done.skipped]
        for version in versions:
            head = {"corpus": NAME, "edition": edition, "split": split, "version": version, "tags": list(TAGS)}
            path = data / NAME / version / f"{split}.jsonl"
            ids = [id for id, told in done.results.items() if _belongs(there[id], told, version)]
            items = (_item(there[id], done.results[id]) for id in ids)
            _mixing.write_manifest(path, data, root, head, _jobs(there, ids, root), done.some([*ids, *skipped]), items)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write a small MagnaTagATune of synthetic music: 60 files of 29 s, laid out as published.

    Args:
        corpus: the folder to write.
        seed: another seed gives other music.
    """
    _mini.make(corpus, NAME, seed, _magnatagatune_mini.write, "".join(FOLDERS.values()))


def _jobs(clips: Mapping[str, Clip], ids: Sequence[str], root: Path) -> parallel.Jobs:
    """Jobs that read the lengths of clips."""

    def job(id: str) -> parallel.Job:
        path = root / clips[id].path
        return parallel.Job(id, path, parallel.files_signature([path], root, "".join(map(str, clips[id].tags))))

    return parallel.Jobs(ids, job)


def _measure_all(
    split: str, clips: Mapping[str, Clip], root: Path, data: Path, workers: parallel.Workers, strict: bool
) -> parallel.Outcome:
    jobs, journal = _jobs(clips, list(clips), root), _mixing.journal(data / NAME / split)
    return parallel.run(_measure, jobs, f"{NAME} {split} clips", workers=workers, journal=journal, strict=strict)


def _measure(path: Path) -> dict[str, int]:
    """Read the headers of a file's frames; nothing is decoded."""
    if not path.stat().st_size:
        raise UserError(f"empty file: {path}")
    return audio.info(path)._asdict()


def _belongs(clip: Clip, found: Mapping[str, int], version: str) -> bool:
    """Whether a clip that can be used is of a version."""
    return version == "original" or _magnatagatune.is_clean(clip, found["frames"] / found["sample_rate"])


def _item(clip: Clip, found: Mapping[str, int]) -> Item:
    sound = (found["sample_rate"], found["frames"], found["channels"])
    return Item(clip.id, clip.split, *sound, {"recording": clip.path}, {"tags": list(clip.tags)})


def _unpacked(layout: _magnatagatune.Layout, data: Path) -> Path:
    """The folder of the clips: the corpus's own, or one below `data` that its archive is unpacked to."""
    if layout.audio is not None:
        return layout.audio
    folder = data / NAME / "mp3"
    logger.info("unpacking %s to %s", ", ".join(path.name for path in layout.archive), folder)
    _magnatagatune_archive.extract(layout.archive, folder)
    return folder


def _is_complete(corpus: Path, clips: Sequence[Clip]) -> bool:
    sizes = _magnatagatune.Layout(corpus / ANNOTATIONS, corpus, []).sizes()
    return _edition(corpus, _magnatagatune.count(clip for clip in clips if sizes.get(clip.path))) == "full"


def _edition(corpus: Path, counts: Mapping[str, int]) -> str:
    return "mini" if _mini.is_mini(corpus, NAME) else _editions.edition(counts, SPLITS, "clips")


def _name_missing(clips: Sequence[Clip], corpus: Path, strict: bool) -> None:
    """Tell which clips have annotations and no sound; an error if `strict`."""
    if not clips:
        return
    names = log.listing([clip.path for clip in clips])
    message = f"{len(clips)} clips that are annotated are missing or empty in {corpus}: {names}"
    if strict:
        raise UserError(f"{message}. Next: fetch them again, or run without --strict")
    logger.warning("%s", message)
