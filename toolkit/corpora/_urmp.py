"""URMP (B. Li et al., IEEE Transactions on Multimedia 2019): its pieces, its layout, its annotations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from toolkit import files
from toolkit.corpora._editions import another
from toolkit.data.annotations import read_f0, read_table

NAME = "urmp"
SEE = "Next: see egs/urmp/README.md for what the folder must hold"
RATE = 48000  # Hz, of every file as published
INSTRUMENTS = {
    "vn": "violin",
    "va": "viola",
    "vc": "cello",
    "db": "double_bass",
    "fl": "flute",
    "ob": "oboe",
    "cl": "clarinet",
    "sax": "saxophone",
    "bn": "bassoon",
    "tpt": "trumpet",
    "hn": "horn",
    "tbn": "trombone",
    "tba": "tuba",
}
PIECES = (
    "01_Jupiter_vn_vc",
    "02_Sonata_vn_vn",
    "03_Dance_fl_cl",
    "04_Allegro_fl_fl",
    "05_Entertainer_tpt_tpt",
    "06_Entertainer_sax_sax",
    "07_GString_tpt_tbn",
    "08_Spring_fl_vn",
    "09_Jesus_tpt_vn",
    "10_March_tpt_sax",
    "11_Maria_ob_vc",
    "12_Spring_vn_vn_vc",
    "13_Hark_vn_vn_va",
    "14_Waltz_fl_fl_cl",
    "15_Surprise_tpt_tpt_tbn",
    "16_Surprise_tpt_tpt_sax",
    "17_Nocturne_vn_fl_cl",
    "18_Nocturne_vn_fl_tpt",
    "19_Pavane_cl_vn_vc",
    "20_Pavane_tpt_vn_vc",
    "21_Rejouissance_cl_tbn_tba",
    "22_Rejouissance_sax_tbn_tba",
    "23_Rejouissance_cl_sax_tba",
    "24_Pirates_vn_vn_va_vc",
    "25_Pirates_vn_vn_va_sax",
    "26_King_vn_vn_va_vc",
    "27_King_vn_vn_va_sax",
    "28_Fugue_fl_ob_cl_bn",
    "29_Fugue_fl_fl_ob_cl",
    "30_Fugue_fl_fl_ob_sax",
    "31_Slavonic_tpt_tpt_hn_tbn",
    "32_Fugue_vn_vn_va_vc",
    "33_Elise_tpt_tpt_hn_tbn",
    "34_Fugue_tpt_tpt_hn_tbn",
    "35_Rondeau_vn_vn_va_db",
    "36_Rondeau_vn_vn_va_vc",
    "37_Rondeau_fl_vn_va_cl",
    "38_Jerusalem_vn_vn_va_vc_db",
    "39_Jerusalem_vn_vn_va_sax_db",
    "40_Miserere_fl_fl_ob_cl_bn",
    "41_Miserere_fl_fl_ob_sax_bn",
    "42_Arioso_tpt_tpt_hn_tbn_tba",
    "43_Chorale_tpt_tpt_hn_tbn_tba",
    "44_K515_vn_vn_va_va_vc",
)
SPLITS = ("train", "valid", "test", "all")
TEST = (1, 2, 12, 13, 24, 25, 31, 38, 39)  # J. Gardner et al., "MT3", ICLR 2022: its evaluation pieces; it trains on all others
VALID = (11, 14, 42, 44)  # ours: of all others, pieces that stand in the corpus in one arrangement only

_CODE = "|".join(INSTRUMENTS)
_PIECE = re.compile(rf"(\d\d)_([^_]+)((?:_(?:{_CODE}))+)")
_STEM = re.compile(rf"AuSep_(\d+)_({_CODE})_(.+)\.wav")


class Stem(NamedTuple):
    """One player's part of a piece.

    Attributes:
        id: e.g. `01_Jupiter_1_vn`, unique.
        folder: of the piece, e.g. `01_Jupiter_vn_vc`.
        code: instrument as the file is named; DDX7 chooses by it.
        instrument: name by the piece's folder, which differs from `code` in one known case (piece 15, part 3).
        audio: WAV file.
        f0: file of the fundamental frequency; it may be missing.
        notes: file of the notes; it may be missing.
        mixture: WAV file of the piece; it may be missing.
    """

    id: str
    folder: str
    code: str
    instrument: str
    audio: Path
    f0: Path
    notes: Path
    mixture: Path

    @property
    def number(self) -> int:
        """The number of the piece, 1 to 44."""
        return int(self.folder[:2])

    @property
    def title(self) -> str:
        """The title of the piece; arrangements of one work share it, and may share recordings."""
        return self.folder.split("_")[1]


def find(corpus: Path) -> tuple[Path, list[Stem]]:
    """The folder of the pieces, `corpus` itself or `Dataset` in it, and all stems, by piece and part.

    Raises:
        UserError: there are none.
    """
    corpus = files.require_folder(corpus, "URMP", SEE)
    for root in (corpus, corpus / "Dataset"):
        if root.is_dir() and (stems := _index(root)):
            return root, stems
    raise another(corpus, f"folders such as {PIECES[0]} with AuSep_1_vn_01_Jupiter.wav", SEE)


def missing_parts(stems: Iterable[Stem]) -> list[str]:
    """Files that a piece which is there ought to have and has not, below the corpus."""
    paths = {path for stem in stems for path in (stem.f0, stem.notes, stem.mixture) if not path.is_file()}
    return sorted(f"{path.parent.name}/{path.name}" for path in paths)


def edition(stems: Sequence[Stem]) -> str:
    """`full`, or `partial (…)` in words."""
    there: dict[str, int] = {}
    for stem in stems:
        there[stem.folder] = there.get(stem.folder, 0) + 1
    parts = {piece: len(codes(piece)) for piece in PIECES}
    if there == parts and not missing_parts(stems):
        return "full"
    known = sum(piece in parts for piece in there)
    return f"partial ({known} of {len(PIECES)} pieces, {len(stems)} of {sum(parts.values())} stems)"


def codes(piece: str) -> list[str]:
    """Instruments of a piece's folder, part by part."""
    return piece.split("_")[2:]


