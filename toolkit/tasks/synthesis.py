"""Synthesis: a performance is played again, from its pitch and loudness or from its sound, to come near to how it sounded."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

import toolkit.blocks
import toolkit.models
import toolkit.tasks.tracker  # noqa: F401  (importing them lets a config name their classes)
from toolkit import audio
from toolkit.blocks.features import Feature
from toolkit.data import store
from toolkit.data.annotations import F0
from toolkit.data.examples import to_device
from toolkit.data.manifest import Item, Manifest
from toolkit.data.performances import Performance, PerformanceDataset
from toolkit.data.shards import Shuffle
from toolkit.dsp.resample import resample
from toolkit.log import UserError
from toolkit.losses.spectral import MultiScaleSpectral
from toolkit.losses.synthesis import SynthesisLoss
from toolkit.metrics import frechet, melody
from toolkit.metrics.spectral_distance import log_spectral_distance
from toolkit.metrics.summary import summarise
from toolkit.models.base import SynthesisModel
from toolkit.tasks.base import Examples, Task, trying_out
from toolkit.tasks.options import Training

PROBE, CHECK = 1.0, 0.2  # seconds that the model is described and checked with: recurrences are slow on the meta device
ESTIMATE, UNTRAINED = "estimate", "untrained"
SPECTRAL = ("multi_scale_spectral", "log_spectral_distance")  # metrics of waveforms; all others are those of pitch curves
DECIMALS = 3  # of stored pitches


@dataclass
class SynthesisData:
    """Which performances, and how batches are made of them.

    Args:
        train: manifest to train on, named below the data folder, e.g. ``urmp/ddx7/violin/train``.
        valid: manifest that chooses the best weights.
        test: manifest that results are reported on.
        waveform: the sound, at the model's rate.
        f0: pitch of each of the model's frames, Hz; null where the model reads the waveform alone.
        loudness: of each of the model's frames, dB; null likewise.
        batch_size: performances in a batch.
        segment: seconds of a training example, cut at a random place; null for whole recordings.
        workers: processes that load.
        shuffle: whether any training recording may follow any other, or shards of `waveform` are read one after another in a
            random order, a few of them mixed with each other: for stores that are larger than memory on a disk that is slow
            to read here and there.

    Raises:
        ValueError: `segment` is not above 0.
    """

    train: str
    valid: str
    test: str
    waveform: Feature
    f0: Feature | None
    loudness: Feature | None
    batch_size: int
    segment: float | None = None
    workers: int = 2
    shuffle: Shuffle = "examples"

    def __post_init__(self) -> None:
        if self.segment is not None and not self.segment > 0:
            raise ValueError(f"data.segment: expected more than 0 seconds, or null for whole recordings, found {self.segment}")


@dataclass
class SynthesisInfer:
    """How predictions are made.

    Args:
        untrained: store beside each estimate what the model made before it was trained, its weights drawn from the seed.
    """

    untrained: bool = True


@dataclass
class SynthesisScore:
    """What is measured.

    Args:
        metrics: of spectra, `multi_scale_spectral` (DDX7's loss) and `log_spectral_distance`; of the pitch, where the model
            estimates it and recordings are annotated, those of `toolkit.metrics.melody`: `rpa@50`, `rca@50`, ….
        embedding: in what space the Fréchet distance of the estimates to the training recordings is taken; null for none.
    """

    metrics: list[str] = field(default_factory=lambda: list(SPECTRAL))
    embedding: Callable[[], Feature] | None = None


@dataclass(kw_only=True)
class SynthesisConfig(Training):
    """Everything an experiment of this task is made of.

    Args:
        data: performances and batches.
        model: performance to sound (B, T).
        loss: what was rendered against what was played.
        infer: how predictions are made.
        score: what is measured.
        task: this task's name.
    """

    data: SynthesisData
    model: SynthesisModel
    loss: SynthesisLoss
    infer: SynthesisInfer = field(default_factory=SynthesisInfer)
    score: SynthesisScore = field(default_factory=SynthesisScore)
    task: Literal["synthesis"] = "synthesis"


class Synthesis(Task):
    """Resynthesis of recorded performances."""

    Config: ClassVar[type] = SynthesisConfig
    contract = "performance -> (B, T)"

    def __init__(self, config: SynthesisConfig) -> None:
        self.config = config
        self.model: SynthesisModel = config.model
        self._check_features()
        melody.check_names(self._pitch_metrics)
        # Kept from before any weights are loaded or learned.
        self._untrained = copy.deepcopy(config.model).eval() if config.infer.untrained else None
        self._performances: dict[str, PerformanceDataset] = {}

    def features(self) -> list[Feature]:
        """The sound, the curves that the model reads, and embeddings of the recordings that estimates are measured against."""
        c = self.config.data
        return [feature for feature in (c.waveform, c.f0, c.loudness, self.embedding) if feature is not None]

    @cached_property
    def embedding(self) -> Feature | None:
        """What Fréchet distances are taken in; built when it is first wanted, on a device where there are numbers."""
        return None if self.config.score.embedding is None else self.config.score.embedding()

    def made_with(self) -> list[str]:
        """The features that the model learns from by name, which tells what they were computed with."""
        c = self.config.data
        return [feature.name for feature in (c.waveform, c.f0, c.loudness) if feature is not None]

    def training(self, data: Path) -> Examples:
        """Performances, or a piece from any place of each."""
        c, hop = self.config.data, self.model.hop_length
        segment = None if c.segment is None else hop * max(1, round(c.segment * self.model.sample_rate / hop))
        return Examples(self._dataset(data, c.train, segment, c.shuffle), c.batch_size)

    def validation(self, data: Path) -> Examples:
        """Whole performances."""
        self._validation = self._dataset(data, self.config.data.valid)
        return Examples(self._validation, self.config.data.batch_size)

    def loss(self, model: nn.Module, batch: Performance) -> Tensor:
        """The configured loss of what the model renders."""
        return self.config.loss(model(batch), batch.waveform)

    def validate(self, model: nn.Module, batch: Performance) -> dict[str, Tensor]:
        """Loss with its parts, and the log-spectral distance (dB²)."""
        rendered = model(batch)
        loss = self.config.loss(rendered, batch.waveform)
        values = {name: value.expand(len(batch.ids)) for name, value in {"loss": loss, **self.config.loss.parts}.items()}
        return {**values, "log_spectral_distance": log_spectral_distance(batch.waveform, rendered.float())}

    def listen(self, model: nn.Module, device: torch.device) -> tuple[dict[str, Tensor], int]:
        """The first validation example, and what is made of it."""
        performance = self._validation.batch(0, [0])
        predictions = self.predict(model, to_device(performance, device), self.model.sample_rate)
        heard = {name: predictions[name] for name in (ESTIMATE, UNTRAINED) if name in predictions}
        return {"target": performance.waveform, **heard}, self.model.sample_rate

    def inputs(self, manifest: Manifest, item: Item) -> Performance:
        """What is stored of a recording, as a batch of one.

        Raises:
            UserError: nothing is stored of it.
        """
        name = manifest.name
        if name not in self._performances:
            self._performances[name] = self._dataset(manifest.data, name)
        performances = self._performances[name]
        number = performances.ids.find(item.id)
        if number is None:
            raise UserError(f"nothing is stored of {item.id} in one of its features. Next: see the log of the stage `features`")
        return performances.batch(0, [number])

    def predict(self, model: nn.Module, inputs: Performance, sample_rate: int) -> dict[str, Tensor]:
        """What is rendered of one performance, (1, T) at the model's rate, and the pitch (L,) where the model estimates it.

        `estimate` and `f0` are the model's, `untrained` and `untrained_f0` those of the model before training.
        """
        found = self._rendered(cast(SynthesisModel, model), inputs, ESTIMATE, "f0")
        if self._untrained is not None:
            found |= self._rendered(self._untrained.to(inputs.waveform.device), inputs, UNTRAINED, "untrained_f0")
        return found

    def store(self, folder: Path, item: Item, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """A WAV file of 32-bit floating point numbers for each sound; pitches stand in the item's line."""
        stored: dict[str, Any] = {"audio": {}}
        for name, values in predictions.items():
            if name in (ESTIMATE, UNTRAINED):
                stored["audio"][name] = f"{item.id}/{name}.wav"
                audio.write(folder / stored["audio"][name], values, self.model.sample_rate, subtype="FLOAT")
            else:
                stored[name] = torch.round(values.double().cpu(), decimals=DECIMALS).tolist()
        return stored

    def files_of(self, stored: dict[str, Any]) -> list[str]:
        """The WAV files."""
        return list(stored["audio"].values())

    def score(self, manifest: Manifest, item: Item, stored: dict[str, Any], folder: Path) -> dict[str, Any]:
        """The configured metrics of one performance.

        Returns:
            `id`; `metrics` of the estimate; `untrained`, those of what the model made before training.
        """
        path = manifest.path_of(item, self.config.data.waveform.role)
        rate = self.model.sample_rate
        target = torch.from_numpy(resample(audio.read(path).mean(0).numpy(), item.sample_rate, rate))
        row: dict[str, Any] = {"id": item.id}
        for name, key, pitch in ((ESTIMATE, "metrics", "f0"), (UNTRAINED, UNTRAINED, "untrained_f0")):
            if name in stored["audio"]:
                estimate = audio.read(folder / stored["audio"][name])[0]
                measured = self._spectral_metrics(target, estimate)
                row[key] = measured | self._melody_metrics(item.labels.get("f0"), stored.get(pitch))
        return row

    def summarise(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Every metric, aggregated over the recordings; those of the untrained model by `untrained/…`."""
        figures = summarise(rows)
        if UNTRAINED in rows[0]:
            before = summarise([{"id": row["id"], "metrics": row[UNTRAINED]} for row in rows])
            figures |= {f"{UNTRAINED}/{name}": value for name, value in before.items()}
        return {"metrics": figures}

    def compare(self, manifest: Manifest, stored: list[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Fréchet distances to the training recordings: of the estimates, the untrained model's, and the split's own sound."""
        embedding = self.embedding
        if embedding is None:
            return {}
        name = f"frechet_distance@{embedding.name.partition('/')[0]}"
        background = frechet.gaussian(_stored(manifest.data, embedding, self.config.data.train))
        real = frechet.gaussian(_stored(manifest.data, embedding, manifest.name))
        figures = {f"real/{name}": frechet.distance(real, background)}
        for kind, prefix in ((ESTIMATE, ""), (UNTRAINED, f"{UNTRAINED}/")):
            paths = [folder / row["audio"][kind] for row in stored if kind in row["audio"]]
            if paths:
                embedded = frechet.gaussian(self._embedded(embedding, paths))
                figures[prefix + name] = frechet.distance(embedded, background)
        return figures

    def probe(self) -> tuple[Performance, float]:
        """A second of a performance, on the meta device."""
        return self._probe(1, PROBE), PROBE

    def check(self) -> None:
        """See that the model renders every sample, on the meta device.

        Raises:
            UserError: it does not.
        """
        performance = self._probe(2, CHECK)
        with trying_out():
            rendered = self.model(performance)
        if rendered.shape != performance.waveform.shape:
            expected, found = tuple(performance.waveform.shape), tuple(rendered.shape)
            raise UserError(f"the model breaks its contract: expected {expected}, found {found}")

    @property
    def _pitch_metrics(self) -> list[str]:
        return [name for name in self.config.score.metrics if name not in SPECTRAL]

    def _check_features(self) -> None:
        """See that there is what the model reads, at its rate and in its frames."""
        c, model = self.config.data, self.model
        if c.waveform.sample_rate != model.sample_rate:
            found = c.waveform.sample_rate
            raise UserError(f"data.waveform: expected {model.sample_rate} Hz as model.sample_rate says, found {found} Hz")
        for name in ("f0", "loudness"):
            feature: Feature | None = getattr(c, name)
            if feature is None and name in model.reads:
                raise UserError(f"data.{name}: expected a feature, which {type(model).__name__} reads, found null")
            if feature is not None and feature.frame_rate != model.sample_rate / model.hop_length:
                wanted = f"{model.sample_rate / model.hop_length:g} frames a second, one for each hop of the model"
                raise UserError(f"data.{name}: expected {wanted}, found {feature.frame_rate}")

    def _dataset(self, data: Path, name: str, segment: int | None = None, shuffle: Shuffle = "examples") -> PerformanceDataset:
        c, manifest = self.config.data, Manifest.open(data / f"{name}.jsonl")
        features = (c.waveform, c.f0, c.loudness)
        seed = self.config.train.seed
        return PerformanceDataset(manifest, data, *features, self.model.hop_length, segment, seed, shuffle)

    def _probe(self, batch: int, seconds: float) -> Performance:
        hop = self.model.hop_length
        frames = round(seconds * self.model.sample_rate / hop)
        with torch.device("meta"):
            waveform, lengths = torch.empty(batch, frames * hop), torch.empty(batch, dtype=torch.int64)
            f0, loudness = (torch.empty(batch, frames if name in self.model.reads else 0) for name in ("f0", "loudness"))
        return Performance(waveform, f0, loudness, lengths, [""] * batch)

    @staticmethod
    def _rendered(model: SynthesisModel, performance: Performance, name: str, pitch: str) -> dict[str, Tensor]:
        found = {name: model(performance)[:, : int(performance.lengths[0])]}
        f0 = model.pitch(performance)
        return found if f0 is None else {**found, pitch: f0[0]}

    def _spectral_metrics(self, target: Tensor, estimate: Tensor) -> dict[str, float]:
        measures = {
            "multi_scale_spectral": lambda: MultiScaleSpectral()(estimate[None], target[None]),
            "log_spectral_distance": lambda: log_spectral_distance(target, estimate),
        }
        return {name: float(measures[name]()) for name in self.config.score.metrics if name in SPECTRAL}

    def _melody_metrics(self, label: dict[str, Any] | None, hertz: list[float] | None) -> dict[str, float]:
        if label is None or not label["hz"] or hertz is None or not self._pitch_metrics:
            return {}
        annotated, estimate = F0(**label), np.asarray(hertz)
        times = np.arange(len(estimate)) * (self.model.hop_length / self.model.sample_rate)
        return melody.evaluate(melody.align(annotated.times, np.asarray(annotated.hz), times, estimate), self._pitch_metrics)

    def _embedded(self, embedding: Feature, paths: list[Path]) -> Iterator[Tensor]:
        """Embeddings (L, D) of stored predictions, one after the other."""
        for path in paths:
            waveform = audio.read(path).mean(0).numpy()
            heard = torch.from_numpy(resample(waveform, self.model.sample_rate, embedding.sample_rate))
            yield embedding.compute(heard[None])[0].float() * embedding.scale


def _stored(data: Path, feature: Feature, name: str) -> Iterator[Tensor]:
    """A feature (L, D) of each recording of a manifest."""
    found = store.Store(store.folder_of(data, feature.name, name))
    for identity in found:
        yield torch.from_numpy(found.read(identity).astype("float32")) * feature.scale
