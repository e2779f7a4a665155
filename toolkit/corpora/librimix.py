"""LibriMix: mixtures of two or three voices of LibriSpeech, J. Cosentino et al., arXiv 2005.11262 (2020).

Only the clean mixtures (`mix_clean`) are made: the noisy ones need the recordings of WHAM!.
"""

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from toolkit import audio, files, log
from toolkit.corpora import _librimix_metadata, _librimix_mini, _librispeech, _mini, _mixing, _ready_made, _speech
from toolkit.corpora._editions import another
from toolkit.corpora._librimix_metadata import Measured
from toolkit.corpora._librispeech import Split
from toolkit.corpora._mixing import Mixing, MixtureWork, Place, Prepared, UtteranceWork
from toolkit.corpora._names import wanted_mixtures
from toolkit.data import parallel
from toolkit.dsp.loudness import integrated_loudness
from toolkit.dsp.resample import resample
from toolkit.log import UserError

NAME = "librimix"
LICENCE = "LibriSpeech: CC BY 4.0"  # what a model card says
METADATA_URL = "https://github.com/JorisCos/LibriMix/raw/master/metadata"
CORPUS_RATE = 16000  # Hz; loudness is measured at this rate for every version of the mixtures
TABLED = ("dev-clean", "test-clean")  # besides the training subset: what the published tables mix
EVALUATION_MIXTURES = 3000  # drawn for validation and test, from a thousand utterances up

Mode = Literal["min", "max"]
TrainSubset = Literal["train-clean-100", "train-clean-360"]

logger = log.get(__name__)


def download(corpus: Path) -> None:
    """Fetch LibriSpeech's train-clean-100, dev-clean and test-clean, 7 GB, from openslr.org.

    Args:
        corpus: the folder to unpack into.
    """
    _librispeech.download(corpus, ("train-clean-100", *TABLED))


