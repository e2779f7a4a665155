"""Pitch learned without labels: single frames of spectra, transposed and changed at random; whole recordings tracked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

import toolkit.blocks
import toolkit.models  # noqa: F401  (importing them lets a config name their classes)
from toolkit import audio
from toolkit.blocks.complex_spectrum import AccompanimentSpectrum, ComplexSpectrum
from toolkit.blocks.features import Feature, StoredSpectrum
from toolkit.blocks.frame_augment import BackgroundLevel, FrameAugmentation
from toolkit.blocks.pitch import SEMITONES, crop, decibels, shifted_crops
from toolkit.data.annotations import F0
from toolkit.data.examples import ExampleSource, to_device
from toolkit.data.frames import FrameBatch, FrameDataset
from toolkit.data.manifest import Item, Manifest
from toolkit.data.shards import Shuffle
from toolkit.dsp.resample import resample
from toolkit.log import UserError
from toolkit.losses.transposition import TranspositionLoss, Views
from toolkit.metrics import melody
from toolkit.metrics.summary import summarise
from toolkit.models.base import Pitch
from toolkit.models.pesto import PESTO
from toolkit.tasks.base import Examples, Lines, Seen, Task, drawing, trying_out
from toolkit.tasks.options import Training

CLEAN = "clean"
METRICS = ("rpa", "rca", "oa", "octave_errors")
OF_ALL_FRAMES, OF_UNVOICED = ("oa",), ("voicing_false_alarm",)  # what a metric is a share of, if not of the voiced frames
SEEN = 10.0  # seconds of pitch that are looked at while training goes on
QUIET = 1e-12  # power that less is counted as


@dataclass
class PitchData:
    """Which recordings, and how batches are made of their frames.

    Args:
        train: manifest to train on, named below the data folder, e.g. ``urmp/16000/train``.
        valid: manifest that chooses the best weights.
        test: manifest that results are reported on.
        batch_size: frames in a batch.
        augmentations: changes of the log spectra, one after the other.
        background: how loud the accompaniment is that is mixed with what is changed; null for none.
        workers: processes that load.
        shuffle: whether any training frame may follow any other, or shards of the spectra are read one after another in a
            random order, a few of them mixed with each other: for stores that are larger than memory on a disk that is slow
            to read here and there.
    """

    train: str
    valid: str
    test: str
    batch_size: int
    augmentations: list[FrameAugmentation] = field(default_factory=list)
    background: BackgroundLevel | None = None
    workers: int = 2
    shuffle: Shuffle = "examples"


@dataclass
class PitchInfer:
    """How predictions are made.

    Args:
        snr: dB; recordings are tracked once more with their accompaniment at each of these levels below them.
    """

    snr: list[float] = field(default_factory=list)


@dataclass
class PitchScore:
    """What is measured.

    Args:
        metrics: those of `toolkit.metrics.melody`, e.g. `rpa@50`.
        voiced: confidence from which on a frame is counted as voiced.
    """

    metrics: list[str] = field(default_factory=lambda: [f"{name}@{cents}" for cents in (50, 25) for name in METRICS])
    voiced: float = 0.5


@dataclass(kw_only=True)
class PitchConfig(Training):
    """Everything an experiment of this task is made of.

    Args:
        data: frames and batches.
        model: spectra to pitch.
        loss: of what the model makes of frames and of changed ones.
        infer: how predictions are made.
        score: what is measured.
        task: this task's name.
    """

    data: PitchData
    model: PESTO
    loss: TranspositionLoss
    infer: PitchInfer = field(default_factory=PitchInfer)
    score: PitchScore = field(default_factory=PitchScore)
    task: Literal["pitch"] = "pitch"


class PitchTracking(Task):
    """One voice in, its fundamental frequency out."""

    Config: ClassVar[type] = PitchConfig
    contract = "(N, F) -> (N, P)"

    def __init__(self, config: PitchConfig) -> None:
        self.config = config
        self.model: PESTO = config.model
        melody.check_names(config.score.metrics)

    @cached_property
    def _stored(self) -> tuple[Feature, Feature | None]:
        """What is stored of each recording, and of its accompaniment."""
        frontend = self.model.frontend
        if self.config.data.background is not None:
            return ComplexSpectrum(frontend), AccompanimentSpectrum(frontend)
        return StoredSpectrum(frontend, self.model.sample_rate, self.model.sample_rate / self.model.hop_length), None

    def features(self) -> list[Feature]:
        """The model's spectra, and the accompaniment's where it is mixed in."""
        return [feature for feature in self._stored if feature is not None]

    def made_with(self) -> list[str]:
        """The spectra by name, which tells what they were computed with."""
        return [feature.name for feature in self.features()]

    def training(self, data: Path) -> Examples:
        """Frames of all recordings, with or without pitch: labels are not looked at."""
        c = self.config.data
        return Examples(self._frames(data, c.train, c.shuffle), c.batch_size)

    def validation(self, data: Path) -> Examples:
        """Frames of all recordings."""
        return Examples(self._frames(data, self.config.data.valid), self.config.data.batch_size)

    def start_training(self, device: torch.device) -> None:
        """The averages of the gradients' norms go where the gradients are."""
        self.config.loss.to(device)

    def training_state(self) -> dict[str, Any]:
        """The averages of the gradients' norms."""
        return self.config.loss.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with these averages."""
        self.config.loss.load_state_dict(state)

    def start_validation(self, model: nn.Module) -> None:
        """Find the absolute pitch of these weights."""
        cast(PESTO, model).calibrate()

    def loss(self, model: nn.Module, batch: FrameBatch) -> Tensor:
        """The configured loss, its parts weighted by their gradients at the encoder's last layer."""
        return self.config.loss(self._views(model, batch), cast(Tensor, self.model.encoder.last.weight))

    def validate(self, model: nn.Module, batch: FrameBatch) -> dict[str, Tensor]:
        """The plain mean of all losses, and each of them, with the same transpositions each epoch; what the pitch is."""
        with drawing(0, batch.spectra.device):
            loss = self.config.loss(self._views(model, batch))
        values = {"loss": loss, **self.config.loss.parts}
        means = {name: value.expand(len(batch.ids)) for name, value in values.items()}
        found = cast(PESTO, model).read(self._spectra(batch)[0][None])
        return {**means, "pitch": torch.stack([batch.hertz, found.hertz[0].float()], dim=-1)}

    def measure(self, collected: dict[str, Tensor]) -> dict[str, float]:
        """The accuracy of the pitch of all frames, where it is known."""
        hertz, found = collected["pitch"].double().numpy().T
        known = ~np.isnan(hertz)
        if not known.any():
            return {}
        moments = np.arange(known.sum()) / 100.0  # any that rise: frames are compared one by one
        curves = melody.align(moments, hertz[known], moments, found[known])
        return melody.evaluate(curves, ["rpa@50", "rca@50"])

    def look(self, model: nn.Module, source: ExampleSource[FrameBatch], device: torch.device) -> dict[str, Seen]:
        """Pitch of the first frames, as it is annotated and as it is found."""
        frame_rate = self.model.sample_rate / self.model.hop_length
        count = min(round(SEEN * frame_rate), len(source))
        batch = to_device(source.batch(0, range(count)), device)
        found = cast(PESTO, model).read(self._spectra(batch)[0][None]).hertz[0]
        annotated = batch.hertz.masked_fill(batch.hertz == 0, torch.nan)
        moments = torch.arange(count) / frame_rate
        return {
            "pitch": Lines({"annotated": (moments, annotated), "found": (moments, found)}, "time (s)", "F0 (Hz)", dots=True)
        }

    def inputs(self, manifest: Manifest, item: Item) -> Tensor:
        """A recording as one channel at the model's rate, then it with its accompaniment at each level: (1 + levels, T).

        Raises:
            UserError: it cannot be read, or has no accompaniment where levels are asked for.
        """
        voice = self._waveform(manifest, item, "recording")
        if not self.config.infer.snr:
            return voice[None]
        if "accompaniment" not in item.audio:
            raise UserError(f"{manifest.path}: infer.snr: expected recordings with accompaniment, found {item.id} without")
        other = self._waveform(manifest, item, "accompaniment")[: len(voice)]
        other = torch.cat([other, other.new_zeros(len(voice) - len(other))])
        return torch.stack([voice, *(at_level(voice, other, snr) for snr in self.config.infer.snr)])

    def predict(self, model: nn.Module, inputs: Tensor, sample_rate: int) -> dict[str, Tensor]:
        """Pitch (L,) and confidence of one recording, by `clean/hertz`, `20/hertz` (with accompaniment at 20 dB), …."""
        found: dict[str, Tensor] = {}
        for name, waveform in zip(self._conditions, inputs, strict=True):
            pitch = cast(PESTO, model).track(waveform[None])
            found |= {f"{name}/{part}": values[0] for part, values in zip(Pitch._fields, pitch, strict=True)}
        return found

    def store(self, folder: Path, item: Item, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Everything stands in the item's line: the clean recording's at its top level, all else below `snr`."""
        curves: dict[str, dict[str, Any]] = {name: {} for name in self._conditions}
        for key, values in predictions.items():
            name, _, part = key.rpartition("/")
            curves[name][part] = torch.round(values.double().cpu(), decimals=4).tolist()
        hop = self.model.hop_length / self.model.sample_rate
        return {"hop_seconds": hop, **curves.pop(CLEAN), **({"snr": curves} if curves else {})}

    def score(self, manifest: Manifest, item: Item, stored: dict[str, Any], folder: Path) -> dict[str, Any]:
        """The configured metrics of one recording; none where it is not annotated.

        Returns:
            `id`, `metrics`, `counts` of frames and of voiced ones; below `snr`, `metrics` and `counts` by dB.
        """
        label = item.labels.get("f0")
        row: dict[str, Any] = {"id": item.id, **self._measured(label, stored, stored["hop_seconds"])}
        levels = {name: self._measured(label, curve, stored["hop_seconds"]) for name, curve in stored.get("snr", {}).items()}
        return {**row, "snr": levels} if levels else row

    def summarise(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Every metric, aggregated over the recordings (`rpa@50/mean`), and of all their frames as one (`rpa@50/frames`).

        With accompaniment: `rpa@50/frames/20dB`.
        """
        figures = {**summarise(rows), **of_all_frames(rows)}
        for name in rows[0].get("snr", {}):
            levels = [{"id": row["id"], **row["snr"][name]} for row in rows]
            mixed = {**summarise(levels), **of_all_frames(levels)}
            figures |= {f"{metric}/{name}dB": value for metric, value in mixed.items()}
        return {"metrics": figures}

    def probe(self) -> tuple[Tensor, float]:
        """A second of frames, on the meta device."""
        frames = self.model.sample_rate // self.model.hop_length
        return torch.empty(frames, self.model.encoder.bins, device="meta"), 1.0

    def check(self) -> None:
        """See that the model gives logits of the pitches, on the meta device.

        Raises:
            UserError: it does not.
        """
        frames, _ = self.probe()
        with trying_out():
            logits = self.model(frames)
        if logits.shape != (len(frames), self.model.encoder.pitches) or logits.shape[1] % SEMITONES:
            expected = f"({len(frames)}, a multiple of {SEMITONES})"
            raise UserError(f"the model breaks its contract: expected {expected}, found {tuple(logits.shape)}")

    @property
    def _conditions(self) -> list[str]:
        return [CLEAN, *(f"{snr:g}" for snr in self.config.infer.snr)]

    def _frames(self, data: Path, name: str, shuffle: Shuffle = "examples") -> FrameDataset:
        return FrameDataset(Manifest.open(data / f"{name}.jsonl"), data, *self._stored, shuffle)

    def _spectra(self, batch: FrameBatch) -> tuple[Tensor, Tensor]:
        """Log spectra (B, F), and the same with accompaniment."""
        level = self.config.data.background
        if level is None:
            return batch.spectra, batch.spectra
        factors = level.draw(len(batch.spectra), batch.spectra.device)[:, None, None]
        mixed = batch.spectra + factors * batch.background
        return decibels(torch.view_as_complex(batch.spectra)), decibels(torch.view_as_complex(mixed))

    def _views(self, model: nn.Module, batch: FrameBatch) -> Views:
        plain, mixed = self._spectra(batch)
        widest = self.model.widest
        same, transposed, steps = shifted_crops(mixed, widest)
        for augmentation in self.config.data.augmentations:
            same, transposed = augmentation(same), augmentation(transposed)
        seen = torch.cat([crop(plain, widest), same, transposed])
        first, second, third = model(seen).float().softmax(-1).chunk(3)
        return Views(first, second, third, steps)

    def _waveform(self, manifest: Manifest, item: Item, role: str) -> Tensor:
        samples = audio.read(manifest.path_of(item, role)).mean(0).numpy()
        return torch.from_numpy(resample(samples, item.sample_rate, self.model.sample_rate))

    def _measured(self, label: dict[str, Any] | None, curve: dict[str, Any], hop_seconds: float) -> dict[str, Any]:
        if label is None or not label["hz"]:
            return {"metrics": {}, "counts": {"frames": 0, "voiced": 0}}
        annotated = F0(**label)
        hertz, confidence = np.asarray(curve["hertz"]), np.asarray(curve["confidence"])
        thought = np.where(confidence >= self.config.score.voiced, hertz, -hertz)  # below 0: a pitch, in case there is one
        curves = melody.align(annotated.times, np.asarray(annotated.hz), hop_seconds * np.arange(len(hertz)), thought)
        counts = {"frames": len(curves.voicing), "voiced": int((curves.voicing > 0).sum())}
        return {"metrics": melody.evaluate(curves, self.config.score.metrics), "counts": counts}


def at_level(voice: Tensor, other: Tensor, snr: float) -> Tensor:
    """A voice (T,) with something else, whose mean power over the whole is `snr` dB below the voice's."""
    powers = [waveform.square().mean().clamp(min=QUIET) for waveform in (voice, other)]
    return voice + other * (powers[0] / powers[1] / 10 ** (snr / 10)).sqrt()


def of_all_frames(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The metrics of all recordings' frames as one recording's, `rpa@50/frames`: means, each weighing what it is a share of."""
    figures = {}
    for metric in dict.fromkeys(name for row in rows for name in row["metrics"]):
        known = [row for row in rows if metric in row["metrics"]]
        weights = [_weight(metric, row["counts"]) for row in known]
        total = sum(row["metrics"][metric] * weight for row, weight in zip(known, weights, strict=True))
        figures[f"{metric}/frames"] = total / sum(weights) if sum(weights) else float("nan")
    return figures


def _weight(metric: str, counts: dict[str, int]) -> int:
    name = metric.partition("@")[0]
    if name in OF_ALL_FRAMES:
        return counts["frames"]
    return counts["frames"] - counts["voiced"] if name in OF_UNVOICED else counts["voiced"]
