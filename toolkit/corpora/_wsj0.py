"""WSJ0 as the Linguistic Data Consortium ships it, and the lists that say which of its utterances are mixed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from toolkit.corpora import _speech
from toolkit.log import UserError

FOLDERS = {"si_tr_s": 12776, "si_dt_05": 1206, "si_et_05": 651}  # utterances by the first microphone in the whole corpus
SUFFIXES = (".wav", ".flac", ".sph", ".wv1")  # the quickest to read is taken where an utterance lies in several
SPLITS = ("tr", "cv", "tt")
MIXTURES = {"tr": 20000, "cv": 5000, "tt": 3000}  # in every published list
LISTS = {  # the published lists, by SHA-256
    "mix_2_spk_tr.txt": "9ba81d1d2b06fd6761aa3d54484b0374cf0472e7ecb6e5a174d34c08d392a36f",
    "mix_2_spk_cv.txt": "bdb4feebebdc8250db8b40254ce941551758ddf0ffb35f9d93d7c3ae8147f445",
    "mix_2_spk_tt.txt": "92b33ac1df349b80eab62a019a94c129add44b414caeeeeab7cb3adfe0024ad5",
    "mix_3_spk_tr.txt": "1d9ae12aa6db1b86d57ccc3d4d20d7134da9ad59cafc1aeaad8159ae06e1c4d5",
    "mix_3_spk_cv.txt": "db3bad6ab7128b1ec664bae59dc899d1341be1039c67388add2f04363e949a9c",
    "mix_3_spk_tt.txt": "505d321597169d67fcbd2ec978fbafc6e3e601f53ecbcb7e8bc0ce8689497f67",
}


@dataclass(frozen=True)
class Mixture:
    """One line of a list.

    Attributes:
        name: of its files, ``<utterance>_<gain>_<utterance>_<gain>``, the gains as the list writes them.
        utterances: keys ``si_tr_s/01t/01to030v``.
        gains: dB.
    """

    name: str
    utterances: tuple[str, ...]
    gains: tuple[float, ...]


def index(corpus: Path) -> dict[str, Path]:
    """Find every utterance of the first microphone, in one pass: discs or merged, either case of names.

    Returns:
        Key ``si_tr_s/01t/01to030v``, in lower case, to path.
    """
    found: dict[str, Path] = {}
    for folder, names in _speech.walk(corpus):
        parts = [part.lower() for part in folder.parts[-2:]]
        if len(parts) < 2 or parts[0] not in FOLDERS:
            continue
        for name in names:
            stem, suffix = Path(name).stem.lower(), Path(name).suffix.lower()
            key = f"{parts[0]}/{parts[1]}/{stem}"
            if suffix in SUFFIXES and (key not in found or _rank(suffix) < _rank(found[key].suffix)):
                found[key] = folder / name
    return found


def edition(found: Iterable[str]) -> str:
    """`full`, or what part of WSJ0 the found keys are."""
    counts = dict.fromkeys(FOLDERS, 0)
    for key in found:
        counts[key.split("/")[0]] += 1
    if counts == FOLDERS:
        return "full"
    return "partial (" + ", ".join(f"{name} {counts[name]} of {FOLDERS[name]}" for name in FOLDERS) + ")"


def read_list(path: Path, speakers: int) -> list[Mixture]:
    """Read ``mix_<n>_spk_<split>.txt``: a mixture a line, paths and gains in dB by turns.

    Raises:
        UserError: it is missing, or a line is of another form.
    """
    if not path.is_file():
        raise UserError(f"no such list of mixtures: {path}. Next: run the stage `fetch`, or say --lists FOLDER")
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    return [_parse(line, f"{path}, line {number}", speakers) for number, line in enumerate(lines, 1) if line.strip()]


def read_levels(folder: Path) -> dict[str, float]:
    """Read published active levels, ``activlev_*.txt``: an utterance and its level as a power a line.

    Raises:
        UserError: no such file, or a line is of another form.
    """
    paths = sorted(folder.glob("activlev_*.txt"))
    if not paths:
        raise UserError(f"--levels: expected files activlev_*.txt in {folder}, found none. Next: see egs/wsj0_mix/README.md")
    levels = {}
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
            match = re.fullmatch(r"(\w+) ([0-9.eE+-]+)", line.strip())
            if match is None:
                raise UserError(f"{path}, line {number}: expected an utterance and its level, found {line!r}")
            levels[match[1].lower()] = float(match[2])
    return levels


def _rank(suffix: str) -> int:
    return SUFFIXES.index(suffix.lower())


def _parse(line: str, where: str, speakers: int) -> Mixture:
    fields = line.split()
    paths, gains = fields[::2], fields[1::2]
    try:
        if len(fields) != 2 * speakers:
            raise ValueError
        keys = tuple("/".join(_last_three(path)) for path in paths)
        values = tuple(map(float, gains))
    except ValueError:
        raise UserError(
            f"{where}: expected {speakers} paths and gains by turns, found {line!r}. Next: fetch the lists again"
        ) from None
    stems = [key.rpartition("/")[2] for key in keys]
    name = "_".join(part for pair in zip(stems, gains, strict=True) for part in pair)
    return Mixture(name, keys, values)


def _last_three(path: str) -> tuple[str, str, str]:
    """Folder, speaker and utterance of ``wsj0/si_tr_s/01t/01to030v.wav``."""
    folder, speaker, utterance = path.lower().split("/")[-3:]
    return folder, speaker, utterance.partition(".")[0]