def fetch(
    corpus: Path,
    data: Path,
    *,
    speakers: list[int] = [2, 3],  # noqa: B006  (a command-line default; never changed)
    train_subset: TrainSubset | None = None,
    url: str = METADATA_URL,
) -> None:
    """Obtain the published tables of mixtures, where the corpus has all of the subsets that they mix.

    No hash of them is published: that of what was fetched is kept in `metadata/sha256.json`, header and rows are counted.

    Args:
        corpus: folder of LibriSpeech.
        data: folder of all that is prepared; the tables go to its folder `metadata`.
        speakers: whose tables.
        train_subset: what is mixed for training (default: each training subset that is there whole).
        url: folder of the tables, an address or a path.

    Raises:
        UserError: a table cannot be had, or is not of the published form.
    """
    verify(corpus)
    if _mini.is_mini(corpus, NAME) or _find_ready_made(corpus):
        logger.info("nothing to fetch: %s says itself what is mixed", corpus)
        return
    found = _librispeech.index(corpus)
    training = get_args(TrainSubset) if train_subset is None else (train_subset,)
    subsets = [name for name in (*training, *TABLED) if _librispeech.is_whole(name, found.get(name, {}))]
    if not set(subsets) & set(training) or not set(subsets) >= set(TABLED):
        wanted = ", ".join([" or ".join(training), *TABLED])
        logger.info("nothing to fetch: %s does not have all of %s; its mixtures will be drawn", corpus, wanted)
        return
    if Path(url).is_dir():
        url = Path(url).resolve().as_uri()
    hashes = {}
    for n in speakers:
        for subset in subsets:
            name = f"Libri{n}Mix/{_librimix_metadata.file_name(n, subset)}"
            path = files.download(f"{url}/{name}", data / "metadata" / name)
            rows = len(_librimix_metadata.read(path, n))
            if rows != _librimix_metadata.ROWS[n][subset]:
                raise UserError(
                    f"{path}: expected {_librimix_metadata.ROWS[n][subset]} mixtures, found {rows}. Next: delete it"
                )
            hashes[name] = files.sha256(path)
    files.write_json(data / "metadata" / "sha256.json", hashes)


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (…)`.

    Args:
        corpus: folder of LibriSpeech, or of mixtures already made.

    Raises:
        UserError: neither is there.
    """
    corpus = files.require_folder(corpus, "LibriSpeech", _librispeech.SEE)
    if ready_made := _find_ready_made(corpus):
        return _edition_of_mixtures(ready_made[0])
    if _mini.is_mini(corpus, NAME):
        return "mini"
    found = _find_utterances(corpus)
    if any(_librispeech.is_whole(name, found.get(name, {})) for name in get_args(TrainSubset)) and all(
        _librispeech.is_whole(name, found.get(name, {})) for name in TABLED
    ):
        return "full"
    return f"partial ({_librispeech.counts(found)})"


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``libri2mix/8k/min/train-360``."""
    train = {"train_subset": "train-clean-360"} if any(name.endswith("/train-360") for name in names) else {}
    return wanted_mixtures(names, "libri{}mix") | train


def prepare(
    corpus: Path,
    data: Path,
    *,
    speakers: list[int] = [2],  # noqa: B006  (a command-line default; never changed)
    sample_rate: Literal[8000, 16000] = 8000,
    mode: Mode = "min",
    train_subset: TrainSubset = "train-clean-100",
    metadata: Path | None = None,
    seed: int = 72,
    train_mixtures: int | None = None,
    dev_mixtures: int | None = None,
    test_mixtures: int | None = None,
    min_seconds: float = 3.0,
    nj: int | None = None,
    strict: bool = False,
) -> None:
    """Write utterances, mixtures and their manifests; what is there already and still right is left as it is.

    Args:
        corpus: folder of LibriSpeech, whole or a part of it, or of mixtures already made (`Libri2Mix/wav8k/min/…`).
        data: folder of all that is prepared.
        speakers: which mixtures to make, 2 or 3 or both.
        sample_rate: of the mixtures, Hz.
        mode: `min` cuts to the shortest utterance, `max` fills up to the longest.
        train_subset: what is mixed for training.
        metadata: folder of tables that say what is mixed (default: the corpus's own, else the published ones if they fit
            the corpus, else mixtures are drawn).
        seed: of drawn mixtures.
        train_mixtures: how many to draw (default: as many as use every utterance once).
        dev_mixtures: how many to draw (default: 3000, or as many as there are utterances if fewer than 1000).
        test_mixtures: likewise.
        min_seconds: shorter utterances are not drawn.
        nj: processes (default: all processors).
        strict: an unusable file is an error instead of a named skip.

    Raises:
        UserError: the corpus or a table is not what it should be, a speaker is in two splits, or a split would be empty.
    """
    corpus = files.require_folder(corpus, "LibriSpeech", _librispeech.SEE)
    if not speakers or not set(speakers) <= set(_librimix_metadata.SPEAKERS):
        raise UserError(f"--speakers: expected [2], [3] or [2,3], found {speakers}")
    ready_made = {n: _ready_made.find(corpus, f"Libri{n}Mix", "mix_clean", n, sample_rate, mode) for n in speakers}
    for found in filter(None, ready_made.values()):
        _list_ready_made(found, data, sample_rate, mode, nj, strict)
    to_mix = [n for n in speakers if ready_made[n] is None]
    if not to_mix:
        return
    splits = _librispeech.plan(corpus, _find_utterances(corpus), train_subset)
    tables = _find_tables(corpus, data, metadata, splits, to_mix)
    counts = dict(zip((split.name for split in splits), (train_mixtures, dev_mixtures, test_mixtures), strict=True))
    edition = "mini" if _mini.is_mini(corpus, NAME) else _edition(splits, tables, metadata, seed)
    with parallel.Workers(nj) as workers:
        mixing = Mixing(NAME, corpus, data, sample_rate, mode, edition, workers, strict)
        for split in splits:
            utterances = mixing.prepare_utterances(
                _prepare_utterance,
                "librispeech",
                split.name,
                split.utterances,
                lambda result: {"loudness_lufs": result["loudness"]},
            )
            for n in to_mix:
                if tables:
                    mixtures = _librimix_metadata.read(tables[n, split.name], n)
                else:
                    usable = [key for key, one in utterances.items() if one.result["seconds"] >= min_seconds]
                    mixtures = _draw(mixing, n, split, utterances, usable, counts[split.name], seed)
                _prepare_mixtures(mixing, n, split, mixtures, utterances)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write a small LibriSpeech of synthetic voices as openslr.org ships it, with tables of mixtures in its folder `metadata`.

    Args:
        corpus: the folder to write.
        seed: another seed gives other voices and other words.
    """
    _mini.make(corpus, NAME, seed, _librimix_mini.write, ("LibriSpeech", "metadata"))


# Utterances and mixtures: what is done with one of them, in whatever process


def _prepare_utterance(work: UtteranceWork) -> dict[str, Any]:
    """Measure loudness and peak, and resample."""
    speech = _speech.read_utterance(work.source, CORPUS_RATE)
    try:
        loudness = integrated_loudness(speech, CORPUS_RATE)
    except ValueError as error:
        raise UserError(f"{error}: {work.source}") from error
    if not np.isfinite(loudness):
        raise UserError(f"quieter than -70 LUFS throughout: {work.source}")
    kept = resample(speech, CORPUS_RATE, work.sample_rate)
    _speech.write_float(work.target, kept, work.sample_rate)
    peak = float(np.abs(speech).max())
    return {"frames": len(kept), "seconds": len(speech) / CORPUS_RATE, "loudness": loudness, "peak": peak}


def _mix(work: MixtureWork) -> dict[str, Any]:
    """Mix as `create_librimix_from_metadata.py`; like libsndfile, which it writes with, PCM is rounded down."""
    signals = _mixing.mix([audio.read_array(path)[0] for path in work.utterances], work.weights, work.mode, np.float32)
    signals *= _speech.FULL_SCALE
    np.clip(np.floor(signals, out=signals), -_speech.FULL_SCALE, _speech.FULL_SCALE - 1, out=signals)
    for target, samples in zip(work.targets, signals.astype(np.int16), strict=True):
        _speech.write_integers(target, samples, work.sample_rate)
    return {"frames": signals.shape[1]}


def _peak(argument: tuple[tuple[Path, ...], tuple[float, ...]]) -> float:
    """Peak of a mixture at the corpus's rate, filled up to the longest utterance."""
    paths, gains = argument
    mixture = _mixing.mix([_speech.read_utterance(path, CORPUS_RATE) for path in paths], gains, "max")[0]
    return float(np.abs(mixture).max())


# The corpus and its tables


def _find_tables(
    corpus: Path, data: Path, metadata: Path | None, splits: list[Split], speakers: list[int]
) -> dict[tuple[int, str], Path]:
    """Tables of all splits, by number of speakers and split; empty where mixtures are to be drawn."""
    whole = all(_librispeech.is_whole(split.subset, split.utterances) for split in splits)
    folder = metadata or (corpus / "metadata" if _mini.is_mini(corpus, NAME) else data / "metadata" if whole else None)
    if folder is None:
        return {}
    tables: dict[tuple[int, str], Path] = {}
    for n in speakers:
        below = folder / f"Libri{n}Mix" if (folder / f"Libri{n}Mix").is_dir() else folder
        tables |= {(n, split.name): below / _librimix_metadata.file_name(n, split.subset) for split in splits}
    return tables


def _draw(
    mixing: Mixing,
    n: int,
    split: Split,
    utterances: Mapping[str, Prepared],
    usable: Sequence[str],
    count: int | None,
    seed: int,
) -> list[_librimix_metadata.Mixture]:
    """Draw the mixtures of a split from its usable utterances, and keep them as a table in the published form."""
    told = ((key, utterances[key].result) for key in usable)
    measured = {key: Measured(result["loudness"], result["peak"]) for key, result in told}
    usual = None if split.name.startswith("train") else EVALUATION_MIXTURES if len(usable) >= 1000 else len(usable)
    wanted = usual if count is None else count
    mixtures = _librimix_metadata.draw(measured, n, wanted, random.Random(f"{seed} {n} {split.name}"))
    if not mixtures:
        raise UserError(
            f"libri{n}mix {split.name}: expected long enough utterances of {n} speakers in {mixing.corpus}, "
            f"found {len(usable)} of {len(_librispeech.speakers(usable))}. {_librispeech.SEE}"
        )
    if count is not None and len(mixtures) < count:
        logger.warning("libri%dmix %s: %d mixtures wanted, only %d can be drawn", n, split.name, count, len(mixtures))
    path = mixing.data / f"Libri{n}Mix" / "metadata" / _librimix_metadata.file_name(n, split.name)

    def job(mixture: _librimix_metadata.Mixture) -> parallel.Job:
        paths = tuple(split.utterances[key] for key in mixture.utterances)
        made_from = [*(utterances[key].signature for key in mixture.utterances), str(mixture.gains)]
        return parallel.Job(mixture.name, (paths, mixture.gains), _mixing.fingerprint(made_from))

    jobs = [job(mixture) for mixture in mixtures if _librimix_metadata.may_clip(mixture, measured)]
    peaks = mixing.run(_peak, jobs, f"libri{n}mix {split.name} peaks", path).results
    mixtures = [_librimix_metadata.without_clipping(one, peaks.get(one.name, 0.0)) for one in mixtures]
    _librimix_metadata.write(path, n, mixtures, split.utterances, _librispeech.root(mixing.corpus))
    return mixtures


def _prepare_mixtures(
    mixing: Mixing, n: int, split: Split, mixtures: list[_librimix_metadata.Mixture], utterances: Mapping[str, Prepared]
) -> None:
    wanted = {key for mixture in mixtures for key in mixture.utterances}
    mixing.name_missing(split.name, wanted - split.utterances.keys(), _librispeech.SEE)
    mixing.prepare_mixtures(
        _mix,
        Place(f"libri{n}mix", f"Libri{n}Mix", "mix_clean"),
        split.name,
        mixtures,
        utterances,
        lambda mixture: mixture.gains,
        lambda mixture, result: {"gains_db": [20 * math.log10(gain) for gain in mixture.gains]},
    )


def _find_utterances(corpus: Path) -> dict[str, dict[str, Path]]:
    found = _librispeech.index(corpus)
    if not any(found.values()):
        folders = "LibriSpeech (train-clean-100/<speaker>/<chapter>/<utterance>.flac, …) or mixtures (Libri2Mix/wav8k/min/…)"
        raise another(corpus, folders, _librispeech.SEE)
    return found


def _find_ready_made(corpus: Path) -> list[_ready_made.ReadyMade]:
    return _ready_made.find_all(corpus, "Libri{}Mix", "mix_clean", _librimix_metadata.SPEAKERS)


def _list_ready_made(
    found: _ready_made.ReadyMade, data: Path, sample_rate: int, mode: str, nj: int | None, strict: bool
) -> None:
    header = {"corpus": NAME, "edition": _edition_of_mixtures(found)}
    for split in sorted(_mixtures_in(found)):
        path = data / f"libri{found.speakers}mix" / f"{sample_rate // 1000}k" / mode / f"{split}.jsonl"
        found.list_split(
            split, path, data, header, lambda name: _mixing.voices(list(map(_librispeech.key, name.split("_")))), nj, strict
        )


def _mixtures_in(found: _ready_made.ReadyMade) -> dict[str, int]:
    """Splits of ready-made mixtures to their number."""
    names = ("train-100", "train-360", "dev", "test")
    return {name: len(found.names(name)) for name in names if (found.folder / name).is_dir()}


def _edition_of_mixtures(found: _ready_made.ReadyMade) -> str:
    published = {_librispeech.folder(subset): rows for subset, rows in _librimix_metadata.ROWS[found.speakers].items()}
    counts = _mixtures_in(found)
    if len(counts) >= 3 and all(count == published[name] for name, count in counts.items()):
        return "full"
    return "partial (" + ", ".join(f"{name} {count} of {published[name]} mixtures" for name, count in counts.items()) + ")"


def _edition(splits: list[Split], tables: dict[tuple[int, str], Path], metadata: Path | None, seed: int) -> str:
    """`full` for the published mixtures of whole subsets, else what it is."""
    whole = all(_librispeech.is_whole(split.subset, split.utterances) for split in splits)
    if whole and tables and metadata is None:
        return "full"
    parts = " + ".join(f"{len(_librispeech.speakers(keys))} of {subset}" for _, subset, keys in splits)
    return f"partial (speakers: {parts}; mixtures {f'as in {metadata}' if metadata else f'drawn with seed {seed}'})"
