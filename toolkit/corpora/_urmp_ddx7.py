"""Blocks of one instrument of URMP as files and manifests; the rules are in `_urmp_blocks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from toolkit import audio, files
from toolkit.corpora import _mixing, _urmp_blocks
from toolkit.corpora._resampling import Resampling, at_rate
from toolkit.corpora._urmp import INSTRUMENTS, NAME, SEE, Stem
from toolkit.corpora._urmp_blocks import RATE
from toolkit.corpora._urmp_stems import Preparation
from toolkit.data import parallel
from toolkit.data.annotations import F0
from toolkit.data.manifest import Item
from toolkit.log import UserError

MEANINGS = {
    "annotation": "share of the block's frames that are annotated as voiced, in the place of a pitch tracker's confidence",
    "crepe": "mean confidence of CREPE (torchcrepe, full, 50 to 2000 Hz) over the block's frames of 4 ms",
}


class Choice(NamedTuple):
    """What a user may choose; see `urmp.prepare`."""

    confidence: str
    least_confidence: float | None
    train_share: float
    resynthesis: Path | None

    def least(self, instrument: str) -> float:
        """Confidence that a block of an instrument must have."""
        if self.least_confidence is not None:
            return self.least_confidence
        return _urmp_blocks.LEAST.get(instrument, _urmp_blocks.LEAST_OF_OTHERS)


class _Search(NamedTuple):
    """Where blocks are looked for: a WAV file at 16 kHz, its annotated F0, name of the confidence."""

    path: Path
    f0: F0
    confidence: str


class _Cut(NamedTuple):
    """Samples `begin` to `end` of a file, over `peak`, with zeros behind them; `whole` is a recording of any length."""

    source: Path
    target: Path
    begin: int
    end: int
    peak: float
    whole: bool = False


class _Cutting(NamedTuple):
    """Cuts: jobs of those that are done, what came of all, and the labels of each."""

    jobs: list[parallel.Job]
    outcome: parallel.Outcome
    labels: dict[str, dict[str, Any]]

    def some(self, places: Sequence[int]) -> _Cutting:
        """The cuts at certain places."""
        jobs = [self.jobs[place] for place in places]
        return _Cutting(jobs, self.outcome.some(job.id for job in jobs), self.labels)


def prepare(preparation: Preparation, stems: Sequence[Stem], instrument: str, choice: Choice) -> None:
    """Write `urmp/ddx7/<instrument>/{train,valid,test,resynthesis}`.

    Raises:
        UserError: the corpus has no stem of the instrument, or too few blocks.
    """
    own = [stem for stem in stems if INSTRUMENTS[stem.code] == instrument]  # by the file's name, as published
    if not own:
        raise UserError(f"{NAME}/ddx7/{instrument}: no stem of that instrument is in {preparation.root}. {SEE}")
    piece = None if choice.resynthesis else held_out(own)
    done = preparation.stems(own, RATE)
    usable = [stem for stem in own if stem.id in done.jobs]
    folder = preparation.data / NAME / "ddx7" / instrument
    searched = _search(preparation, done.jobs, done.outcome, usable, folder, choice.confidence)
    paths = {stem.id: preparation.target(stem.audio, RATE) for stem in usable}
    least = choice.least(instrument)
    blocks = _cut_blocks(preparation, [s for s in usable if s.folder != piece], paths, searched, folder, least)
    split = _urmp_blocks.random_split(len(blocks.jobs), choice.train_share)
    if not all(split.values()):
        raise UserError(
            f"{NAME}/ddx7/{instrument}: expected blocks for train, valid and test, found {len(blocks.jobs)} of more than 3 s "
            f"with a confidence of {least:g}. Next: more of the corpus, or a smaller --least-confidence"
        )
    told = {"from": choice.confidence, "least": least, "meaning": MEANINGS.get(choice.confidence, choice.confidence)}
    head: dict[str, Any] = {"corpus": NAME, "edition": preparation.edition, "instrument": instrument, "confidence": told}
    head |= {"split_seed": _urmp_blocks.SEED, "train_share": choice.train_share}
    head["stems_skipped"] = len(own) - len(usable)
    for name, places in split.items():
        _list(preparation, folder / f"{name}.jsonl", head | {"split": name}, blocks.some(places))
    if choice.resynthesis:
        whole, source = _others(preparation, choice.resynthesis / instrument, instrument, folder), "other recordings"
    else:
        whole = _whole(preparation, [s for s in usable if s.folder == (piece or own[-1].folder)], paths, searched, folder)
        source = f"stems of {piece}, of which there are no blocks" if piece else "a stem whose blocks are in the other splits"
    _list(preparation, folder / "resynthesis.jsonl", head | {"split": "resynthesis", "source": source}, whole)


def held_out(stems: Sequence[Stem]) -> str | None:
    """The piece that is kept for resynthesis: the last with a title of its own, since arrangements share recordings.

    Returns:
        Its folder; None where all stems are of one title.
    """
    folders = {stem.folder: stem.title for stem in stems}
    titles = list(folders.values())
    if len(set(titles)) < 2:
        return None
    single = [folder for folder, title in folders.items() if titles.count(title) == 1]
    return single[-1] if single else None


def _find(work: _Search) -> dict[str, Any]:
    samples, peak = _urmp_blocks.normalize(audio.read_array(work.path)[0])
    blocks = []
    for begin, end in _urmp_blocks.cut(_urmp_blocks.non_silent(samples)):
        voiced = np.array(work.f0.between(begin / RATE, end / RATE).hz)
        sure = _urmp_blocks.CONFIDENCES[work.confidence](samples[begin:end], voiced)
        blocks.append((begin, end, round(sure, 4)))
    return {"peak": peak, "frames": len(samples), "blocks": blocks}


def _write(work: _Cut) -> dict[str, int]:
    samples = audio.read_array(work.source, work.begin, work.end - work.begin)[0] / np.float32(work.peak)
    filled = _urmp_blocks.fill(samples, work.whole)
    audio.write(work.target, filled[None], RATE, "FLOAT")
    return {"frames": len(filled)}


def _write_other(work: tuple[Resampling, _Cut]) -> dict[str, int]:
    resampling, cut = work
    frames = at_rate(resampling)["frames"]
    _, peak = _urmp_blocks.normalize(audio.read_array(cut.source)[0])
    return {"sound": frames, **_write(cut._replace(end=frames, peak=peak))}


def _search(
    preparation: Preparation,
    made: Mapping[str, parallel.Job],
    outcome: parallel.Outcome,
    stems: Sequence[Stem],
    folder: Path,
    confidence: str,
) -> dict[str, tuple[dict[str, Any], F0, str]]:
    """For each stem what `_find` returned, its F0, and what the result depends on."""
    f0 = {stem.id: F0(**outcome.results[stem.id]["labels"]["f0"]) for stem in stems}

    def job(stem: Stem) -> parallel.Job:
        work = _Search(preparation.target(stem.audio, RATE), f0[stem.id], confidence)
        return parallel.Job(stem.id, work, f"{made[stem.id].signature}|{confidence}")

    jobs = [job(stem) for stem in stems]
    found = preparation.run(_find, jobs, f"{folder.name} stems", folder / "search")
    return {job.id: (found.results[job.id], f0[job.id], job.signature) for job in jobs if job.id in found.results}


def _cut_blocks(
    preparation: Preparation,
    stems: Sequence[Stem],
    paths: Mapping[str, Path],
    searched: Mapping[str, tuple[dict[str, Any], F0, str]],
    folder: Path,
    least: float,
) -> _Cutting:
    jobs, labels = [], {}
    for stem in (stem for stem in stems if stem.id in searched):
        found, f0, signature = searched[stem.id]
        for number, (begin, end, sure) in enumerate(found["blocks"]):
            if sure < least:
                continue
            name = f"{stem.id}_{number:03d}"
            target = folder / "blocks" / f"{name}.wav"
            work = _Cut(paths[stem.id], target, begin, end, found["peak"])
            jobs.append(parallel.Job(name, work, f"{signature}|{begin}|{end}", (target,)))
            times = begin / RATE, end / RATE
            labels[name] = _labels(stem, *times, f0.between(*times), found["peak"]) | {"confidence": sure}
    outcome = preparation.run(_write, jobs, f"{folder.name} blocks", folder / "blocks")
    return _Cutting(outcome.done(jobs), outcome, labels)


def _whole(
    preparation: Preparation,
    stems: Sequence[Stem],
    paths: Mapping[str, Path],
    searched: Mapping[str, tuple[dict[str, Any], F0, str]],
    folder: Path,
) -> _Cutting:
    jobs, labels = [], {}
    for stem in (stem for stem in stems if stem.id in searched):
        found, f0, signature = searched[stem.id]
        target = folder / "resynthesis" / f"{stem.id}.wav"
        cut = _Cut(paths[stem.id], target, 0, found["frames"], found["peak"], whole=True)
        jobs.append(parallel.Job(stem.id, cut, signature, (target,)))
        labels[stem.id] = _labels(stem, 0.0, found["frames"] / RATE, f0, found["peak"])
    outcome = preparation.run(_write, jobs, f"{folder.name} stems", folder / "resynthesis")
    return _Cutting(outcome.done(jobs), outcome, labels)


def _others(preparation: Preparation, source: Path, instrument: str, folder: Path) -> _Cutting:
    """Recordings of a user's own, without annotations."""
    source = files.require_folder(source, "--resynthesis", f"Next: put recordings of a {instrument} there")

    def job(path: Path) -> parallel.Job:
        target, middle = (folder / name / f"{path.stem}.wav" for name in ("resynthesis", "others"))
        work = (Resampling(path, middle, RATE), _Cut(middle, target, 0, 0, 1.0, whole=True))
        return parallel.Job(path.stem, work, parallel.files_signature([path], source), (target, middle))

    jobs = [job(path) for path in sorted(source.glob("*.wav"))]
    if not jobs:
        raise UserError(f"--resynthesis: expected WAV files in {source}, found none")
    outcome = preparation.run(_write_other, jobs, f"{instrument} recordings", folder / "others")
    usable = outcome.done(jobs)
    labels = {job.id: {"instrument": instrument, "seconds": outcome.results[job.id]["sound"] / RATE} for job in usable}
    return _Cutting(usable, outcome, labels)


def _labels(stem: Stem, begin: float, end: float, f0: F0, peak: float) -> dict[str, Any]:
    place = {"stem": stem.id, "start": begin, "seconds": end - begin, "peak": peak}
    return {"instrument": INSTRUMENTS[stem.code], "piece": stem.folder, **place, "f0": f0._asdict()}


def _list(preparation: Preparation, path: Path, head: Mapping[str, Any], cutting: _Cutting) -> None:
    def item(job: parallel.Job) -> Item:
        role = {"recording": job.outputs[0].relative_to(preparation.data).as_posix()}
        return Item(job.id, head["split"], RATE, cutting.outcome.results[job.id]["frames"], 1, role, cutting.labels[job.id])

    data = preparation.data
    _mixing.write_manifest(path, data, data, head, cutting.jobs, cutting.outcome, map(item, cutting.jobs))
