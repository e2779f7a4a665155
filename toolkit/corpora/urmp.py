"""URMP: 44 pieces of chamber music, every player recorded alone, with F0 and note annotations, B. Li et al., IEEE TMM 2019.

Two kinds of manifests: stems with their annotations, for pitch, and blocks of one instrument, for synthesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit import files, log
from toolkit.corpora import _mini, _urmp, _urmp_blocks, _urmp_ddx7, _urmp_mini, _urmp_stems
from toolkit.corpora._names import matches
from toolkit.corpora._urmp import INSTRUMENTS, NAME, SEE, SPLITS, Stem
from toolkit.data import parallel
from toolkit.log import UserError

LICENCE = "CC0 1.0"  # what a model card says
DDX7 = ["violin", "flute", "trumpet"]  # the instruments of that paper

logger = log.get(__name__)


def fetch(corpus: Path, data: Path) -> None:
    """Verify the corpus; nothing else belongs to it.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
    """
    logger.info("%s: %s", corpus, verify(corpus))


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (…)`; annotations and mixtures that are missing are named in the log.

    Args:
        corpus: its folder.

    Raises:
        UserError: it is not there.
    """
    _, stems = _urmp.find(corpus)
    if missing := _urmp.missing_parts(stems):
        logger.warning("%d files are missing in %s: %s", len(missing), corpus, log.listing(missing))
    return _edition(corpus, stems)


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``urmp/16000/test`` or ``urmp/ddx7/violin/train``.

    Raises:
        UserError: a name is not of either form.
    """
    known = "|".join(INSTRUMENTS.values())
    pattern = rf"{NAME}/(?:(\d+)/({'|'.join(SPLITS)})|ddx7/({known})/(?:train|valid|test|resynthesis))"
    blocks = f"{NAME}/ddx7/violin/train, valid, test or resynthesis"
    expected = f"a name such as {NAME}/16000/all, train, valid or test, or {blocks}"
    parts = [match.groups() for match in matches(names, NAME, pattern, expected)]
    if not parts:
        return {}
    splits, instruments = {split for _, split, _ in parts}, {instrument for _, _, instrument in parts}
    return {
        "sample_rates": sorted({int(rate) for rate, _, _ in parts if rate}),
        "splits": [split for split in SPLITS if split in splits],
        "instruments": [name for name in INSTRUMENTS.values() if name in instruments],
    }


def prepare(
    corpus: Path,
    data: Path,
    *,
    sample_rates: list[int] = [_urmp_blocks.RATE],  # noqa: B006  (a command-line default; never changed)
    splits: list[str] = list(SPLITS),  # noqa: B006
    instruments: list[str] = DDX7,
    confidence: str = "annotation",
    least_confidence: float | None = None,
    train_share: float = _urmp_blocks.TRAIN,
    resynthesis: Path | None = None,
    nj: int | None = None,
    strict: bool = False,
) -> None:
    """Write manifests ``urmp/<Hz>/<split>`` of stems and ``urmp/ddx7/<instrument>/<split>`` of blocks, and their audio as WAV.

    Args:
        corpus: its folder, whole or a part of it.
        data: folder of all that is prepared.
        sample_rates: Hz, of stems; at 48000 the corpus's own files are used.
        splits: of stems: `train`, `valid`, `test` and `all`, or some of them.
        instruments: whose blocks are made, e.g. `violin`.
        confidence: how sure the pitch of a block is: `annotation`, the share of its frames that are annotated as voiced, or
            `crepe`, the mean confidence of CREPE, as published (needs torchcrepe, and a GPU or much patience).
        least_confidence: blocks below it are left out (default: 0.85 for violin and trumpet, 0.8 for all others, as published).
        train_share: of the blocks.
        resynthesis: folder with a folder of recordings for every instrument; without it stems that are held out serve for that.
        nj: processes (default: all processors).
        strict: an unusable stem is an error instead of a named skip.

    Raises:
        UserError: the corpus is not what it should be, a manifest would be empty, or torchcrepe is not installed.
    """
    known = tuple(INSTRUMENTS.values())
    for option, values, allowed in (("--splits", splits, SPLITS), ("--instruments", instruments, known)):
        if not set(values) <= set(allowed):
            raise UserError(f"{option}: expected some of {', '.join(allowed)}, found {values}")
    if confidence not in _urmp_blocks.CONFIDENCES:
        raise UserError(f"--confidence: expected one of {', '.join(_urmp_blocks.CONFIDENCES)}, found {confidence!r}")
    if confidence == "crepe":
        from toolkit.blocks.pitch_trackers import torchcrepe

        torchcrepe()
    root, stems = _urmp.find(corpus)
    with parallel.Workers(nj) as workers:
        preparation = _urmp_stems.Preparation(root, data, workers, strict, _edition(corpus, stems))
        for rate in sorted(set(sample_rates)):
            _list_splits(preparation, stems, splits, rate)
        chosen = _urmp_ddx7.Choice(confidence, least_confidence, train_share, resynthesis)
        for instrument in instruments:
            _urmp_ddx7.prepare(preparation, stems, instrument, chosen)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write a small URMP of synthetic strings, winds and brass: 6 pieces, 12 stems of 8 to 12 s, laid out as published.

    Args:
        corpus: the folder to write.
        seed: another seed gives other music.
    """
    _mini.make(corpus, NAME, seed, _urmp_mini.write, [piece.folder for piece in _urmp_mini.PIECES])


def _list_splits(preparation: _urmp_stems.Preparation, stems: Sequence[Stem], splits: Sequence[str], rate: int) -> None:
    parts = {split: [stem for stem in stems if split in ("all", _urmp.split_of(stem.number))] for split in splits}
    for split, wanted in parts.items():
        if not wanted:
            raise UserError(f"{NAME} {split}: none of its pieces is in {preparation.root}. {SEE}")
    union = {stem.id: stem for wanted in parts.values() for stem in wanted}
    done = preparation.stems(list(union.values()), rate)
    for split, wanted in parts.items():
        preparation.list_stems(done, wanted, split, rate)


def _edition(corpus: Path, stems: Sequence[Stem]) -> str:
    return "mini" if _mini.is_mini(files.require_folder(corpus, "URMP", SEE), NAME) else _urmp.edition(stems)
