"""WSJ0-mix: mixtures of two or more voices of the Wall Street Journal corpus, J. R. Hershey et al., ICASSP 2016.

What is mixed, and how, is fixed by published lists and by MATLAB scripts of MERL (`create_wav_2speakers.m`).  The corpus
itself, LDC93S6A, is licensed by the Linguistic Data Consortium.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from toolkit import audio, files, log
from toolkit.corpora import _mini, _mixing, _ready_made, _speech, _wsj0, _wsj0_mini
from toolkit.corpora._editions import another
from toolkit.corpora._mixing import Mixing, MixtureWork, Place, Prepared, UtteranceWork
from toolkit.corpora._names import wanted_mixtures
from toolkit.data import parallel
from toolkit.dsp.active_level import active_level
from toolkit.dsp.resample import resample
from toolkit.log import UserError

NAME = "wsj0_mix"
LICENCE = "CSR-I (WSJ0), LDC93S6A: a licence of the Linguistic Data Consortium"  # what a model card says
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
    if _mini.is_mini(corpus, NAME) or _find_ready_made(corpus):
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
    mixtures = {(n, split): _wsj0.read_list(folder / f"mix_{n}_spk_{split}.txt", n) for n in to_mix for split in _wsj0.SPLITS}
    _check_splits(mixtures, utterances, corpus)
    edition = _edition(corpus, utterances) + _about_lists(corpus, folder, to_mix)
    level_of = _wsj0.read_levels(levels).get if levels else None
    with parallel.Workers(nj) as workers:
        mixing = Mixing(NAME, corpus, data, sample_rate, mode, edition, workers, strict)
        for split in _wsj0.SPLITS:
            wanted = {
                key for (_, of), listed in mixtures.items() if of == split for mixture in listed for key in mixture.utterances
            }
            mixing.name_missing(split, wanted - utterances.keys(), SEE)
            sources = {key: utterances[key] for key in sorted(wanted & utterances.keys())}
            prepared = mixing.prepare_utterances(
                _prepare_utterance,
                "wsj0",
                split,
                sources,
                lambda result: {"active_level": result["active_level"]},
                lambda key: None if level_of is None else level_of(_mixing.utterance(key), 0.0),
            )
            for n in to_mix:
                _prepare_mixtures(mixing, n, split, mixtures[n, split], prepared, variant)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write a small WSJ0 of synthetic voices as the LDC ships it, with lists of 2 and 3 speakers in its folder `lists`.

    Args:
        corpus: the folder to write.
        seed: another seed gives other voices and other words.
    """
    _mini.make(corpus, NAME, seed, _wsj0_mini.write, ("lists", *(folder.partition("/")[0] for folder in _wsj0_mini.SPEAKERS)))


# Utterances and mixtures: what is done with one of them, in whatever process


def _prepare_utterance(work: UtteranceWork) -> dict[str, Any]:
    """Resample, and measure the active level unless it is given."""
    speech = _speech.read_utterance(work.source, CORPUS_RATE).astype(np.float64)
    narrow = resample(speech, CORPUS_RATE, LEVEL_RATE)
    level = active_level(narrow, LEVEL_RATE) if work.option is None else work.option
    if level <= 0:
        raise UserError(f"no active level: {work.source}")
    kept = narrow if work.sample_rate == LEVEL_RATE else speech
    _speech.write_float(work.target, kept, work.sample_rate)
    return {"frames": len(kept), "active_level": level}


def _mix(work: MixtureWork) -> dict[str, Any]:
    """Mix as the original scripts; pywsj0-mix does not raise quiet mixtures to the peak, and rounds halves to even.

    The integers are those of MATLAB's ``int16(round(2^15 * x))``, which the original applies before `audiowrite`.
    """
    signals = _mixing.mix([audio.read_array(path)[0] for path in work.utterances], work.weights, work.mode)
    peak = max(signals.max(), -signals.min())
    if peak == 0:
        raise UserError("silent where all its utterances last")
    scale = float(1 / peak * PEAK if work.option == "matlab" else PEAK / max(1.0, peak))
    signals *= scale * _speech.FULL_SCALE
    if work.option == "matlab":
        signals += np.copysign(0.5, signals)  # halves away from zero, when the fraction is cut off
    else:
        np.rint(signals, out=signals)
    for target, samples in zip(work.targets, signals.astype(np.int16), strict=True):
        _speech.write_integers(target, samples, work.sample_rate)
    return {"frames": signals.shape[1], "scale": scale}


