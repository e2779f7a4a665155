"""Mini corpora: one of another seed goes first, one that was stopped is made anew, and nobody else's files are touched."""

from pathlib import Path

import pytest

from toolkit.corpora import _mini
from toolkit.log import UserError


def write(corpus: Path, seed: int) -> None:
    """Files that bear other names with each seed, as utterances do."""
    (corpus / "sound").mkdir(parents=True)
    (corpus / f"sound/{seed}.wav").touch()


def make(corpus: Path, seed: int, work=write) -> list[str]:
    _mini.make(corpus, "two_tones", seed, work, ("sound", "tables"))
    return sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*.*"))


def test_nothing_of_another_seed_stays(tmp_path: Path) -> None:
    assert make(tmp_path, 0) == ["mini.json", "sound/0.wav"]
    (tmp_path / "mine.txt").touch()
    assert make(tmp_path, 1) == ["mine.txt", "mini.json", "sound/1.wav"]
    (tmp_path / "sound/1.wav").unlink()
    assert make(tmp_path, 1) == ["mine.txt", "mini.json"]  # what is there with that seed is left as it is


def test_what_was_stopped_is_none_and_is_made_anew(tmp_path: Path) -> None:
    def stopped(corpus: Path, seed: int) -> None:
        write(corpus, seed)
        raise KeyboardInterrupt

    for before in (0, None):
        if before is not None:
            make(tmp_path, before)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path, 1, stopped)
        assert not _mini.is_mini(tmp_path, "two_tones")
    assert make(tmp_path, 2) == ["mini.json", "sound/2.wav"]


def test_another_corpus_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "sound").mkdir()
    (tmp_path / "sound/real.wav").touch()
    with pytest.raises(UserError, match=r"expected a folder for a mini corpus, found sound of another one.*Next: give another"):
        make(tmp_path, 0)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["real.wav"]


def test_a_mini_corpus_of_another_layout_is_made_anew(tmp_path: Path) -> None:
    make(tmp_path, 0)
    (tmp_path / "sound/other.wav").touch()
    _mini.reopen(tmp_path)
    assert not _mini.is_mini(tmp_path, "two_tones", 0)
    assert make(tmp_path, 0) == ["mini.json", "sound/0.wav"]
