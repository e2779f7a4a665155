"""MagnaTagATune (E. Law et al., 2009): its layout, the field's fifty tags, which clip belongs to which split."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from toolkit import files
from toolkit.corpora import _magnatagatune_archive
from toolkit.corpora._editions import another
from toolkit.log import UserError

NAME = "magnatagatune"
SEE = "Next: see egs/magnatagatune/README.md for what the folder must hold"
ANNOTATIONS = "annotations_final.csv"
ADDRESS = "https://mirg.city.ac.uk/datasets/magnatagatune/"
FOLDERS = {"train": "0123456789ab", "valid": "c", "test": "def"}
SPLITS = {"train": 18706, "valid": 1825, "test": 5329}  # clips; minzwon/sota-music-tagging-models, issue 25

# Empty or corrupt as published, all three of train: jordipons/musicnn-training, aux/mtt/partition_gt.py
NO_SOUND = frozenset({"35644", "55753", "57881"})

# The clean version: J. Lee et al. (2017) left out clips with none of the fifty tags, or not longer than 29.1 s.  The lists that
# they published leave out no clip of valid and test for its length: a whole clip is longer than the 29 s that its name tells by
# what the coder adds.  How much of that is decoded is the decoder's affair: here, only less than 29 s is taken for cut short.
CLEAN_SECONDS = 29.0

# By number of clips, ordered as by jordipons/musicnn-training; jongpillee/music_dataset_split has "female voice" before "metal"
TAGS = (
    *("guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano"),
    *("ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing"),
    *("vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop"),
    *("soft", "sitar", "solo", "man", "classic", "choir", "voice", "new age", "dance", "male voice"),
    *("female vocal", "beats", "harp", "cello", "no voice", "weird", "country", "metal", "female voice", "choral"),
)


class Clip(NamedTuple):
    """A row of the annotations: clip_id, mp3_path, and 0 or 1 for each of `TAGS`."""

    id: str
    path: str
    tags: tuple[int, ...]

    @property
    def split(self) -> str:
        """The clip's split, by the folder that it lies in."""
        return next(split for split, folders in FOLDERS.items() if self.path[0] in folders)


class Layout(NamedTuple):
    """What a folder of the corpus holds.

    Attributes:
        annotations: the table.
        audio: the folder that holds `0` to `f`; None where only the archive is there.
        archive: the parts of the zip archive; none if `audio` is there.
    """

    annotations: Path
    audio: Path | None
    archive: list[Path]

    def sizes(self) -> dict[str, int]:
        """Bytes of every mp3 file, by a path such as ``f/name.mp3``."""
        if self.audio is None:
            return _magnatagatune_archive.sizes(self.archive)
        found: dict[str, int] = {}
        for folder in "".join(FOLDERS.values()):
            if (self.audio / folder).is_dir():
                with os.scandir(self.audio / folder) as entries:
                    found |= {
                        f"{folder}/{entry.name}": entry.stat().st_size for entry in entries if entry.name.endswith(".mp3")
                    }
        return found


def find(corpus: Path) -> Layout:
    """Where annotations and audio lie: in the folder, or the audio in its folder `mp3`.

    Raises:
        UserError: one of them is not there.
    """
    corpus = files.require_folder(corpus, "MagnaTagATune", SEE)
    annotations = corpus / ANNOTATIONS
    folders = "".join(FOLDERS.values())  # of a part of the corpus there may be few
    audio = next((place for place in (corpus, corpus / "mp3") if any((place / name).is_dir() for name in folders)), None)
    archive = [] if audio is not None else _magnatagatune_archive.find(corpus)
    if not annotations.is_file() or (audio is None and not archive):
        raise another(corpus, f"MagnaTagATune ({ANNOTATIONS}, and folders 0 to f of mp3 or the parts of mp3.zip)", SEE)
    return Layout(annotations, audio, archive)


def read_annotations(path: Path) -> list[Clip]:
    """The clips of annotations_final.csv, in its order, without those that were published without sound.

    Raises:
        UserError: a column is missing, a value is not 0 or 1, a path is none of the corpus, or a clip stands twice.
    """
    clips = []
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream, delimiter="\t")
        header = next(rows, [])
        if missing := [name for name in ("clip_id", *TAGS, "mp3_path") if name not in header]:
            raise UserError(f"{path}: expected columns clip_id, 188 tags and mp3_path, missing {', '.join(missing[:5])}. {SEE}")
        columns = [header.index(tag) for tag in TAGS]
        identity, place = header.index("clip_id"), header.index("mp3_path")
        for row in filter(None, rows):
            if len(row) != len(header) or not re.fullmatch(r"[0-9a-f]/[^/\\]+\.mp3", row[place]):
                raise UserError(
                    f"{path}, line {rows.line_num}: expected {len(header)} columns, the path such as f/name.mp3, "
                    f"found {len(row)}, {row[-1]!r}. {SEE}"
                )
            values = [row[column] for column in columns]
            if not {"0", "1"}.issuperset(values):
                raise UserError(
                    f"{path}, line {rows.line_num}: expected 0 or 1 for each tag, found {sorted(set(values))}. {SEE}"
                )
            clips.append(Clip(row[identity], row[place], tuple(map(int, values))))
    if len({clip.id for clip in clips}) < len(clips) or not clips:
        raise UserError(f"{path}: expected clips that differ, found {len(clips)}, some of them twice. {SEE}")
    return [clip for clip in clips if clip.id not in NO_SOUND]


def is_clean(clip: Clip, seconds: float) -> bool:
    """Whether a clip of so many seconds belongs to the clean version: it has one of the fifty tags, and is not cut short."""
    return any(clip.tags) and seconds >= CLEAN_SECONDS


def count(clips: Iterable[Clip]) -> dict[str, int]:
    """How many clips are in each split."""
    found = Counter(clip.split for clip in clips)
    return {split: found[split] for split in SPLITS}
