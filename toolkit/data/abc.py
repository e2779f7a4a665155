"""Collections of tunes in ABC notation (abcnotation.com, standard 2.1), as the Nottingham Music Database has them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from toolkit.log import UserError

FIELD = re.compile(r"^([A-Za-z]):(?![|:])\s*(.*)$")  # and no note before a repeat
COMMENT = re.compile(r"(?<!\\)%.*$")
CHORD_SYMBOL = re.compile(r'"[^"\n]*"')
SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}


class Tune(NamedTuple):
    """One tune.

    Attributes:
        origin: file and number, e.g. `jigs.abc/12`; of a second tune of that number in the file `jigs.abc/12-2`.
        fields: what stands above the body, by letter (`T` titles, `M` meter, `L` unit of length, `K` key), in their order.
        body: lines of music, and of fields that change on the way; without comments and without broken lines.
    """

    origin: str
    fields: dict[str, list[str]]
    body: str

    @property
    def title(self) -> str:
        """The first title; empty where there is none."""
        return self.fields.get("T", [""])[0]

    @property
    def meter(self) -> str:
        """As it is written, e.g. `6/8` or `C|`; `none` where it is not told."""
        return self.fields.get("M", ["none"])[0]

    @property
    def key(self) -> str:
        """As it is written, e.g. `Ador`."""
        return self.fields["K"][0]

    def text(self, fields: Sequence[str] = ("M", "L", "K"), chords: bool = True) -> str:
        """What a language model reads: the fields that there are of those, then the body; a line break after each line.

        Args:
            fields: letters, in the order in which they are to stand; `K` is last by the rules of the notation.
            chords: whether chord symbols (`"Em"`) are kept.
        """
        lines = [f"{letter}:{value}" for letter in fields for value in self.fields.get(letter, [])]
        body = self.body if chords else CHORD_SYMBOL.sub("", self.body)
        return "\n".join([*lines, body]) + "\n"


class Collection(NamedTuple):
    """What was read.

    Attributes:
        tunes: in the order in which they stand.
        skipped: origin and reason of each that could not be used.
    """

    tunes: list[Tune]
    skipped: list[str]


def parse(text: str, name: str = "") -> Collection:
    """Take a collection apart: a tune goes from its `X:` to the next one, its body begins after its first `K:`.

    Args:
        text: of a file.
        name: of the file, for `origin`.
    """
    tunes, skipped = [], []
    known: Counter[str] = Counter()  # tunes that were collected one by one are often all number 1
    for piece in re.split(r"^(?=X:)", _clean(text), flags=re.MULTILINE)[1:]:
        lines = [line for line in piece.split("\n") if line]
        number = lines[0][2:].strip()
        known[number] += 1
        number += f"-{known[number]}" if known[number] > 1 else ""
        origin = f"{name}/{number}" if name else number
        head = next((place for place, line in enumerate(lines) if line.startswith("K:")), None)
        if head is None:
            skipped.append(f"{origin}: no key (K:)")
            continue
        fields: dict[str, list[str]] = {}
        for line in lines[: head + 1]:
            if match := FIELD.match(line):
                fields.setdefault(match[1], []).append(match[2].strip())
        body = "\n".join(lines[head + 1 :])
        if not any(not FIELD.match(line) for line in lines[head + 1 :]):
            skipped.append(f"{origin}: no music")
            continue
        tunes.append(Tune(origin, fields, body))
    return Collection(tunes, skipped)


def read(paths: Sequence[Path | str]) -> Collection:
    """Read files of tunes, UTF-8 or else Latin-1.

    Raises:
        UserError: a file is missing, or there is no tune in all of them.
    """
    tunes, skipped = [], []
    for path in map(Path, paths):
        if not path.is_file():
            raise UserError(f"no such file of tunes: {path}. Next: give the folder of the collection, with its .abc files")
        data = path.read_bytes()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        found = parse(text, path.name)
        tunes += found.tunes
        skipped += found.skipped
    if not tunes:
        names = ", ".join(str(path) for path in paths) or "no file"
        raise UserError(f"no tune in {names}: expected tunes from X: to K: and music after that. Next: see their first lines")
    return Collection(tunes, skipped)


def split_of(tune: Tune, shares: dict[str, float] | None = None) -> str:
    """The split of a tune, drawn from its title: it stays what it is when others come, and versions of a tune stay together.

    Args:
        tune: told by its title, without case, spaces and marks; by its body where it has none.
        shares: of the splits, adding up to 1; 80 % `train`, 10 % `valid` and `test` each if None.
    """
    name = "".join(character for character in tune.title.casefold() if character.isalnum()) or tune.body
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    end = 0.0
    for split, share in (shares or SHARES).items():
        end += share
        if place < end:
            return split
    return split


def _clean(text: str) -> str:
    """Without comments, spaces at the ends of lines, and breaks of lines that go on; a field keeps its line."""
    lines = (COMMENT.sub("", line).rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return re.sub(r"\\\n", "", re.sub(r"\\\n(?=[A-Za-z]:(?![|:]))", "\n", "\n".join(lines)))
