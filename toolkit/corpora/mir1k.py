"""MIR-1K: 1,000 clips of karaoke with the singer's pitch, C.-L. Hsu and J.-S. R. Jang, IEEE TASLP 18(2), 2010."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import audio, files, log
from toolkit.corpora import _mini, _mir1k_mini, _pitched
from toolkit.corpora._editions import another
from toolkit.corpora._mir1k_mini import FOLDERS, HOP, RATE
from toolkit.corpora._pitched import SPLITS, Corpus, Recording, Work
from toolkit.data.annotations import F0, read_table
from toolkit.dsp.resample import resample
from toolkit.log import UserError

NAME = "mir1k"
LICENCE = "none stated by its makers"  # what a model card says
FOLDER = "MIR-1K"  # of the archive
CLIPS = 1000
SEE = "Next: see egs/mir1k/README.md for what the folder must hold"
ROLES = ("recording", "accompaniment", "mixture")
VALID = ("leon", "tammy")
TEST = ("khair", "stool", "titon", "yifen")
RULE = "ours, by singer"
SLACK = 5  # frames by which an annotation may be shorter or longer than its clip

_CLIP = re.compile(r"([^_.]+)_(\d+)_\d+")

logger = log.get(__name__)


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
    """Options of `prepare` that make the manifests called `names`, e.g. ``mir1k/16000/all``.

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
    """Write manifests ``mir1k/<Hz>/<split>`` and, as WAV, the voice, the accompaniment and their sum.

    Args:
        corpus: its folder, whole or a part of it.
        data: folder of all that is prepared.
        sample_rates: Hz.
        splits: `train`, `valid` and `test`, no singer in two of them, and `all`, or some of these.
        nj: processes (default: all processors).
        strict: an unusable clip is an error instead of a named skip.

    Raises:
        UserError: the corpus is not what it should be, or a manifest would be empty.
    """
    _find(corpus).prepare(data, sample_rates, splits, nj, strict)


def make_mini(corpus: Path, seed: int = 0) -> None:
    """Write a small MIR-1K of synthetic singers and bands: 20 clips of 3 to 5 s, laid out as published.

    Args:
        corpus: the folder to write.
        seed: another seed gives other music.
    """
    _mini.make(corpus, NAME, seed, lambda folder, drawn: _mir1k_mini.write(folder / FOLDER, drawn), (FOLDER,))


def split_of(singer: str) -> str:
    """`train`, `valid` or `test` of a singer."""
    return "test" if singer in TEST else "valid" if singer in VALID else "train"


def read_pitch(path: Path) -> F0:
    """An annotation `*.pv`: a line every 20 ms with the pitch as a MIDI number, 0 where unvoiced.

    Each tells of a window of 40 ms; the first of them begins with the clip, so that its middle is at 20 ms.

    Raises:
        UserError: it cannot be read, or a value is no pitch.
    """
    (pitch,) = read_table(path, 1).T
    if pitch.min() < 0 or pitch.max() > 127:
        raise UserError(f"expected MIDI numbers, 0 where unvoiced, found {pitch.min():g} to {pitch.max():g}: {path}")
    hz = np.where(pitch > 0, 440 * 2 ** ((pitch - 69) / 12), 0)
    return F0(HOP / RATE, HOP / RATE, np.round(hz, 3).tolist())


def _find(corpus: Path) -> Corpus:
    corpus = files.require_folder(corpus, "MIR-1K", SEE)
    root = next((folder for folder in (corpus, corpus / FOLDER) if (folder / FOLDERS.sound).is_dir()), corpus)
    recordings = [one for path in sorted((root / FOLDERS.sound).glob("*.wav")) if (one := _recording(root, path))]
    if not recordings:
        raise another(corpus, "Wavfile/*.wav such as abjones_1_01.wav and PitchLabel", SEE)
    edition = _pitched.edition(NAME, corpus, recordings, CLIPS, "clips")
    return Corpus(NAME, root, edition, recordings, RULE, ROLES, None, _prepare, SEE)


def _recording(root: Path, path: Path) -> Recording | None:
    match = _CLIP.fullmatch(path.stem)
    if match is None:
        return None
    singer, song = match.groups()
    told = {"instrument": "voice", "singer": singer, "song": f"{singer}_{song}"}
    return Recording(path.stem, path, root / FOLDERS.pitch / f"{path.stem}.pv", split_of(singer), told)


def _prepare(work: Work) -> dict[str, Any]:
    path, f0 = work.recording.audio, read_pitch(work.recording.annotation)
    info = audio.info(path)
    if (info.channels, info.sample_rate) != (2, RATE) or not info.frames:
        found = f"{info.channels} channels of {info.frames} samples at {info.sample_rate} Hz"
        raise UserError(f"expected accompaniment and voice in 2 channels at {RATE} Hz, found {found}: {path}")
    expected = info.frames // HOP - 1
    if abs(len(f0.hz) - expected) > SLACK:
        raise UserError(
            f"expected about {expected} lines for a clip of that length, found {len(f0.hz)}: {work.recording.annotation}"
        )
    accompaniment, voice = resample(audio.read_array(path), RATE, work.sample_rate)
    sounds = {"recording": voice, "accompaniment": accompaniment, "mixture": accompaniment + voice}
    for role, samples in sounds.items():
        audio.write(work.targets[role], samples[None], work.sample_rate, "FLOAT")  # PCM might clip
    return {"f0": f0._asdict(), "frames": len(voice)}
