"""MDB-stem-synth: 230 solo stems of MedleyDB, synthesized anew from their pitch, J. Salamon et al., ISMIR 2017.

The sound was made from the annotation, so that the annotation is exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit import files, log
from toolkit.corpora import _archives, _mdb_stem_synth_mini, _mini, _pitched
from toolkit.corpora._editions import another
from toolkit.corpora._pitched import SPLITS, Corpus, Recording, Work
from toolkit.corpora._resampling import Resampling, at_rate
from toolkit.data.annotations import read_f0
from toolkit.log import UserError

NAME = "mdb_stem_synth"
LICENCE = "CC BY-NC 4.0"  # what a model card says
ADDRESS = "https://zenodo.org/records/1481172/files/MDB-stem-synth.tar.gz"
MD5 = "31c1f6b4888e5fd108af91c69789a809"  # mirdata, mirdata/datasets/mdb_stem_synth.py
FOLDER = "MDB-stem-synth"  # of the archive
RATE = _mdb_stem_synth_mini.RATE
STEMS = 230
SEE = "Next: see egs/mdb_stem_synth/README.md for what the folder must hold"
VALID = ("AlexanderRoss", "BigTroubles", "CelestialShore", "DreamersOfTheGhetto", "Grants", "StevenClark")
TEST = (
    "AClassicEducation",
    "AimeeNorwich",
    "ClaraBerryAndWooldog",
    "Creepoid",
    "LizNelson",
    "Lushlife",
    "Meaxic",
    "TablaBreakbeatScience",
)
RULE = "ours, by artist"

_STEM = re.compile(r"(([^_]+)_.+)_STEM_\d+")

logger = log.get(__name__)


def download(corpus: Path) -> None:
    """Fetch and unpack the archive from Zenodo, about 1.9 GB; going on where an earlier try stopped.

    Args:
        corpus: the folder to unpack into.

    Raises:
        UserError: the archive cannot be had, or does not hold what was published.
    """
    if (corpus / FOLDER).is_dir() and _find(corpus).edition == "full":
        return
    archive = files.download(ADDRESS, corpus / ADDRESS.rpartition("/")[2], md5=MD5)
    logger.info("unpacking %s", archive)
    _archives.extract(archive, corpus)
    if (found := _find(corpus).edition) != "full":
        raise UserError(f"{archive}: expected all {STEMS} stems with their annotations, found {found}. {SEE}")
    archive.unlink()


def fetch(corpus: Path, data: Path) -> None:
    """Verify the corpus; nothing else belongs to it.

    Args:
        corpus: its folder.
        data: folder of all that is prepared.
    """
    logger.info("%s: %s", corpus, verify(corpus))


def verify(corpus: Path) -> str:
    """What the folder holds: `full`, `mini` or `partial (…)`; annotations that are missing are named in the log.

    Args:
        corpus: its folder.

    Raises:
        UserError: it is not there.
    """
    return _find(corpus).verify()


def options_for(names: Sequence[str]) -> dict[str, Any]:
    """Options of `prepare` that make the manifests called `names`, e.g. ``mdb_stem_synth/44100/all``.

    Raises:
        UserError: a name is not of that form.
    """
    return _pitched.options_for(NAME, names)


def prepare(
    corpus: Path,
    data: Path,
    *,
    sample_rates: list[int] = [RATE],  # noqa: B006  (a command-line default; never changed)
    splits: list[str] = list(SPLITS),  # noqa: B006
    nj: int | None = None,
    strict: bool = False,
) -> None:
    """Write manifests ``mdb_stem_synth/<Hz>/<split>``; at 44100 Hz the corpus's own files are used.

    Args:
        corpus: its folder, whole or a part of it.
        data: folder of all that is prepared.
        sample_rates: Hz.
        splits: `train`, `valid` and `test`, no artist in two of them, and `all`, or some of these.
        nj: processes (default: all processors).
        strict: an unusable stem is an error instead of a named skip.

    Raises:
        UserError: the corpus is not what it should be, or a manifest would be empty.
    """
    _find(corpus).prepare(data, sample_rates, splits, nj, strict)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write a small MDB-stem-synth: 12 stems of synthetic instruments and voices, 7 s each, laid out as published.

    Args:
        corpus: the folder to write.
        seed: another seed gives other music.
    """
    _mini.make(corpus, NAME, seed, lambda folder, drawn: _mdb_stem_synth_mini.write(folder / FOLDER, drawn), (FOLDER,))


def split_of(artist: str) -> str:
    """`train`, `valid` or `test` of an artist."""
    return "test" if artist in TEST else "valid" if artist in VALID else "train"


def _find(corpus: Path) -> Corpus:
    corpus = files.require_folder(corpus, "MDB-stem-synth", SEE)
    root = next((folder for folder in (corpus, corpus / FOLDER) if (folder / "audio_stems").is_dir()), corpus)
    recordings = [one for path in sorted(root.glob("audio_stems/*.RESYN.wav")) if (one := _recording(root, path))]
    if not recordings:
        raise another(corpus, "audio_stems/*_STEM_*.RESYN.wav and annotation_stems", SEE)
    edition = _pitched.edition(NAME, corpus, recordings, STEMS, "stems")
    return Corpus(NAME, root, edition, recordings, RULE, ("recording",), RATE, _prepare, SEE)


def _recording(root: Path, path: Path) -> Recording | None:
    identity = path.name.removesuffix(".RESYN.wav")
    match = _STEM.fullmatch(identity)
    if match is None or identity.startswith("."):
        return None
    annotation = root / "annotation_stems" / f"{identity}.RESYN.csv"
    return Recording(identity, path, annotation, split_of(match[2]), {"artist": match[2], "track": match[1]})


def _prepare(work: Work) -> dict[str, Any]:
    f0 = read_f0(work.recording.annotation)
    return {"f0": f0._asdict(), **at_rate(Resampling(work.recording.audio, work.targets["recording"], work.sample_rate))}
