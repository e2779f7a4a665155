"""Dynamic mixing: every epoch new mixtures of single utterances (N. Zeghidour and D. Grangier, "Wavesplit", TASLP 29, 2021)."""

import math
from abc import ABC, abstractmethod
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolkit import audio, log
from toolkit.data.augment import change_speed
from toolkit.data.examples import Example, Mixing
from toolkit.data.manifest import Manifest
from toolkit.data.segments import SegmentDataset, check_file
from toolkit.log import UserError

MIXES = 3  # what the random stream is for; see segments.py
PEAK = 0.9  # largest sample of a mixture or source, as WSJ0-mix and LibriMix have it
SILENCE = 1e-10  # power that stands for an utterance without any sound

logger = log.get(__name__)


class Levels(ABC):
    """How loud the sources of a mixture are.

    Attributes:
        label: the label of an utterance that tells its level; without it the mean power of the file is measured once.
    """

    label: str

    @abstractmethod
    def draw(self, sources: int, rng: np.random.Generator) -> np.ndarray:
        """Wanted levels (sources,), in decibels."""

    def decibels(self, value: float) -> float:
        """The level that a label's value stands for."""
        return value


class OppositeLevels(Levels):
    """As WSJ0-mix: active levels come in pairs +g and -g dB; with an odd number the last is 0 dB (J. Hershey et al., 2016).

    Args:
        spread: largest g; each pair draws its own from 0 to `spread`.
    """

    label = "active_level"

    def __init__(self, spread: float = 2.5) -> None:
        self.spread = spread

    def draw(self, sources: int, rng: np.random.Generator) -> np.ndarray:
        gains = rng.uniform(0, self.spread, sources // 2)
        return np.append(np.stack([gains, -gains], axis=1), [0.0] * (sources % 2))

    def decibels(self, value: float) -> float:
        return 10 * math.log10(max(value, SILENCE))


class UniformLoudness(Levels):
    """As LibriMix: each source has its own loudness (J. Cosentino et al., "LibriMix", 2020, section 3).

    Args:
        low: LUFS of the softest.
        high: LUFS of the loudest.
    """

    label = "loudness_lufs"

    def __init__(self, low: float = -33.0, high: float = -25.0) -> None:
        self.low, self.high = low, high

    def draw(self, sources: int, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(self.low, self.high, sources)


class DynamicMixing(Mixing):
    """New mixtures of utterances by different speakers, as many per epoch as a fixed set has.

    Where a mixture or source would be louder than 0.9, all are scaled down together; that is so for any utterances at active
    levels near 0 dB, as WSJ0-mix has them.

    Args:
        data: folder of the manifests.
        static: the fixed set: it says length, rate and number of sources, and gives the rest of the examples.
        seed: of all that is drawn.
        utterances: name of a manifest of single utterances (role `speech`, label `speaker`), such as `wsj0/8k/tr`.
        levels: how loud the sources are.
        probability: share of new mixtures; the other examples are of the fixed set.
        speeds: an utterance is played at one of these speeds.
        min_overlap: share of a piece in which all speak; 1 for all of it. Shorter utterances are left out.
        examples: examples per epoch; as many as the fixed set has when not given.

    Raises:
        UserError: the utterances have another rate than the fixed set, no speaker labels, or too few speakers.
        ValueError: `min_overlap` is not above 0, up to 1.
    """

    def __init__(
        self,
        data: Path,
        static: SegmentDataset,
        seed: int,
        utterances: str,
        levels: Levels,
        probability: float = 1.0,
        speeds: tuple[float, ...] = (0.95, 1.0, 1.05),
        min_overlap: float = 1.0,
        examples: int | None = None,
    ) -> None:
        if not 0 < min_overlap <= 1:
            raise ValueError(f"min_overlap: expected more than 0, up to 1, found {min_overlap}")
        self.static, self.seed, self.levels = static, seed, levels
        self.sources = static.sources
        self.probability, self.speeds, self.min_overlap = probability, speeds, min_overlap
        self.examples = len(static) if examples is None else examples
        self.manifest = Manifest.open(data / f"{utterances}.jsonl")
        self._read_manifest()
        self._checked = np.zeros(len(self._numbers), bool)

    def __len__(self) -> int:
        return self.examples

    def example(self, epoch: int, index: int) -> Example:
        """A new mixture, or by chance the fixed set's example of the same index (which goes round)."""
        rng = np.random.default_rng((self.seed, MIXES, epoch, index))
        if rng.random() >= self.probability:
            return self.static.example(epoch, index % len(self.static))
        chosen = self._choose(rng)
        speeds = rng.choice(self.speeds, len(chosen))
        available = (self._frames[chosen] / speeds).astype(int)
        length = self.static.segment or int(available.min())
        references = torch.zeros(len(chosen), self.static.channels, length)
        levels = self.levels.draw(len(chosen), rng)
        for row, (begin, end) in enumerate(self._spans(length, available, rng)):
            piece = self._speech(chosen[row], end - begin, speeds[row], rng)
            gain = 10 ** ((levels[row] - self._level(chosen[row])) / 20)
            references[row, :, begin : begin + piece.shape[-1]] = gain * piece
        mixture = references.sum(dim=0)
        scale = PEAK / max(PEAK, float(mixture.abs().max()), float(references.abs().max()))
        return Example(scale * mixture, scale * references, "+".join(self.manifest[int(self._numbers[i])].id for i in chosen))

    def _read_manifest(self) -> None:
        """Keep of the manifest numbers alone; utterances that are too short are left out."""
        path = self.manifest.path
        needed = math.ceil((self.static.segment or 1) * self.min_overlap * max(self.speeds))
        numbers, frames, speakers, levels = array("q"), array("q"), array("q"), array("d")
        known: dict[Any, int] = {}  # speakers to their numbers
        for number, item in enumerate(self.manifest):
            if item.sample_rate != self.static.sample_rate or item.channels != self.static.channels:
                raise UserError(
                    f"{path}: {item.id}: expected {self.static.sample_rate} Hz, {self.static.channels} channels as "
                    f"{self.static.name} has, found {item.sample_rate} Hz, {item.channels} channels"
                )
            if "speech" not in item.audio or "speaker" not in item.labels:
                raise UserError(f"{path}: {item.id}: expected a role `speech` and a label `speaker`, found {item}")
            if item.frames >= needed:
                level = item.labels.get(self.levels.label)
                numbers.append(number)
                frames.append(item.frames)
                speakers.append(known.setdefault(item.labels["speaker"], len(known)))
                levels.append(math.nan if level is None else self.levels.decibels(level))
        if len(known) < len(self.static.sources):
            raise UserError(
                f"{path}: expected {len(self.static.sources)} speakers with {needed / self.static.sample_rate:g} s or more of "
                f"speech, found {len(known)}. Next: a smaller --data.segment"
            )
        if short := len(self.manifest) - len(numbers):
            logger.info("%s: %d of %d utterances are too short, left out", path, short, len(self.manifest))
        self._numbers, self._frames, self._speakers = (np.frombuffer(one, np.int64) for one in (numbers, frames, speakers))
        self._levels = np.frombuffer(levels)

    def _choose(self, rng: np.random.Generator) -> np.ndarray:
        """Utterances (sources,), each by somebody else; all of them are equally likely."""
        chosen: list[int] = []
        while len(chosen) < len(self.static.sources):
            utterance = int(rng.integers(len(self._numbers)))
            if self._speakers[utterance] not in self._speakers[chosen]:
                chosen.append(utterance)
        return np.array(chosen)

    def _spans(self, length: int, available: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Begin and end of each source, so that all sound together for the wanted share of `length`."""
        common = min(math.ceil(self.min_overlap * length), int(available.min()))
        joint = int(rng.integers(length - common + 1))
        begins = [int(rng.integers(max(0, joint + common - a), joint + 1)) for a in available]
        return [
            (begin, int(rng.integers(joint + common, min(length, begin + a) + 1)))
            for begin, a in zip(begins, available.tolist(), strict=True)
        ]

    def _speech(self, utterance: int, length: int, speed: float, rng: np.random.Generator) -> Tensor:
        """A piece (channels, time) of an utterance from any place, up to `length` samples after the change of speed."""
        frames, path = int(self._frames[utterance]), self._path(utterance)
        if not self._checked[utterance]:
            check_file(path, audio.AudioInfo(frames, self.static.sample_rate, self.static.channels), self.manifest)
            self._checked[utterance] = True
        wanted = min(frames, math.ceil(length * speed))
        piece = audio.read(path, int(rng.integers(frames - wanted + 1)), wanted)
        return (piece if speed == 1 else change_speed(piece, speed))[:, :length]

    def _level(self, utterance: int) -> float:
        """Decibels of the whole utterance."""
        if math.isnan(self._levels[utterance]):
            power = float(audio.read(self._path(utterance)).square().mean())
            self._levels[utterance] = 10 * math.log10(max(power, SILENCE))
        return float(self._levels[utterance])

    def _path(self, utterance: int) -> str:
        return str(self.manifest.path_of(self.manifest[int(self._numbers[utterance])], "speech"))
