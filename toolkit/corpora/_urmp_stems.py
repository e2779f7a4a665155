"""URMP's stems at any rate, with their annotations: the corpus's own files, or WAV files below the folder of all data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from toolkit import log
from toolkit.corpora import _mixing, _urmp
from toolkit.corpora._resampling import Resampling, at_rate
from toolkit.corpora._urmp import NAME, RATE, Stem
from toolkit.data import parallel
from toolkit.data.manifest import Item

logger = log.get(__name__)


class Done(NamedTuple):
    """Stems at one rate: folder that their files are below, jobs of the usable ones, what came of all, and of the mixtures."""

    root: Path
    jobs: dict[str, parallel.Job]
    outcome: parallel.Outcome
    mixtures: dict[str, parallel.Job]
    lengths: dict[str, int]


def _stem(work: tuple[Stem, Resampling]) -> dict[str, Any]:
    stem, resampling = work
    return {"labels": _urmp.labels(stem), **at_rate(resampling)}


@dataclass(frozen=True)
class Preparation:
    """One preparation of the corpus.

    Attributes:
        root: folder of its pieces.
        data: folder of all that is prepared.
        workers: processes.
        strict: an unusable file is an error.
        edition: what part of the corpus this is, for the manifests.
    """

    root: Path
    data: Path
    workers: parallel.Workers
    strict: bool
    edition: str

    def stems(self, stems: Sequence[Stem], rate: int) -> Done:
        """The stems, and the mixtures of their pieces, at a rate."""
        mixtures = {stem.folder: stem.mixture for stem in stems if stem.mixture.is_file()}
        mixture_jobs = {folder: self._job(path, rate) for folder, path in mixtures.items()}
        mixed = self.run(at_rate, list(mixture_jobs.values()), f"{NAME} mixtures at {rate} Hz", self._folder(rate) / "mixtures")
        jobs = {stem.id: self._stem_job(stem, rate) for stem in stems}
        outcome = self.run(_stem, list(jobs.values()), f"{NAME} stems at {rate} Hz", self._folder(rate) / "stems")
        lengths = {folder: mixed.results[job.id]["frames"] for folder, job in mixture_jobs.items() if job.id in mixed.results}
        root = self.root if rate == RATE else self.data
        return Done(root, {key: job for key, job in jobs.items() if key in outcome.results}, outcome, mixture_jobs, lengths)

    def list_stems(self, done: Done, stems: Sequence[Stem], split: str, rate: int) -> None:
        """Write the manifest of a split; a mixture that is not as long as a stem is no role of it."""

        def item(stem: Stem) -> Item:
            result = done.outcome.results[stem.id]
            roles = {"recording": self.target(stem.audio, rate).relative_to(done.root).as_posix()}
            if done.lengths.get(stem.folder) == result["frames"]:
                roles["mixture"] = self.target(stem.mixture, rate).relative_to(done.root).as_posix()
            return Item(stem.id, split, rate, result["frames"], 1, roles, result["labels"])

        usable = [stem for stem in stems if stem.id in done.jobs]
        if alone := [stem.id for stem in usable if "mixture" not in item(stem).audio]:
            logger.warning("%s %s: without a mixture of the same length: %s", NAME, split, log.listing(alone))
        jobs = [done.jobs[stem.id] for stem in usable]
        outcome = done.outcome.some(stem.id for stem in stems)
        head = {"corpus": NAME, "edition": self.edition, "split": split}
        path = self._folder(rate) / f"{split}.jsonl"
        mixed = [done.mixtures[folder] for folder in sorted({stem.folder for stem in usable}) if folder in done.lengths]
        _mixing.write_manifest(path, self.data, done.root, head, [*jobs, *mixed], outcome, map(item, usable))

    def target(self, source: Path, rate: int) -> Path:
        """Where a file of the corpus lies at a rate."""
        return source if rate == RATE else self._folder(rate) / "audio" / source.parent.name / source.name

    def run(self, work: Any, jobs: Sequence[parallel.Job], what: str, beside: Path) -> parallel.Outcome:
        """`parallel.run` with a journal that is named after `beside`."""
        journal = _mixing.journal(beside)
        return parallel.run(work, jobs, what, workers=self.workers, journal=journal, strict=self.strict)

    def _stem_job(self, stem: Stem, rate: int) -> parallel.Job:
        there = filter(os.path.exists, (stem.audio, stem.f0, stem.notes))
        signature = parallel.files_signature(there, self.root, rate, stem.instrument)
        resampling, outputs = self._resampling(stem.audio, rate)
        return parallel.Job(stem.id, (stem, resampling), signature, outputs)

    def _job(self, source: Path, rate: int) -> parallel.Job:
        resampling, outputs = self._resampling(source, rate)
        return parallel.Job(source.stem, resampling, parallel.files_signature([source], self.root, rate), outputs)

    def _resampling(self, source: Path, rate: int) -> tuple[Resampling, tuple[Path, ...]]:
        work = Resampling(source, self.target(source, rate), rate)
        return work, () if work.target == source else (work.target,)

    def _folder(self, rate: int) -> Path:
        return self.data / NAME / str(rate)
