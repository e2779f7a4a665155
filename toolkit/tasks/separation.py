"""Separation: a mixture in, its sources out, trained and scored against the references the mixture was made of."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

import toolkit.blocks
import toolkit.data.mixing
import toolkit.data.stems
import toolkit.models  # noqa: F401  (importing them lets a config name their classes)
from toolkit import audio, progress
from toolkit.audio import Recording
from toolkit.data.examples import Batch, Mixing
from toolkit.data.manifest import Item, Manifest
from toolkit.data.segments import SegmentDataset
from toolkit.dsp.chunks import Chunking
from toolkit.log import UserError, suggestion
from toolkit.losses import Penalty, SeparationLoss, WeightedPairs
from toolkit.metrics import separation as metrics
from toolkit.metrics import si_sdr
from toolkit.metrics.summary import summarise
from toolkit.models.base import SeparationModel
from toolkit.tasks import streaming
from toolkit.tasks.base import Examples, Task, trying_out
from toolkit.tasks.options import InferOptions, ScoreOptions, Training

PROBE = 4.0  # seconds that a summary is made of where the configuration takes whole recordings
CHECK_SAMPLES = 4001  # an odd length, long enough for any window


@dataclass
class SeparationData:
    """Which mixtures, and how batches are made of them.

    Args:
        train: manifest to train on, named below the data folder, e.g. ``wsj0-2mix/8k/min/tr``.
        valid: manifest that chooses the best weights.
        test: manifest that results are reported on.
        sample_rate: Hz that the manifests must have.
        segment: seconds of a training example, cut at a random place; null for whole recordings.
        batch_size: training examples in a batch.
        valid_segment: seconds of a validation example, cut from the middle; null for whole recordings, one at a time.
        drop_short: leave out training recordings shorter than `segment`, as Asteroid does; else they are padded with zeros.
        mixing: makes mixtures anew instead of reading those of `train`.
        workers: processes that load.
        sources: what is separated, in the estimates' order: roles of the manifests, or names with the roles (stems) that are
            summed for each of them; null for all roles there are, whose order is not known.
        normalize: bring each recording to mean 0 and deviation 1 of its channels' mean before the model, and back afterwards
            (Demucs, version 2).
        downmix: train and validate on the mean of the channels.

    Raises:
        ValueError: an option is out of its range, or `mixing` has no `segment`.
    """

    train: str
    valid: str
    test: str
    sample_rate: int
    segment: float | None
    batch_size: int
    valid_segment: float | None = None
    drop_short: bool = True
    mixing: Callable[[Path, SegmentDataset, int], Mixing] | None = None
    workers: int = 2
    sources: list[str] | dict[str, list[str]] | None = None
    normalize: bool = False
    downmix: bool = False

    def __post_init__(self) -> None:
        if self.sample_rate < 1:
            raise ValueError(f"data.sample_rate: expected 1 Hz or more, found {self.sample_rate}")
        for name, seconds in (("segment", self.segment), ("valid_segment", self.valid_segment)):
            if seconds is not None and not 1 <= seconds * self.sample_rate < math.inf:
                raise ValueError(f"data.{name}: expected at least one sample, or null for whole recordings, found {seconds} s")
        if any(not stems for stems in self.groups.values()):
            raise ValueError("data.sources: expected a stem for each, found one without any")
        if self.mixing is not None and self.segment is None:
            raise ValueError("data.mixing: expected a data.segment to make mixtures of, found null")

    @property
    def groups(self) -> dict[str, list[str]]:
        """The sources' names with the stems that are summed for each; empty if they have no names."""
        return self.sources if isinstance(self.sources, dict) else {name: [name] for name in self.sources or []}


