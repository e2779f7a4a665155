"""WSJ0-mix: mixtures of two or more voices of the Wall Street Journal corpus, J. R. Hershey et al., ICASSP 2016.

What is mixed, and how, is fixed by published lists and by MATLAB scripts of MERL (`create_wav_2speakers.m`).  The corpus
itself, LDC93S6A, is licensed by the Linguistic Data Consortium.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from toolkit import audio, files, log
from toolkit.corpora import _ready_made, _speech, _wsj0, _wsj0_mini
from toolkit.corpora._names import wanted_mixtures
from toolkit.data import parallel
from toolkit.data.manifest import Item
from toolkit.dsp.active_level import active_level
from toolkit.dsp.resample import resample
from toolkit.log import UserError

NAME = "wsj0_mix"
LISTS_URL = "https://github.com/mpariente/pywsj0-mix/raw/6ca4c92/metadata"
CORPUS_RATE, LEVEL_RATE = 16000, 8000  # Hz; the active level is measured at 8 kHz for every version of the mixtures
PEAK = 0.9  # of the loudest of mixture and sources
SEE = "Next: see egs/wsj0_mix/README.md for what the folder must hold"

Mode = Literal["min", "max"]
Variant = Literal["matlab", "pywsj0"]

logger = log.get(__name__)


def fetch(corpus: Path, data: Path, *, url: str = LISTS_URL) -> None:
    """Obtain the published lists of mixtures of 2 and 3 speakers; WSJ0 itself must be there already.

    Args:
        corpus: folder of WSJ0.
        data: folder of all that is prepared; the lists go to its folder `lists`.
        url: folder of the lists, an address or a path.

    Raises:
        UserError: a list cannot be had, or is not the published one.
    """
    verify(corpus)
    if _speech.is_mini(corpus, NAME) or _find_ready_made(corpus):
        logger.info("nothing to fetch: %s says itself what is mixed", corpus)
        return
    if Path(url).is_dir():
        url = Path(url).resolve().as_uri()
    for name, checksum in _wsj0.LISTS.items():
        files.download(f"{url}/{name}", data / "lists" / name, sha256=checksum)


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (…)`.

    Args:
        corpus: folder of WSJ0, or of mixtures already made.

    Raises:
        UserError: neither is there.
    """
    corpus = files.require_folder(corpus, "WSJ0", SEE)
    if ready_made := _find_ready_made(corpus):
        return _edition_of_mixtures(ready_made[0])
    return _edition(corpus, _find_utterances(corpus))


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``wsj0-2mix/8k/min/tr``."""
    return wanted_mixtures(names, "wsj0-{}mix")


def prepare(
    corpus: Path,
    data: Path,
    *,
    speakers: list[int] = [2],  # noqa: B006  (a command-line default; never changed)
    sample_rate: Literal[8000, 16000] = 8000,
    mode: Mode = "min",
    variant: Variant = "matlab",
    lists: Path | None = None,
    levels: Path | None = None,
    nj: int | None = None,
    strict: bool = False,
) -> None:
    """Write utterances, mixtures and their manifests; what is there already and still right is left as it is.

    Args:
        corpus: folder of WSJ0 as the LDC ships it (discs or merged), or of mixtures already made (`2speakers/wav8k/min/…`).
        data: folder of all that is prepared.
        speakers: which mixtures to make, e.g. [2,3]; the lists of 4 and 5 speakers must be in the folder `lists`.
        sample_rate: of the mixtures, Hz.
        mode: `min` cuts to the shortest utterance, `max` fills up to the longest.
        variant: `matlab` as the original scripts, or `pywsj0` as their Python version, which leaves quiet mixtures quiet.
        lists: folder of the lists (default: the corpus's own, else what `fetch` obtained).
        levels: folder of published active levels `activlev_*.txt`, to use instead of measuring.
        nj: processes (default: all processors).
        strict: an unusable file is an error instead of a named skip.

    Raises:
        UserError: the corpus or a list is not what it should be, or a split would be empty.
    """
    corpus = files.require_folder(corpus, "WSJ0", SEE)
    if not speakers or min(speakers) < 2:
        raise UserError(f"--speakers: expected numbers from 2 up, e.g. [2,3], found {speakers}")
    ready_made = {n: _ready_made.find(corpus, f"{n}speakers", "mix", n, sample_rate, mode) for n in speakers}
    for found in filter(None, ready_made.values()):
        _list_ready_made(found, data, sample_rate, mode, nj, strict)
    to_mix = [n for n in speakers if ready_made[n] is None]
    if not to_mix:
        return
    utterances = _find_utterances(corpus)
    folder = lists or next((f for f in (corpus / "lists", data / "lists") if f.is_dir()), data / "lists")
    run = _Preparation(
        corpus=corpus,
        data=data,
        utterances=utterances,
        lists={(n, split): _wsj0.read_list(folder / f"mix_{n}_spk_{split}.txt", n) for n in to_mix for split in _wsj0.SPLITS},
        levels=_wsj0.read_levels(levels) if levels else None,
        sample_rate=sample_rate,
        mode=mode,
        variant=variant,
        edition=_edition(corpus, utterances) + _about_lists(corpus, folder, to_mix),
        nj=nj,
        strict=strict,
    )
    run.check_splits()
    for split in _wsj0.SPLITS:
        prepared = run.prepare_utterances(split)
        for n in to_mix:
            run.prepare_mixtures(n, split, prepared)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write a small WSJ0 of synthetic voices as the LDC ships it, with lists of 2 and 3 speakers in its folder `lists`.

    Args:
        corpus: the folder to write.
        seed: another seed gives other voices and other words.
    """
    if not _speech.is_mini(corpus, NAME, seed):
        _wsj0_mini.write(corpus, seed)
        _speech.mark_mini(corpus, NAME, seed)


# Utterances and mixtures: what is done with one of them, in whatever process


@dataclass(frozen=True)
class _Utterance:
    source: Path
    target: Path
    sample_rate: int
    level: float | None


@dataclass(frozen=True)
class _Mixture:
    """Utterances, what each is multiplied with, and the files of the mixture and of each source."""

    utterances: tuple[Path, ...]
    weights: tuple[float, ...]
    targets: tuple[Path, ...]
    sample_rate: int
    mode: Mode
    variant: Variant


def _prepare_utterance(utterance: _Utterance) -> dict[str, Any]:
    speech = _speech.read_utterance(utterance.source, CORPUS_RATE).astype(np.float64)
    narrow = resample(speech, CORPUS_RATE, LEVEL_RATE)
    level = active_level(narrow, LEVEL_RATE) if utterance.level is None else utterance.level
    if level <= 0:
        raise UserError(f"no active level: {utterance.source}")
    kept = narrow if utterance.sample_rate == LEVEL_RATE else speech
    _speech.write_float(utterance.target, kept, utterance.sample_rate)
    return {"frames": len(kept), "active_level": level}


def _mix(mixture: _Mixture) -> dict[str, Any]:
    """Mix as the original scripts; pywsj0-mix does not raise quiet mixtures to the peak, and rounds halves to even.

    The integers are those of MATLAB's ``int16(round(2^15 * x))``, which the original applies before `audiowrite`.
    """
    speech = [audio.read(path)[0].numpy().astype(np.float64) for path in mixture.utterances]
    sources = _speech.fit([x * weight for x, weight in zip(speech, mixture.weights, strict=True)], mixture.mode)
    signals = np.concatenate([sources.sum(axis=0, keepdims=True), sources])
    peak = np.abs(signals).max()
    if peak == 0:
        raise UserError("silent where all its utterances last")
    if mixture.variant == "matlab":
        scale = 1 / peak * PEAK
        integers = _round_half_away(signals * (scale * _speech.FULL_SCALE))
    else:
        scale = PEAK / max(1.0, peak)
        integers = np.rint(signals * (scale * _speech.FULL_SCALE))
    for target, samples in zip(mixture.targets, integers, strict=True):
        _speech.write_integers(target, samples, mixture.sample_rate)
    return {"frames": signals.shape[1], "scale": scale}


def _round_half_away(values: np.ndarray) -> np.ndarray:
    """MATLAB's `round`."""
    return np.trunc(values + np.copysign(0.5, values))


@dataclass(frozen=True)
class _Preparation:
    """One call of `prepare` on the corpus itself; `lists` are by number of speakers and split."""

    corpus: Path
    data: Path
    utterances: dict[str, Path]
    lists: dict[tuple[int, str], list[_wsj0.Mixture]]
    levels: dict[str, float] | None
    sample_rate: int
    mode: Mode
    variant: Variant
    edition: str
    nj: int | None
    strict: bool

    @property
    def rate(self) -> str:
        """As folders are named: `8k`."""
        return f"{self.sample_rate // 1000}k"

    def check_splits(self) -> None:
        """Refuse before any work is done what would end with an empty split."""
        for (n, split), mixtures in self.lists.items():
            if not any(all(key in self.utterances for key in mixture.utterances) for mixture in mixtures):
                wanted = {key for mixture in mixtures for key in mixture.utterances}
                there = len(wanted & self.utterances.keys())
                raise UserError(
                    f"wsj0-{n}mix {split}: expected the {len(wanted)} utterances of its list in {self.corpus}, "
                    f"found {there}, too few for a single mixture. {SEE}"
                )

    def prepare_utterances(self, split: str) -> dict[str, tuple[parallel.Job, float]]:
        """Write the utterances of a split, and their manifest; returns key to the job and its active level."""
        wanted = {key for (_, of), mixtures in self.lists.items() if of == split for m in mixtures for key in m.utterances}
        self._name_missing(sorted(wanted - self.utterances.keys()), split)
        jobs = [self._utterance_job(key, split) for key in sorted(wanted & self.utterances.keys())]
        path = self.data / "wsj0" / self.rate / f"{split}.jsonl"
        outcome = parallel.run(
            _prepare_utterance, jobs, f"{split} utterances", nj=self.nj, journal=_journal(path), strict=self.strict
        )

        def item(key: str, result: dict[str, Any]) -> Item:
            speaker, utterance = key.split("/")[1:]
            target = self._utterance_path(key, split).relative_to(self.data).as_posix()
            labels = {"speaker": speaker, "active_level": result["active_level"]}
            return Item(utterance, split, self.sample_rate, result["frames"], 1, {"speech": target}, labels)

        _speech.write_manifest(path, self.data, self._header(split, jobs), outcome, item)
        return {job.id: (job, outcome.results[job.id]["active_level"]) for job in jobs if job.id in outcome.results}

    def prepare_mixtures(self, n: int, split: str, prepared: dict[str, tuple[parallel.Job, float]]) -> None:
        """Write the mixtures of a list whose utterances are all prepared, and their manifest."""
        listed = self.lists[n, split]
        mixtures = {m.name: m for m in listed if all(key in prepared for key in m.utterances)}
        if len(mixtures) < len(listed):
            logger.warning(
                "wsj0-%dmix %s: %d of %d mixtures left out, for want of an utterance",
                n,
                split,
                len(listed) - len(mixtures),
                len(listed),
            )
        jobs = [self._mixture_job(mixture, n, split, prepared) for mixture in mixtures.values()]
        path = self.data / f"wsj0-{n}mix" / self.rate / self.mode / f"{split}.jsonl"
        outcome = parallel.run(
            _mix, jobs, f"wsj0-{n}mix {split} mixtures", nj=self.nj, journal=_journal(path), strict=self.strict
        )
        weights = {job.id: job.argument.weights for job in jobs}
        targets = {job.id: job.outputs for job in jobs}

        def item(name: str, result: dict[str, Any]) -> Item:
            labels = _labels(mixtures[name]) | {
                "scale": result["scale"],
                "scaling": [weight * result["scale"] for weight in weights[name]],
            }
            roles = ["mixture", *(f"s{number}" for number in range(1, n + 1))]
            found = [target.relative_to(self.data).as_posix() for target in targets[name]]
            return Item(name, split, self.sample_rate, result["frames"], 1, dict(zip(roles, found, strict=True)), labels)

        repeating = sum(len(set(mixture.speakers)) < n for mixture in mixtures.values())
        header = self._header(split, jobs) | {"variant": self.variant, "with_repeated_speaker": repeating}
        _speech.write_manifest(path, self.data, header, outcome, item)

    def _utterance_job(self, key: str, split: str) -> parallel.Job:
        level = None if self.levels is None else self.levels.get(key.rpartition("/")[2], 0.0)
        target = self._utterance_path(key, split)
        signature = parallel.files_signature([self.utterances[key]], self.corpus, self.sample_rate, level)
        return parallel.Job(key, _Utterance(self.utterances[key], target, self.sample_rate, level), signature, (target,))

    def _mixture_job(
        self, mixture: _wsj0.Mixture, n: int, split: str, prepared: dict[str, tuple[parallel.Job, float]]
    ) -> parallel.Job:
        jobs, levels = zip(*(prepared[key] for key in mixture.utterances), strict=True)
        folder = self.data / f"{n}speakers" / f"wav{self.rate}" / self.mode / split
        targets = tuple(folder / role / f"{mixture.name}.wav" for role in ("mix", *(f"s{i}" for i in range(1, n + 1))))
        weights = tuple(10 ** (gain / 20) / np.sqrt(level).item() for gain, level in zip(mixture.gains, levels, strict=True))
        argument = _Mixture(tuple(job.outputs[0] for job in jobs), weights, targets, self.sample_rate, self.mode, self.variant)
        signature = _speech.fingerprint([*(job.signature for job in jobs), str(weights), self.mode, self.variant])
        return parallel.Job(mixture.name, argument, signature, targets)

    def _utterance_path(self, key: str, split: str) -> Path:
        speaker, utterance = key.split("/")[1:]
        return self.data / "wsj0" / self.rate / split / speaker / f"{utterance}.wav"

    def _header(self, split: str, jobs: Sequence[parallel.Job]) -> dict[str, Any]:
        signatures = _speech.fingerprint(job.signature for job in jobs)
        return {"corpus": NAME, "edition": self.edition, "split": split, "fingerprint": signatures}

    def _name_missing(self, missing: list[str], split: str) -> None:
        if not missing:
            return
        names = ", ".join(missing[:20]) + (f" and {len(missing) - 20} more" if len(missing) > 20 else "")
        message = f"{split}: the lists name {len(missing)} utterances that are not in {self.corpus}: {names}"
        if self.strict:
            raise UserError(f"{message}. {SEE}")
        logger.warning("%s", message)


# Folders and lists


def _find_utterances(corpus: Path) -> dict[str, Path]:
    found = _wsj0.index(corpus)
    if not found:
        there = ", ".join(sorted(os.listdir(corpus))[:8])
        raise UserError(
            f"{corpus}: expected WSJ0 (…/wsj0/si_tr_s/<speaker>/<utterance>.wv1, …) or mixtures (2speakers/wav8k/min/…), "
            f"found {there}. {SEE}"
        )
    return found


def _find_ready_made(corpus: Path) -> list[_ready_made.ReadyMade]:
    found = (
        _ready_made.find(corpus, f"{n}speakers", "mix", n, rate, mode)
        for n in range(2, 6)
        for rate in (8000, 16000)
        for mode in ("min", "max")
    )
    return [one for one in found if one is not None]


def _list_ready_made(
    found: _ready_made.ReadyMade, data: Path, sample_rate: int, mode: str, nj: int | None, strict: bool
) -> None:
    header = {"corpus": NAME, "edition": _edition_of_mixtures(found)}
    for split in _wsj0.SPLITS:
        path = data / f"wsj0-{found.speakers}mix" / f"{sample_rate // 1000}k" / mode / f"{split}.jsonl"
        found.list_split(split, path, data, header, _labels_of_name, nj, strict)


def _labels_of_name(name: str) -> dict[str, Any]:
    """What the name of a ready-made mixture tells; nothing, if it is not an official one."""
    fields = name.split("_")
    try:
        gains = tuple(map(float, fields[1::2]))
    except ValueError:
        return {}
    return _labels(_wsj0.Mixture(name, tuple(f"?/{utterance[:3]}/{utterance}" for utterance in fields[::2]), gains))


def _edition_of_mixtures(found: _ready_made.ReadyMade) -> str:
    counts = {split: len(found.names(split)) for split in _wsj0.SPLITS}
    if counts == _wsj0.MIXTURES:
        return "full"
    return "partial (" + ", ".join(f"{split} {counts[split]} of {_wsj0.MIXTURES[split]} mixtures" for split in counts) + ")"


def _labels(mixture: _wsj0.Mixture) -> dict[str, Any]:
    return {
        "speakers": mixture.speakers,
        "utterances": [key.rpartition("/")[2] for key in mixture.utterances],
        "gains_db": list(mixture.gains),
    }


def _edition(corpus: Path, utterances: dict[str, Path]) -> str:
    return "mini" if _speech.is_mini(corpus, NAME) else _wsj0.edition(utterances)


def _about_lists(corpus: Path, folder: Path, speakers: list[int]) -> str:
    """A word for the edition where the lists are not known to be the published ones."""
    names = [f"mix_{n}_spk_{split}.txt" for n in speakers for split in _wsj0.SPLITS]
    if _speech.is_mini(corpus, NAME):
        return ""
    own = [name for name in names if files.sha256(folder / name) != _wsj0.LISTS.get(name)]
    return f", unverified lists {', '.join(own)}" if own else ""


def _journal(manifest: Path) -> Path:
    return manifest.with_name(f".{manifest.stem}.journal")