def split_of(number: int) -> str:
    """`train`, `valid` or `test` of a piece."""
    return "test" if number in TEST else "valid" if number in VALID else "train"


def read_notes(path: Path) -> dict[str, list[float]]:
    """An annotation `Notes_*.txt`, lines of onset (s), pitch (Hz) and length (s): lists `onset`, `hz`, `seconds`.

    Raises:
        UserError: it cannot be read.
    """
    onset, hz, seconds = np.round(read_table(path, 3), 4).T
    return {"onset": onset.tolist(), "hz": hz.tolist(), "seconds": seconds.tolist()}


def labels(stem: Stem) -> dict[str, Any]:
    """What a manifest tells of a stem: instrument, piece, F0 and notes.

    Raises:
        UserError: an annotation is missing or cannot be read.
    """
    told = {"instrument": stem.instrument, "piece": stem.folder}
    return told | {"f0": read_f0(stem.f0)._asdict(), "notes": read_notes(stem.notes)}


def _index(root: Path) -> list[Stem]:
    found = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        piece = _PIECE.fullmatch(folder.name)
        if piece is None:
            continue
        name, instruments = f"{piece[1]}_{piece[2]}", codes(folder.name)
        matches = [_STEM.fullmatch(path.name) for path in folder.iterdir()]
        for part, code in sorted((int(match[1]), match[2]) for match in matches if match and match[3] == name):
            played = instruments[part - 1] if part <= len(instruments) else code
            own = f"{part}_{code}_{name}"
            annotations = (folder / f"F0s_{own}.txt", folder / f"Notes_{own}.txt")
            mixture = folder / f"AuMix_{folder.name}.wav"
            identity = (f"{name}_{part}_{code}", folder.name, code, INSTRUMENTS[played])
            found.append(Stem(*identity, folder / f"AuSep_{own}.wav", *annotations, mixture))
    return found
