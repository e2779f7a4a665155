"""Corpora of single voices and their pitch: what MIR-1K and MDB-stem-synth share, from files to manifests of their splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from toolkit import log
from toolkit.corpora import _mini, _mixing
from toolkit.corpora._names import matches
from toolkit.data import parallel
from toolkit.data.manifest import Item
from toolkit.log import UserError

SPLITS = ("train", "valid", "test", "all")

logger = log.get(__name__)


class Recording(NamedTuple):
    """A file of the corpus.

    Attributes:
        id: its name.
        audio: the file.
        annotation: file of its pitch; it may be missing.
        split: `train`, `valid` or `test`.
        labels: what its name tells.
    """

    id: str
    audio: Path
    annotation: Path
    split: str
    labels: dict[str, str]


class Work(NamedTuple):
    """What the function that prepares a recording is given: the files of all roles, to be written or the corpus's own."""

    recording: Recording
    targets: Mapping[str, Path]
    sample_rate: int


@dataclass(frozen=True)
class Corpus:
    """A corpus as it is found.

    Attributes:
        name: of the corpus.
        root: folder of its files.
        edition: `full`, `mini` or what part of it this is.
        recordings: those that are there.
        rule: how they were split, for the manifests.
        roles: of an item.
        own_rate: Hz at which the corpus's own files serve, which are mono then; None where they never do.
        work: prepares one recording: writes its files, returns `frames` and `f0`.
        see: what to do where something is missing.
    """

    name: str
    root: Path
    edition: str
    recordings: Sequence[Recording]
    rule: str
    roles: tuple[str, ...]
    own_rate: int | None
    work: Callable[[Work], dict[str, Any]]
    see: str

    def verify(self) -> str:
        """The edition; annotations that are missing are named in the log."""
        if missing := [one.annotation.name for one in self.recordings if not one.annotation.is_file()]:
            logger.warning("%d annotations are missing in %s: %s", len(missing), self.root, log.listing(missing))
        return self.edition

    def prepare(self, data: Path, rates: Sequence[int], splits: Sequence[str], nj: int | None, strict: bool) -> None:
        """Write the manifests ``<name>/<Hz>/<split>`` below `data`, and the audio that the corpus does not have itself.

        Raises:
            UserError: there is no such split, or nothing usable in one.
        """
        if not splits or not set(splits) <= set(SPLITS):
            raise UserError(f"--splits: expected some of {', '.join(SPLITS)}, found {splits}")
        parts = {split: [one for one in self.recordings if split in ("all", one.split)] for split in splits}
        for split, part in parts.items():
            if not part:
                raise UserError(f"{self.name} {split}: none of its recordings is in {self.root}. {self.see}")
        wanted = {one.id: one for part in parts.values() for one in part}
        with parallel.Workers(nj) as workers:
            for rate in sorted(set(rates)):
                folder = data / self.name / str(rate)
                jobs = {one.id: self._job(one, folder, rate) for one in wanted.values()}
                what, journal = f"{self.name} recordings at {rate} Hz", _mixing.journal(folder / "recordings")
                done = parallel.run(self.work, list(jobs.values()), what, workers=workers, journal=journal, strict=strict)
                for split, part in parts.items():
                    self._list(split, [jobs[one.id] for one in part], done, data, rate)

    def _job(self, one: Recording, folder: Path, rate: int) -> parallel.Job:
        own = rate == self.own_rate
        targets = {role: one.audio if own else folder / "audio" / role / f"{one.id}.wav" for role in self.roles}
        sources = [path for path in (one.audio, one.annotation) if path.is_file()]
        outputs = () if own else tuple(targets.values())
        return parallel.Job(one.id, Work(one, targets, rate), parallel.files_signature(sources, self.root, rate), outputs)

    def _list(self, split: str, jobs: Sequence[parallel.Job], done: parallel.Outcome, data: Path, rate: int) -> None:
        outcome = done.some(job.id for job in jobs)
        root = self.root if rate == self.own_rate else data
        usable = outcome.done(jobs)

        def item(job: parallel.Job) -> Item:
            work, result = job.argument, outcome.results[job.id]
            audio = {role: path.relative_to(root).as_posix() for role, path in work.targets.items()}
            return Item(job.id, split, rate, result["frames"], 1, audio, work.recording.labels | {"f0": result["f0"]})

        head = {"corpus": self.name, "edition": self.edition, "split": split, "rule": self.rule}
        path = data / self.name / str(rate) / f"{split}.jsonl"
        _mixing.write_manifest(path, data, root, head, usable, outcome, map(item, usable))


def edition(name: str, corpus: Path, recordings: Sequence[Recording], whole: int, what: str) -> str:
    """`mini`, `full` where all `whole` recordings are there with their annotations, or `partial (…)` in words."""
    annotated = sum(one.annotation.is_file() for one in recordings)
    partial = f"partial ({annotated} of {whole} {what})"
    return "mini" if _mini.is_mini(corpus, name) else "full" if annotated == whole else partial


def options_for(corpus: str, names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make those manifests of a corpus among `names`, e.g. ``mir1k/16000/train``.

    Raises:
        UserError: a name is not of that form.
    """
    expected = f"a name such as {corpus}/16000/all, train, valid or test"
    found = matches(names, corpus, rf"{corpus}/(\d+)/({'|'.join(SPLITS)})", expected)
    if not found:
        return {}
    rates, splits = {int(match[1]) for match in found}, {match[2] for match in found}
    return {"sample_rates": sorted(rates), "splits": [split for split in SPLITS if split in splits]}