# The corpus and its lists


def _prepare_mixtures(
    mixing: Mixing, n: int, split: str, listed: list[_wsj0.Mixture], prepared: Mapping[str, Prepared], variant: Variant
) -> None:
    def weights(mixture: _wsj0.Mixture) -> tuple[float, ...]:
        levels = [prepared[key].result["active_level"] for key in mixture.utterances]
        return tuple(10 ** (gain / 20) / math.sqrt(level) for gain, level in zip(mixture.gains, levels, strict=True))

    def labels(mixture: _wsj0.Mixture, result: dict[str, Any]) -> dict[str, Any]:
        scale = result["scale"]
        return {"gains_db": list(mixture.gains), "scale": scale, "scaling": [weight * scale for weight in weights(mixture)]}

    repeating = sum(len({_mixing.speaker(key) for key in mixture.utterances}) < n for mixture in listed)
    place = Place(f"wsj0-{n}mix", f"{n}speakers", "mix")
    header = {"variant": variant, "with_repeated_speaker": repeating}
    mixing.prepare_mixtures(_mix, place, split, listed, prepared, weights, labels, variant, header)


def _check_splits(mixtures: dict[tuple[int, str], list[_wsj0.Mixture]], utterances: dict[str, Path], corpus: Path) -> None:
    """Refuse before any work is done what would end with an empty split."""
    for (n, split), listed in mixtures.items():
        if not any(all(key in utterances for key in mixture.utterances) for mixture in listed):
            wanted = {key for mixture in listed for key in mixture.utterances}
            raise UserError(
                f"wsj0-{n}mix {split}: expected the {len(wanted)} utterances of its list in {corpus}, "
                f"found {len(wanted & utterances.keys())}, too few for a single mixture. {SEE}"
            )


def _find_utterances(corpus: Path) -> dict[str, Path]:
    found = _wsj0.index(corpus)
    if not found:
        folders = "WSJ0 (…/wsj0/si_tr_s/<speaker>/<utterance>.wv1, …) or mixtures (2speakers/wav8k/min/…)"
        raise another(corpus, folders, SEE)
    return found


def _find_ready_made(corpus: Path) -> list[_ready_made.ReadyMade]:
    return _ready_made.find_all(corpus, "{}speakers", "mix", range(2, 6))


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
        gains = list(map(float, fields[1::2]))
    except ValueError:
        return {}
    return _mixing.voices([f"{one[:3]}/{one}" for one in fields[::2]]) | {"gains_db": gains}


def _edition_of_mixtures(found: _ready_made.ReadyMade) -> str:
    counts = {split: len(found.names(split)) for split in _wsj0.SPLITS}
    if counts == _wsj0.MIXTURES:
        return "full"
    return "partial (" + ", ".join(f"{split} {counts[split]} of {_wsj0.MIXTURES[split]} mixtures" for split in counts) + ")"


def _edition(corpus: Path, utterances: dict[str, Path]) -> str:
    return "mini" if _mini.is_mini(corpus, NAME) else _wsj0.edition(utterances)


def _about_lists(corpus: Path, folder: Path, speakers: list[int]) -> str:
    """A word for the edition where the lists are not known to be the published ones."""
    names = [f"mix_{n}_spk_{split}.txt" for n in speakers for split in _wsj0.SPLITS]
    if _mini.is_mini(corpus, NAME):
        return ""
    own = [name for name in names if files.sha256(folder / name) != _wsj0.LISTS.get(name)]
    return f", unverified lists {', '.join(own)}" if own else ""