@dataclass(kw_only=True)
class SeparationConfig(Training):
    """Everything an experiment of this task is made of.

    Args:
        data: mixtures and batches.
        model: mixture (B, C, T) to estimate (B, S, C, T).
        loss: estimate and reference to loss per example.
        penalties: on the model's weights, added to the loss.
        infer: how predictions are made.
        score: what is measured.
        task: this task's name.
    """

    data: SeparationData
    model: SeparationModel
    loss: SeparationLoss
    penalties: list[Penalty] = field(default_factory=list)
    infer: InferOptions = field(default_factory=InferOptions)
    score: ScoreOptions = field(default_factory=ScoreOptions)
    task: Literal["separation"] = "separation"


class Separation(Task):
    """Source separation of whatever the manifests hold: speakers, stems, instruments."""

    Config: ClassVar[type] = SeparationConfig
    contract = "(B, C, T) -> (B, S, C, T)"

    def __init__(self, config: SeparationConfig) -> None:
        self.config = config
        self.model: SeparationModel = config.model
        self.stems: list[str] = []  # in the order of the examples' references
        metrics.check_names(config.score.metrics)

    def training(self, data: Path) -> Examples:
        """Random crops of stored mixtures, or as many mixtures made on the fly."""
        c, seed = self.config.data, self.config.train.seed
        stored = self._segments(data, c.train, c.segment, seed=seed, drop_short=c.drop_short)
        return Examples(stored if c.mixing is None else c.mixing(data, stored, seed), c.batch_size)

    def validation(self, data: Path) -> Examples:
        """Whole mixtures, or a piece from the middle of each."""
        c = self.config.data
        self._validation = stored = self._segments(data, c.valid, c.valid_segment, crop="centre", drop_short=False)
        return Examples(stored, 1 if c.valid_segment is None else c.batch_size)

    def prepare_training(self, data: Path) -> None:
        """Let a model that is initialised from the training mixtures see each of them, whole."""
        if not self.model.needs_statistics:
            return
        manifest = Manifest.open(data / f"{self.config.data.train}.jsonl")
        device = next(self.model.parameters()).device
        items = progress.track(manifest, "statistics of the training mixtures")
        self.model.fit_statistics(self._prepared(self.inputs(manifest, item).to(device)) for item in items)

    def start_epoch(self, epoch: int) -> None:
        """Let the loss follow its schedule."""
        self.config.loss.start_epoch(epoch)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The configured loss of what the model makes of the mixtures."""
        mixture, references = self._arrange(batch)
        estimate, scores = _outputs(model(mixture))
        return self.config.loss(estimate, self.model.target(references), scores)

    def penalty(self) -> Tensor | None:
        """The model's own and the configured ones."""
        own = self.model.penalty()
        penalties = [penalty(self.model) for penalty in self.config.penalties] + ([] if own is None else [own])
        return torch.stack(penalties).sum() if penalties else None

    def validate(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Loss and, of a model that estimates waveforms, the improvement of SI-SDR (dB) in the order the loss assigns."""
        mixture, references = self._arrange(batch)
        estimate, scores = _outputs(model(mixture))
        target = self.model.target(references)
        values = {"loss": self.config.loss(estimate, target, scores)}
        if target.ndim == references.ndim:
            order = self.config.loss.assign(estimate, target, scores)
            matched = torch.take_along_dim(estimate, order[:, :, None, None], dim=1)
            before = si_sdr(self.model.target(mixture[:, None].expand_as(references)), target)
            values["si_sdr_improvement"] = (si_sdr(matched, target) - before).flatten(1).nanmean(1)
        return values

    def listen(self, model: nn.Module, device: torch.device) -> tuple[dict[str, Tensor], int]:
        """The first validation example and what is made of it."""
        mixture, sample_rate = self._validation.example(0, 0).mixture, self.config.data.sample_rate
        return {"mixture": mixture, **self.predict(model, mixture.to(device), sample_rate)}, sample_rate

    @property
    def sources(self) -> list[str]:
        """The names of what comes out: those of `data.sources`, else `s1`, `s2`, …"""
        return list(self.config.data.groups) or [f"s{number}" for number in range(1, self.model.sources + 1)]

    def inputs(self, manifest: Manifest, item: Item) -> Tensor:
        """The mixture (C, T)."""
        return audio.read(manifest.path_of(item, "mixture"))

    def predict(self, model: nn.Module, inputs: Tensor, sample_rate: int) -> dict[str, Tensor]:
        """The sources, by their names, of a recording (C, T) of any rate and number of channels, at that rate."""
        estimates = self.stream(model, Recording.of_waveform(inputs, sample_rate), self.config.infer)
        return dict(zip(self.sources, torch.cat(list(estimates), dim=-1), strict=True))

    def stream(self, model: nn.Module, recording: Recording, options: InferOptions, jobs: int = 1) -> Iterator[Tensor]:
        """The same of a recording of any length, block by block.

        Args:
            model: this task's, or a copy of it with other weights.
            recording: at least one sample.
            options: the configuration's, or others.
            jobs: chunks separated at a time.

        Yields:
            Estimates (S, C, t) in the order of `sources`.
        """
        data = self.config.data
        chunking = Chunking(
            chunk=None if options.chunk is None else round(options.chunk * data.sample_rate),
            overlap=options.overlap,
            align=not data.groups,
            shifts=options.shifts,
            longest_shift=round(streaming.LONGEST_SHIFT * data.sample_rate),
            jobs=jobs,
        )
        return streaming.stream(cast(SeparationModel, model), recording, data.sample_rate, chunking, data.normalize)

    def store(self, folder: Path, item: Item, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """A WAV file of 32-bit floating point numbers for each source."""
        stored = {}
        for role, waveform in predictions.items():
            stored[role] = f"{item.id}/{role}.wav"
            audio.write(folder / stored[role], waveform, item.sample_rate, subtype="FLOAT")
        return {"audio": stored}

    def files_of(self, stored: dict[str, Any]) -> list[str]:
        """The WAV files."""
        return list(stored["audio"].values())

    def score(self, manifest: Manifest, item: Item, stored: dict[str, Any], folder: Path) -> dict[str, Any]:
        """The configured metrics of one mixture, each source against its reference.

        Returns:
            `id`; `sources`, the metrics of each; `metrics`, their means; `assignment`, the prediction that each source got;
            `named`, the sources whose mean counts, if they have names; `frames`, the values of those metrics that have one for
            each second.
        """
        mixture = audio.read(manifest.path_of(item, "mixture"))
        names = list(self.config.data.groups)
        groups = self.config.data.groups or {role: [role] for role in item.sources}
        references = read_references(manifest, item, groups)
        roles = names or list(stored["audio"])
        estimates = torch.stack([audio.read(folder / stored["audio"][role]) for role in roles])
        measured = metrics.evaluate(
            mixture, references, estimates, item.sample_rate, self.config.score.metrics, permute=not names, names=names
        )
        sources, frames = (dict(zip(groups, values, strict=True)) for values in (measured.sources, measured.frames))
        if measured.accompaniment is not None:
            sources[metrics.ACCOMPANIMENT], frames[metrics.ACCOMPANIMENT] = measured.accompaniment
        row = {"id": item.id, "sources": sources, "metrics": measured.means}
        row["assignment"] = [roles[index] for index in measured.assignment]
        return row | ({"named": names} if names else {}) | ({"frames": frames} if any(frames.values()) else {})

    def summarise(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Every metric, aggregated over the recordings."""
        return {"metrics": summarise(rows)}

    def probe(self) -> tuple[Tensor, float]:
        """A mixture as in training, of four seconds where training takes whole ones."""
        seconds, model = self.config.data.segment or PROBE, self.model
        samples = model.input_length(round(seconds * self.config.data.sample_rate))
        return torch.empty(1, model.audio_channels, samples, device="meta"), seconds

    def check(self) -> None:
        """See that the model estimates what its `target` is, (B, S, C, T) if nothing else, on the meta device.

        Raises:
            UserError: it does not, or has another number of sources than the data.
        """
        model = self.model
        if self.config.data.groups:
            self._check_sources()
        samples = model.input_length(CHECK_SAMPLES)
        mixture = torch.empty(2, model.audio_channels, samples, device="meta")
        references = torch.empty(2, model.sources, model.audio_channels, samples, device="meta")
        with trying_out():
            estimate, _ = _outputs(model(mixture))
            expected = model.target(references)
        if estimate.shape != expected.shape:
            raise UserError(
                f"the model breaks its contract: expected {tuple(expected.shape)} from {tuple(mixture.shape)}, "
                f"found {tuple(estimate.shape)}"
            )

    def _check_sources(self) -> None:
        names = list(self.config.data.groups)
        if len(names) != self.model.sources:
            raise UserError(f"the model has {self.model.sources} sources, data.sources names {len(names)}: {', '.join(names)}")

    def _segments(self, data: Path, name: str, segment: float | None, **options: Any) -> SegmentDataset:
        rate = self.config.data.sample_rate
        if segment is not None:
            segment = self.model.input_length(round(segment * rate)) / rate
        manifest = Manifest.open(data / f"{name}.jsonl")
        stored = SegmentDataset(manifest, segment, sample_rate=rate, normalize=self.config.data.normalize, **options)
        if not self.config.data.downmix and stored.channels != self.model.audio_channels:
            raise UserError(
                f"{manifest.path}: expected {self.model.audio_channels} channels, as the model has, found {stored.channels}. "
                f"Next: --model.audio_channels {stored.channels} if it can be changed"
                + (", or --data.downmix true" if self.model.audio_channels == 1 else "")
            )
        self.stems = stored.sources
        for stem in (stem for stems in self.config.data.groups.values() for stem in stems):
            if stem not in self.stems:
                raise UserError(
                    f"data.sources: expected stems of {manifest.path} ({', '.join(self.stems)}), found {stem!r}"
                    f"{suggestion(stem, self.stems)}"
                )
        if not self.config.data.groups:
            self._check_number(manifest)
        return stored

    def _check_number(self, manifest: Manifest) -> None:
        """See that the loss takes as many estimates as the model gives, for as many sources as the mixtures have."""
        loss, found = self.config.loss, len(self.stems)
        if isinstance(loss, WeightedPairs):
            try:
                loss.choose(torch.zeros(1, self.model.sources, found))
            except ValueError as error:
                raise UserError(f"{manifest.path}: {error}. Next: --model.sources {found}") from error

    def _arrange(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mixtures (B, C, T), and the references (B, S, C, T) summed from stems as `data.sources` says."""
        mixture, references = batch.mixture, batch.references
        groups = self.config.data.groups
        if groups and list(groups.values()) != [[stem] for stem in self.stems]:
            rows = [[self.stems.index(stem) for stem in stems] for stems in groups.values()]
            references = torch.stack([references[:, stems].sum(1) for stems in rows], dim=1)
        if self.config.data.downmix:
            mixture, references = mixture.mean(1, keepdim=True), references.mean(2, keepdim=True)
        return mixture, references

    def _prepared(self, mixture: Tensor) -> Tensor:
        """A whole mixture (C, T) as the model hears it in training."""
        if self.config.data.normalize:
            mixture = (mixture - mixture.mean()) / (mixture.mean(0).std() + streaming.SILENCE)
        return mixture.mean(0, keepdim=True) if self.config.data.downmix else mixture


def read_references(manifest: Manifest, item: Item, groups: dict[str, list[str]]) -> Tensor:
    """What a mixture is to be separated into, (S, C, T).

    Args:
        manifest: that the mixture stands in.
        item: the mixture.
        groups: of each source, the stems that are summed for it.

    Raises:
        UserError: a stem is missing, or cannot be read.
    """
    return torch.stack(
        [torch.stack([audio.read(manifest.path_of(item, stem)) for stem in stems]).sum(0) for stems in groups.values()]
    )


def _outputs(output: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor | None]:
    """A model gives its estimate, or its estimate and the scores of its hypotheses."""
    return output if isinstance(output, tuple) else (output, None)
