"""From a corpus of single voices to mixtures of them: what WSJ0-mix and LibriMix have in common.

An utterance has a key, ``…/<speaker>/<utterance>``.  First every utterance of a split is brought into the form that mixtures
are made of, then the mixtures are made; both steps run in parallel, and go on where they were stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from toolkit import log
from toolkit.data import manifest, parallel
from toolkit.data.journal import Results
from toolkit.data.manifest import Item
from toolkit.log import UserError

Labels = dict[str, Any]
Result = dict[str, Any]

logger = log.get(__name__)


class Mixture(Protocol):
    """What is mixed: name of the files, keys of the utterances."""

    @property
    def name(self) -> str: ...

    @property
    def utterances(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class UtteranceWork:
    """What the function that prepares an utterance is given; it writes `target` and returns `frames` and what it measured."""

    source: Path
    target: Path
    sample_rate: int
    option: Any


@dataclass(frozen=True)
class MixtureWork:
    """What the function that mixes is given: utterances, the weight of each, files of the mixture and of each source.

    It writes the files and returns `frames` and what else is to be told.
    """

    utterances: tuple[Path, ...]
    weights: tuple[float, ...]
    targets: tuple[Path, ...]
    sample_rate: int
    mode: str
    option: Any


class Prepared(NamedTuple):
    """A prepared utterance: its file, what that was made from, and what was measured."""

    path: Path
    signature: str
    result: Result


class Utterances(Mapping[str, Prepared]):
    """Prepared utterances by their keys; what is told of each is read from a journal when it is asked for.

    Args:
        results: what their preparation returned.
        path_of: the file of a key.
    """

    def __init__(self, results: Results, path_of: Callable[[str], Path]) -> None:
        self._results, self._path_of = results, path_of

    def __getitem__(self, key: str) -> Prepared:
        entry = self._results.entry(key)
        return Prepared(self._path_of(key), entry["signature"], entry["result"])

    def __contains__(self, key: object) -> bool:
        return key in self._results

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)


class Place(NamedTuple):
    """Where mixtures go: folder of manifests (`wsj0-2mix`), of audio (`2speakers`), and of the mixtures in it (`mix`)."""

    manifests: str
    audio: str
    mixture: str


@dataclass(frozen=True)
class Mixing:
    """One preparation of one corpus.

    Attributes:
        name: of the corpus.
        corpus: its folder.
        data: folder of all that is prepared.
        sample_rate: wanted, in Hz.
        mode: `min` or `max`.
        edition: what part of the corpus this is, for the manifests.
        workers: processes.
        strict: an unusable file is an error.
    """

    name: str
    corpus: Path
    data: Path
    sample_rate: int
    mode: str
    edition: str
    workers: parallel.Workers
    strict: bool

    @property
    def rate(self) -> str:
        """As folders are named: `8k`."""
        return f"{self.sample_rate // 1000}k"

    def prepare_utterances(
        self,
        work: Callable[[UtteranceWork], Result],
        place: str,
        split: str,
        sources: Mapping[str, Path],
        labels: Callable[[Result], Labels],
        option: Callable[[str], Any] = lambda key: None,
    ) -> Utterances:
        """Prepare the utterances of a split and write their manifest ``<place>/8k/<split>.jsonl``.

        Args:
            work: prepares one.
            place: folder.
            split: name.
            sources: key to file.
            labels: of an item, from what `work` returned.
            option: for `work`, from a key.
        """
        folder = self.data / place / self.rate

        def target(key: str) -> Path:
            return folder / split / speaker(key) / f"{utterance(key)}.wav"

        def job(key: str) -> parallel.Job:
            given = UtteranceWork(sources[key], target(key), self.sample_rate, option(key))
            signature = parallel.files_signature([sources[key]], self.corpus, self.sample_rate, given.option)
            return parallel.Job(key, given, signature, (given.target,))

        def item(key: str, result: Result) -> Item:
            told = {"speaker": speaker(key), **labels(result)}
            audio = {"speech": self._below_data(target(key))}
            return Item(utterance(key), split, self.sample_rate, result["frames"], 1, audio, told)

        jobs = parallel.Jobs(list(sources), job)
        outcome = self.run(work, jobs, f"{split} utterances", folder / f"{split}.jsonl")
        self._write_manifest(folder / f"{split}.jsonl", split, jobs, outcome, item, {})
        assert isinstance(outcome.results, Results)  # there is a journal
        return Utterances(outcome.results, target)

    def prepare_mixtures(
        self,
        work: Callable[[MixtureWork], Result],
        place: Place,
        split: str,
        mixtures: Sequence[Mixture],
        utterances: Mapping[str, Prepared],
        weights: Callable[[Any], tuple[float, ...]],
        labels: Callable[[Any, Result], Labels],
        option: Any = None,
        header: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the mixtures whose utterances are all prepared, and write their manifest ``<place>/8k/min/<split>.jsonl``.

        Args:
            work: makes one.
            place: folders.
            split: name.
            mixtures: wanted.
            utterances: prepared, by key.
            weights: of a mixture's utterances.
            labels: of an item, from its mixture and what `work` returned.
            option: for `work`.
            header: what else the manifest's header is to say.
        """
        by_name = {mixture.name: mixture for mixture in mixtures if all(key in utterances for key in mixture.utterances)}
        title = f"{place.manifests} {split}"
        if len(by_name) < len(mixtures):
            logger.warning("%s: %d of %d mixtures left out", title, len(mixtures) - len(by_name), len(mixtures))
        folder = self.data / place.audio / f"wav{self.rate}" / self.mode / split

        def targets(name: str) -> dict[str, Path]:
            parts = {f"s{number}": f"s{number}" for number in range(1, len(by_name[name].utterances) + 1)}
            return {role: folder / part / f"{name}.wav" for role, part in {"mixture": place.mixture, **parts}.items()}

        def job(name: str) -> parallel.Job:
            mixture, outputs = by_name[name], tuple(targets(name).values())
            sources = [utterances[key] for key in mixture.utterances]
            paths = tuple(one.path for one in sources)
            given = MixtureWork(paths, weights(mixture), outputs, self.sample_rate, self.mode, option)
            signature = fingerprint([*(one.signature for one in sources), str(given.weights), self.mode, str(option)])
            return parallel.Job(name, given, signature, outputs)

        def item(name: str, result: Result) -> Item:
            audio = {role: self._below_data(path) for role, path in targets(name).items()}
            told = voices(by_name[name].utterances) | labels(by_name[name], result)
            return Item(name, split, self.sample_rate, result["frames"], 1, audio, told)

        jobs = parallel.Jobs(list(by_name), job)
        path = self.data / place.manifests / self.rate / self.mode / f"{split}.jsonl"
        outcome = self.run(work, jobs, f"{title} mixtures", path)
        self._write_manifest(path, split, jobs, outcome, item, header or {})

    def run(self, work: Callable[[Any], Any], jobs: Sequence[parallel.Job], what: str, beside: Path) -> parallel.Outcome:
        """`parallel.run` with a journal beside a file."""
        return parallel.run(work, jobs, what, workers=self.workers, journal=journal(beside), strict=self.strict)

    def name_missing(self, split: str, missing: Iterable[str], next_step: str) -> None:
        """Tell which utterances the corpus lacks; an error if `strict`.

        Raises:
            UserError: there is one, and `strict`.
        """
        keys = sorted(missing)
        if not keys:
            return
        message = f"{split}: {len(keys)} utterances that are to be mixed are not in {self.corpus}: {log.listing(keys)}"
        if self.strict:
            raise UserError(f"{message}. {next_step}")
        logger.warning("%s", message)

    def _write_manifest(
        self,
        path: Path,
        split: str,
        jobs: Sequence[parallel.Job],
        outcome: parallel.Outcome,
        item: Callable[[str, Result], Item],
        header: Mapping[str, Any],
    ) -> None:
        head = {"corpus": self.name, "edition": self.edition, "split": split, **header}
        items = (item(name, result) for name, result in outcome.results.items())
        write_manifest(path, self.data, self.data, head, jobs, outcome, items)

    def _below_data(self, path: Path) -> str:
        return path.relative_to(self.data).as_posix()


