"""MUSDB18 and MUSDB18-HQ: 150 songs with stems, Z. Rafii et al., doi 10.5281/zenodo.1117372 and 10.5281/zenodo.3338373.

Two releases of the same songs: `musdb18`, coded as AAC in stem.mp4 files, and `musdb18-hq`, 16-bit WAV.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from toolkit import audio, files, log
from toolkit.audio import ffmpeg
from toolkit.corpora import _archives, _mini, _mixing, _musdb18, _musdb18_mini
from toolkit.corpora._musdb18 import RATE, ROLES, SEE, SPLITS
from toolkit.data import parallel
from toolkit.data.manifest import Item
from toolkit.dsp.resample import resample
from toolkit.log import UserError

NAME = "musdb18"
LICENCE = "educational use only; 102 tracks are restricted, 48 are CC BY-NC-SA"  # what a model card says
AAC_FRAME = 1024  # samples; coded stems may differ in length by a few of them

ReleaseName = Literal["musdb18-hq", "musdb18"]

logger = log.get(__name__)


def download(corpus: Path, *, release: ReleaseName = "musdb18-hq") -> None:
    """Fetch and unpack a release from Zenodo; its licence allows educational use only.

    Args:
        corpus: the folder to unpack into.
        release: `musdb18-hq` (22.7 GB) or `musdb18` (4.7 GB).

    Raises:
        UserError: the archive cannot be had, or does not hold what was published.
    """
    if _counts(_musdb18.index(corpus, release)) == SPLITS:
        return
    published = _musdb18.RELEASES[release]
    archive = corpus / published.address.rpartition("/")[2]
    files.download(published.address, archive, size=published.size, md5=published.md5)
    logger.info("unpacking %s", archive)
    _archives.extract(archive, corpus)
    counts = _counts(_musdb18.index(corpus, release))
    if counts != SPLITS:
        raise UserError(f"{archive}: expected all 150 tracks, found {_musdb18.edition(counts)}. {SEE}")
    archive.unlink()


def fetch(corpus: Path, data: Path) -> None:
    """Verify the corpus; nothing else belongs to it.

    Args:
        corpus: folder of either release.
        data: folder of all that is prepared.
    """
    logger.info("%s: %s", corpus, verify(corpus))


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (…)`; a track that cannot be used is named in the log.

    Of WAV files the headers are read; that stems add up to the mixture is measured in `prepare`, which reads them anyway.

    Args:
        corpus: folder of either release.

    Raises:
        UserError: neither is there.
    """
    corpus = files.require_folder(corpus, "MUSDB18", SEE)
    release = _musdb18.find_release(corpus, None)
    found = _musdb18.index(corpus, release)
    counts = dict.fromkeys(SPLITS, 0)
    for split, tracks in found.items():
        for name, path in tracks.items():
            try:
                _check_original(path, release)
                counts[split] += 1
            except UserError as error:
                logger.warning("not usable: %s: %s", name, error)
    return "mini" if _mini.is_mini(corpus, NAME) else _musdb18.edition(counts)


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``musdb18-hq/44100/train``.

    Raises:
        UserError: a name is not of that form, or they name both releases.
    """
    ours = sorted(name for name in names if name.split("/")[0].startswith(NAME))
    found = [re.fullmatch(r"(musdb18-hq|musdb18)/(\d+)/(train|valid|test)", name) for name in ours]
    for name, match in zip(ours, found, strict=True):
        if match is None:
            raise UserError(f"data: expected a name such as musdb18-hq/{RATE}/train, valid or test, found {name!r}")
    parts = [match.groups() for match in found if match]
    if not parts:
        return {}
    releases = {release for release, _, _ in parts}
    if len(releases) > 1:
        raise UserError(f"data: expected names of one release, found {', '.join(ours)}")
    wanted = {split for _, _, split in parts}
    return {
        "sample_rates": sorted({int(rate) for _, rate, _ in parts}),
        "release": releases.pop(),
        "splits": [split for split in SPLITS if split in wanted],
    }


def prepare(
    corpus: Path,
    data: Path,
    *,
    sample_rates: list[int] = [RATE],  # noqa: B006  (a command-line default; never changed)
    release: ReleaseName | None = None,
    splits: list[str] = list(SPLITS),  # noqa: B006
    nj: int | None = None,
    strict: bool = False,
) -> None:
    """Write manifests ``<release>/<Hz>/<split>``, and the audio that the corpus does not hold as WAV at that rate.

    Args:
        corpus: folder of either release, whole or a part of it.
        data: folder of all that is prepared.
        sample_rates: Hz; at 44100 the HQ release's own files are used, stem.mp4 files are decoded.
        release: expected release (default: what the folder holds).
        splits: `train`, `valid` and `test`, or some of them.
        nj: processes (default: all processors).
        strict: an unusable track is an error instead of a named skip.

    Raises:
        UserError: the corpus is not what it should be, or a split would be empty.
    """
    corpus = files.require_folder(corpus, "MUSDB18", SEE)
    if not splits or not set(splits) <= SPLITS.keys():
        raise UserError(f"--splits: expected some of {', '.join(SPLITS)}, found {splits}")
    found = _musdb18.find_release(corpus, release)
    tracks = _musdb18.index(corpus, found)
    for split in splits:
        if not tracks[split]:
            raise UserError(f"{found} {split}: expected {SPLITS[split]} tracks in {corpus}, found none. {SEE}")
    with parallel.Workers(nj) as workers:
        preparation = _Preparation(corpus, data, found, workers, strict)
        originals = {split: preparation.originals(split, tracks[split]) for split in splits}
        usable = _counts(tracks) | {split: len(done.jobs) for split, done in originals.items()}
        edition = "mini" if _mini.is_mini(corpus, NAME) else _musdb18.edition(usable)
        for split in splits:
            for rate in sorted(set(sample_rates)):
                at_rate = originals[split] if rate == RATE else preparation.resampled(split, originals[split], rate)
                preparation.list_tracks(split, at_rate, rate, edition)


def make_mini(corpus: Path, seed: int = 0, layout: Literal["wav", "stems"] = "wav") -> None:
    """Write a small MUSDB18 of synthetic music: 11 tracks of 8 s, laid out as published.

    Args:
        corpus: the folder to write.
        seed: another seed gives other songs.
        layout: `wav` as MUSDB18-HQ, or `stems` as MUSDB18, which needs ffmpeg.
    """
    release = "musdb18-hq" if layout == "wav" else "musdb18"
    if _mini.is_mini(corpus, NAME) and not any(_musdb18.index(corpus, release).values()):
        _mini.reopen(corpus)  # it has the other layout
    _mini.make(corpus, NAME, seed, lambda folder, drawn: _musdb18_mini.write(folder, drawn, layout), _musdb18.SUBSETS)


# A track: what is done with it, in whatever process


@dataclass(frozen=True)
class _Work:
    """A track as it is, WAV files or a stem.mp4, and as it is to be: WAV files in the order of `ROLES`, perhaps the same."""

    sources: tuple[Path, ...]
    targets: tuple[Path, ...]
    sample_rate: int


def _list_wavs(work: _Work) -> dict[str, Any]:
    return _musdb18.measure(work.sources, _musdb18.check(work.sources))


def _decode(work: _Work) -> dict[str, Any]:
    _check_stem_file(work.sources[0])
    ffmpeg.decode(work.sources[0], work.targets)
    lengths = [audio.info(path).frames for path in work.targets]
    if 0 < max(lengths) - min(lengths) <= 4 * AAC_FRAME:
        for path, length in zip(work.targets, lengths, strict=True):
            if length > min(lengths):
                audio.write(path, audio.read_array(path, 0, min(lengths)), RATE)
    return _musdb18.measure(work.targets, _musdb18.check(work.targets))


def _resample(work: _Work) -> dict[str, Any]:
    frames = 0
    for source, target in zip(work.sources, work.targets, strict=True):
        samples = resample(audio.read_array(source), RATE, work.sample_rate)
        frames = samples.shape[1]
        audio.write(target, samples, work.sample_rate, "FLOAT")  # 16 bits might clip
    return _musdb18.measure(work.targets, frames)


def _check_original(path: Path, release: str) -> None:
    if release == "musdb18-hq":
        _musdb18.check(_wavs(path))
    else:
        _check_stem_file(path)


def _check_stem_file(path: Path) -> None:
    found = [(stream.sample_rate, stream.layout) for stream in ffmpeg.streams(path)]
    if found != [(RATE, "stereo")] * len(ROLES):
        told = ", ".join(f"{layout} {rate} Hz" for rate, layout in found)
        raise UserError(f"expected {len(ROLES)} stereo streams at {RATE} Hz, found {len(found)} ({told}): {path}")


def _wavs(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / f"{role}.wav" for role in ROLES)


# A preparation


class _Done(NamedTuple):
    """Tracks of a split at one rate: folder that their files are below, jobs of the usable ones, what came of all."""

    root: Path
    jobs: list[parallel.Job]
    outcome: parallel.Outcome


@dataclass(frozen=True)
class _Preparation:
    corpus: Path
    data: Path
    release: str
    workers: parallel.Workers
    strict: bool

    def originals(self, split: str, tracks: dict[str, Path]) -> _Done:
        """The tracks at 44,100 Hz: the corpus's own WAV files, measured, or stem.mp4 files, decoded."""
        hq = self.release == "musdb18-hq"

        def job(name: str, path: Path) -> parallel.Job:
            sources = _wavs(path) if hq else (path,)
            targets = () if hq else _wavs(self._folder(RATE) / path.parent.name / name)
            signature = parallel.files_signature(filter(os.path.exists, sources), self.corpus)
            return parallel.Job(name, _Work(sources, targets or sources, RATE), signature, targets)

        jobs = [job(name, path) for name, path in tracks.items()]
        done = self._run(_list_wavs if hq else _decode, jobs, split, RATE, self.corpus if hq else self.data)
        self._name_poor_sums(done.outcome)
        return done

    def resampled(self, split: str, originals: _Done, rate: int) -> _Done:
        """The tracks at another rate."""

        def job(original: parallel.Job) -> parallel.Job:
            sources = original.argument.targets
            targets = _wavs(self._folder(rate) / sources[0].parent.parent.name / original.id)
            return parallel.Job(original.id, _Work(sources, targets, rate), original.signature, targets)

        return self._run(_resample, [job(original) for original in originals.jobs], split, rate, self.data)

    def list_tracks(self, split: str, done: _Done, rate: int, edition: str) -> None:
        """Write a manifest."""

        def item(job: parallel.Job) -> Item:
            result = done.outcome.results[job.id]
            paths = {role: p.relative_to(done.root).as_posix() for role, p in zip(ROLES, job.argument.targets, strict=True)}
            labels = {
                "mixture_mean": result["mean"],
                "mixture_deviation": result["deviation"],
                "stem_ratio_db": round(result["ratio"], 2),
            }
            return Item(job.id, split, rate, result["frames"], _musdb18.CHANNELS, paths, labels)

        head = {"corpus": NAME, "release": self.release, "edition": edition, "split": split}
        path = self._folder(rate) / f"{split}.jsonl"
        _mixing.write_manifest(path, self.data, done.root, head, done.jobs, done.outcome, map(item, done.jobs))

    def _run(
        self, work: Callable[[_Work], dict[str, Any]], jobs: list[parallel.Job], split: str, rate: int, root: Path
    ) -> _Done:
        journal = _mixing.journal(self._folder(rate) / f"{split}.jsonl")
        what = f"{self.release} {split} tracks at {rate} Hz"
        outcome = parallel.run(work, jobs, what, workers=self.workers, journal=journal, strict=self.strict)
        return _Done(root, outcome.done(jobs), outcome)

    def _name_poor_sums(self, outcome: parallel.Outcome) -> None:
        least = _musdb18.RELEASES[self.release].sum_ratio
        for name, result in outcome.results.items():
            if result["ratio"] < least:
                logger.warning(
                    "%s: the stems' sum is not the mixture: ratio %.1f dB, usual is above %g", name, result["ratio"], least
                )

    def _folder(self, rate: int) -> Path:
        return self.data / self.release / str(rate)


def _counts(tracks: dict[str, dict[str, Path]]) -> dict[str, int]:
    return {split: len(found) for split, found in tracks.items()}
