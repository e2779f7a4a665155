"""Which utterances LibriMix mixes with which gains: the published tables, and the rule by which they were drawn."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit import files
from toolkit.corpora import _librispeech, _mixing
from toolkit.log import UserError

SPEAKERS = (2, 3)
ROWS = {  # mixtures of each published table, by number of speakers
    2: {"train-clean-100": 13900, "train-clean-360": 50800, "dev-clean": 3000, "test-clean": 3000},
    3: {"train-clean-100": 9300, "train-clean-360": 33900, "dev-clean": 3000, "test-clean": 3000},
}
LOUDNESS = (-33.0, -25.0)  # LUFS, of each source, drawn uniformly
PEAK = 0.9  # what clips is scaled down to this
FRUITLESS_PASSES = 20  # after so many without a new mixture there are no more


@dataclass(frozen=True)
class Mixture:
    """A row: keys of utterances, and what each is multiplied with."""

    utterances: tuple[str, ...]
    gains: tuple[float, ...]

    @property
    def name(self) -> str:
        """What the mixture's files are called."""
        return "_".join(map(_mixing.utterance, self.utterances))


@dataclass(frozen=True)
class Measured:
    """What drawing needs to know of an utterance: loudness in LUFS, peak amplitude."""

    loudness: float
    peak: float


def file_name(speakers: int, subset: str) -> str:
    """As published: ``libri2mix_dev-clean.csv``."""
    return f"libri{speakers}mix_{subset}.csv"


def columns(speakers: int) -> list[str]:
    """Header of a published table."""
    sources = [f"source_{number}_{what}" for number in range(1, speakers + 1) for what in ("path", "gain")]
    return ["mixture_ID", *sources, "noise_path", "noise_gain"]


def read(path: Path, speakers: int) -> list[Mixture]:
    """Read a table; noises are passed over.

    Raises:
        UserError: it is missing, or its header or a row is of another form.
    """
    if not path.is_file():
        raise UserError(f"no such table of mixtures: {path}. Next: run the stage `fetch` with --force, or leave out --metadata")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        if rows.fieldnames != columns(speakers):
            raise UserError(f"{path}: expected the columns {','.join(columns(speakers))}, found {rows.fieldnames}")
        mixtures = []
        for number, row in enumerate(rows, 2):
            try:
                gains = tuple(float(row[f"source_{source}_gain"]) for source in range(1, speakers + 1))
                keys = tuple(_librispeech.key(Path(row[f"source_{source}_path"]).stem) for source in range(1, speakers + 1))
            except (TypeError, ValueError):
                raise UserError(f"{path}, line {number}: expected {speakers} paths and gains, found {row}") from None
            mixtures.append(Mixture(keys, gains))
    return mixtures


def write(path: Path, speakers: int, mixtures: Iterable[Mixture], files_of: Mapping[str, Path], root: Path) -> None:
    """Write a table in the published columns, without noises; `files_of` are those of the utterances, below `root`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(speakers))
    for mixture in mixtures:
        row = [mixture.name]
        for key, gain in zip(mixture.utterances, mixture.gains, strict=True):
            row += [files_of[key].relative_to(root).as_posix(), repr(gain)]
        writer.writerow([*row, "", ""])
    files.write_text(path, text.getvalue())


def draw(measured: Mapping[str, Measured], speakers: int, count: int | None, rng: random.Random) -> list[Mixture]:
    """Draw mixtures of different speakers by the rule of `create_librimix_metadata.py`.

    A pass uses every utterance about once; there are as many passes as `count` asks for, and one if it is None.  No set of
    utterances is drawn twice, so that fewer come out where there are not as many.  Each source gets a loudness from -33 to
    -25 LUFS, or a peak of 0.9 where it would clip.  (The original sorts utterances in another manner into its random order
    and also counts the noise when it looks for clipping.)

    Args:
        measured: by key.
        speakers: sources a mixture.
        count: how many mixtures.
        rng: source of chance.
    """
    chosen: dict[frozenset[str], tuple[str, ...]] = {}
    fruitless = 0
    while fruitless < FRUITLESS_PASSES and not (count is None and chosen) and (count is None or len(chosen) < count):
        before = len(chosen)
        for group in _one_pass(list(measured), speakers, rng):
            chosen.setdefault(frozenset(group), group)
        fruitless = fruitless + 1 if len(chosen) == before else 0
    return [_with_gains(group, measured, rng) for group in list(chosen.values())[:count]]


def may_clip(mixture: Mixture, measured: Mapping[str, Measured]) -> bool:
    """Whether the mixture's peak could exceed 0.9, as far as its sources' peaks tell."""
    return sum(measured[one].peak * gain for one, gain in zip(mixture.utterances, mixture.gains, strict=True)) > PEAK


def without_clipping(mixture: Mixture, peak: float) -> Mixture:
    """The mixture scaled to a peak of 0.9 if its `peak` exceeds that."""
    scale = PEAK / max(PEAK, peak)
    return Mixture(mixture.utterances, tuple(gain * scale for gain in mixture.gains))


def _one_pass(utterances: list[str], speakers: int, rng: random.Random) -> list[tuple[str, ...]]:
    """Groups of different speakers: in random order each utterance joins the oldest group that lacks its speaker."""
    rng.shuffle(utterances)
    complete: list[tuple[str, ...]] = []
    waiting: list[list[str]] = []
    for utterance in utterances:
        who = _mixing.speaker(utterance)
        group = next((group for group in waiting if who not in map(_mixing.speaker, group)), None)
        if group is None:
            waiting.append([utterance])
            continue
        group.append(utterance)
        if len(group) == speakers:
            waiting.remove(group)
            complete.append(tuple(group))
    return complete


def _with_gains(group: tuple[str, ...], measured: Mapping[str, Measured], rng: random.Random) -> Mixture:
    gains = []
    for one in group:
        gain = 10 ** ((rng.uniform(*LOUDNESS) - measured[one].loudness) / 20)
        gains.append(gain if gain * measured[one].peak < 1 else PEAK / measured[one].peak)
    return Mixture(group, tuple(gains))