def write_manifest(
    path: Path,
    data: Path,
    root: Path,
    header: Mapping[str, Any],
    jobs: Iterable[parallel.Job],
    outcome: parallel.Outcome,
    items: Iterable[Item],
) -> None:
    """Write a manifest of `items` below `root`, with a fingerprint of all that they were made from.

    Raises:
        UserError: there is none.
    """
    name = path.relative_to(data).with_suffix("").as_posix()
    if not outcome.results:
        reason = f"; the first was skipped since: {outcome.skipped[0].reason}" if outcome.skipped else ""
        raise UserError(f"{name}: expected at least one usable item, found none{reason}. Next: mend what the log names")
    made_from = fingerprint(job.signature for job in jobs)
    head = {"root": manifest.relative_root(path, root), "name": name, **header}
    manifest.write(path, head | {"fingerprint": made_from, "skipped": len(outcome.skipped)}, items)
    logger.info(
        "%s: %d items, %d of them as before, %d skipped", name, len(outcome.results), outcome.reused, len(outcome.skipped)
    )


def journal(beside: Path) -> Path:
    """The hidden journal that belongs to a manifest."""
    return beside.with_name(f".{beside.stem}.journal")


def speaker(key: str) -> str:
    """Who speaks the utterance ``…/<speaker>/<utterance>``."""
    return key.split("/")[-2]


def utterance(key: str) -> str:
    """The name of an utterance."""
    return key.rpartition("/")[2]


def voices(keys: Sequence[str]) -> Labels:
    """Labels that say who speaks what in a mixture."""
    return {"speakers": [speaker(key) for key in keys], "utterances": [utterance(key) for key in keys]}


def fingerprint(parts: Iterable[str]) -> str:
    """SHA-256 over some strings."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def mix(sources: Sequence[np.ndarray], weights: Sequence[float], mode: str, dtype: type = np.float64) -> np.ndarray:
    """Weight sources (time,) and add them up, cut to the shortest (`min`) or filled with zeros to the longest (`max`).

    Args:
        sources: of different lengths.
        weights: one each.
        mode: `min` or `max`.
        dtype: of all arithmetic.

    Returns:
        (1 + sources, time): the mixture, then each weighted source.
    """
    lengths = [len(source) for source in sources]
    time = min(lengths) if mode == "min" else max(lengths)
    # The only large array: fresh memory is what takes time here.
    signals: np.ndarray = np.zeros((1 + len(sources), time), dtype)
    for row, source, weight in zip(signals[1:], sources, weights, strict=True):
        np.multiply(source[:time], dtype(weight), out=row[: len(source)], dtype=dtype)
        signals[0] += row
    return signals
