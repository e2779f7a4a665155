"""Mixtures that somebody has already made with the official scripts: checked by their headers, and listed in manifests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import audio
from toolkit.corpora import _mixing
from toolkit.data import parallel
from toolkit.data.manifest import Item
from toolkit.log import UserError


@dataclass(frozen=True)
class ReadyMade:
    """One official folder of mixtures, e.g. ``2speakers/wav8k/min``.

    Attributes:
        folder: holds a folder a split, each with a folder `mixture` and folders s1, s2, ….
        mixture: name of the folder of mixtures, ``mix`` or ``mix_clean``.
        speakers: sources a mixture.
        sample_rate: Hz.
    """

    folder: Path
    mixture: str
    speakers: int
    sample_rate: int

    def names(self, split: str) -> list[str]:
        """Stems of the mixtures of a split, sorted."""
        return sorted(path.stem for path in (self.folder / split / self.mixture).glob("[!.]*.wav"))

    def roles(self) -> dict[str, str]:
        """Role in the manifest to folder name."""
        return {"mixture": self.mixture, **{f"s{number}": f"s{number}" for number in range(1, self.speakers + 1)}}

    def list_split(
        self,
        split: str,
        path: Path,
        data: Path,
        header: dict[str, Any],
        labels: Callable[[str], dict[str, Any]],
        nj: int | None,
        strict: bool,
    ) -> None:
        """Write the manifest `path` of one split.

        Args:
            split: name of its folder.
            path: the manifest.
            data: folder of all that is prepared.
            header: what else the manifest's header is to say.
            labels: of a mixture, from its name.
            nj: processes.
            strict: a bad mixture is an error.

        Raises:
            UserError: the split has no usable mixture.
        """
        jobs = parallel.Jobs(self.names(split), partial(self._job, split))
        outcome = parallel.run(_check, jobs, f"{split} mixtures", nj=nj, journal=_mixing.journal(path), strict=strict)

        def item(name: str) -> Item:
            files = {role: f"{split}/{folder}/{name}.wav" for role, folder in self.roles().items()}
            return Item(name, split, self.sample_rate, outcome.results[name]["frames"], 1, files, labels(name))

        head = {**header, "split": split, "ready_made": True}
        _mixing.write_manifest(path, data, self.folder, head, jobs, outcome, map(item, outcome.results))

    def _job(self, split: str, name: str) -> parallel.Job:
        paths = tuple(self.folder / split / folder / f"{name}.wav" for folder in self.roles().values())
        there = [path for path in paths if path.exists()]
        return parallel.Job(name, (paths, self.sample_rate), parallel.files_signature(there, self.folder, len(paths)))


def find(corpus: Path, name: str, mixture: str, speakers: int, sample_rate: int, mode: str) -> ReadyMade | None:
    """The folder ``<name>/wav8k/min`` (or 16k, max) in the corpus, or in the corpus that is `name` itself; None if absent."""
    part = Path(f"wav{sample_rate // 1000}k") / mode
    for folder in (corpus / name / part, *([corpus / part] if corpus.name == name else [])):
        if folder.is_dir():
            return ReadyMade(folder, mixture, speakers, sample_rate)
    return None


def find_all(corpus: Path, name: str, mixture: str, speakers: Iterable[int]) -> list[ReadyMade]:
    """All such folders of the corpus, of any rate and mode; `name` has ``{}`` for the number of speakers."""
    found = (
        find(corpus, name.format(n), mixture, n, rate, mode)
        for n in speakers
        for rate in (8000, 16000)
        for mode in ("min", "max")
    )
    return [one for one in found if one is not None]


def _check(argument: tuple[tuple[Path, ...], int]) -> dict[str, int]:
    paths, sample_rate = argument
    found = [audio.info(path) for path in paths]
    for path, info in zip(paths, found, strict=True):
        if (info.channels, info.sample_rate, info.frames) != (1, sample_rate, found[0].frames) or info.frames == 0:
            raise UserError(
                f"expected {found[0].frames or 'some'} samples of one channel at {sample_rate} Hz like its mixture, "
                f"found {info.frames} of {info.channels} at {info.sample_rate} Hz: {path}"
            )
    return {"frames": found[0].frames}
