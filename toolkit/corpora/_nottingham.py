"""The Nottingham Music Database's tunes (Eric Foxley), in the cleaned files that Jukedeck published."""

from __future__ import annotations

from pathlib import Path

from toolkit.data.abc import Collection, read
from toolkit.log import UserError

FOLDER = "ABC_cleaned"
FILES = (
    "ashover.abc",
    "hpps.abc",
    "jigs.abc",
    "morris.abc",
    "playford.abc",
    "reelsa-c.abc",
    "reelsd-g.abc",
    "reelsh-l.abc",
    "reelsm-q.abc",
    "reelsr-t.abc",
    "reelsu-z.abc",
    "slip.abc",
    "waltzes.abc",
    "xmas.abc",
)


def files_in(folder: Path) -> list[Path]:
    """The files of tunes in a folder, by their names."""
    return sorted(path for path in folder.glob("*") if path.suffix.lower() == ".abc")


def read_tunes(folder: Path | str, complete: bool = True) -> Collection:
    """Read the tunes, file after file by their names.

    Args:
        folder: what holds `ABC_cleaned`, or that folder itself.
        complete: whether all of the official files must be there; if not, any `.abc` files will do.

    Raises:
        UserError: files are missing, or hold no tune.
    """
    folder = Path(folder)
    folder = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    there = files_in(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if complete and missing:
        raise UserError(
            f"{folder}: expected the {len(FILES)} files of Nottingham's tunes, found {len(there)}, without {missing[0]}. "
            "Next: give a copy of github.com/jukedeck/nottingham-dataset"
        )
    if not there:
        raise UserError(f"{folder}: expected files of tunes (*.abc), found none. Next: see egs/nottingham/README.md")
    return read([folder / name for name in FILES] if complete else there)
