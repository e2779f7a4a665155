"""Separation: a mixture in, its sources out, trained and scored against the references the mixture was made of."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

import toolkit.blocks
import toolkit.models  # noqa: F401  (importing them lets a config name their classes)
from toolkit import audio
from toolkit.data.examples import Batch
from toolkit.data.manifest import Item, Manifest
from toolkit.data.mixing import DynamicMixing
from toolkit.data.segments import SegmentDataset
from toolkit.dsp.chunks import in_chunks
from toolkit.dsp.resample import resample
from toolkit.log import UserError
from toolkit.losses import SeparationLoss
from toolkit.metrics import separation as metrics
from toolkit.metrics import si_sdr
from toolkit.models.base import SeparationModel
from toolkit.tasks.base import Examples, Task
from toolkit.tasks.options import InferOptions, ScoreOptions, TrainOptions

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
    """

    train: str
    valid: str
    test: str
    sample_rate: int
    segment: float | None
    batch_size: int
    valid_segment: float | None = None
    drop_short: bool = True
    mixing: Callable[[Path, SegmentDataset, int], DynamicMixing] | None = None
    workers: int = 2


@dataclass
class SeparationConfig:
    """Everything an experiment of this task is made of.

    Args:
        data: mixtures and batches.
        model: mixture (B, C, T) to estimate (B, S, C, T).
        loss: estimate and reference to loss per example.
        optimizer: class and options, built over the model's parameters.
        schedule: of the learning rate, stepped at each epoch's end.
        train: how the model is trained.
        infer: how predictions are made.
        score: what is measured.
        task: this task's name.
    """

    data: SeparationData
    model: SeparationModel
    loss: SeparationLoss
    optimizer: Callable[[Iterable], Optimizer]
    schedule: Callable[[Optimizer], LRScheduler] | None = None
    train: TrainOptions = field(default_factory=TrainOptions)
    infer: InferOptions = field(default_factory=InferOptions)
    score: ScoreOptions = field(default_factory=ScoreOptions)
    task: Literal["separation"] = "separation"


class Separation(Task):
    """Source separation of whatever the manifests hold: speakers, stems, instruments."""

    Config = SeparationConfig

    def __init__(self, config: SeparationConfig) -> None:
        self.config = config
        self.model: SeparationModel = config.model
        metrics.check_names(config.score.metrics)

    def training(self, data: Path) -> Examples:
        """Random crops of stored mixtures, or as many mixtures made on the fly."""
        c, seed = self.config.data, self.config.train.seed
        stored = self._segments(data, c.train, c.segment, seed=seed, drop_short=c.drop_short)
        return Examples(stored if c.mixing is None else c.mixing(data, stored, seed), c.batch_size)

    def validation(self, data: Path) -> Examples:
        """Whole mixtures, or a piece from the middle of each."""
        c = self.config.data
        stored = self._segments(data, c.valid, c.valid_segment, crop="centre", drop_short=False)
        return Examples(stored, 1 if c.valid_segment is None else c.batch_size)

    def start_epoch(self, epoch: int) -> None:
        """Let the loss follow its schedule."""
        self.config.loss.start_epoch(epoch)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The configured loss of what the model makes of the mixtures."""
        estimate, scores = _outputs(model(batch.mixture))
        return self.config.loss(estimate, batch.references, scores)

    def validate(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Loss, and the improvement of SI-SDR (dB) in the order the loss assigns."""
        estimate, scores = _outputs(model(batch.mixture))
        loss = self.config.loss(estimate, batch.references, scores)
        order = self.config.loss.assign(estimate, batch.references, scores)
        matched = torch.take_along_dim(estimate, order[:, :, None, None], dim=1)
        before = si_sdr(batch.mixture[:, None].expand_as(batch.references), batch.references)
        improvement = si_sdr(matched, batch.references) - before
        return {"loss": loss, "si_sdr_improvement": improvement.flatten(1).mean(1)}

    def predict(self, model: nn.Module, mixture: Tensor, sample_rate: int) -> dict[str, Tensor]:
        """Sources `s1`, `s2`, … of a recording (C, T) of any rate; more channels than the model's are separated one by one."""
        rate, options = self.config.data.sample_rate, self.config.infer
        inside = _resample(mixture, sample_rate, rate)
        chunk = None if options.chunk is None else round(options.chunk * rate)
        estimates = [
            in_chunks(lambda piece: _outputs(model(piece))[0], channel[None], chunk, options.overlap)[0]
            for channel in inside.split(self.model.audio_channels)
        ]
        estimate = _resample(torch.cat(estimates, dim=1), rate, sample_rate)[..., : mixture.shape[-1]]
        return {f"s{number}": waveform for number, waveform in enumerate(estimate, 1)}

    def score(self, manifest: Manifest, item: Item, predictions: dict[str, Path]) -> dict[str, Any]:
        """The configured metrics of one mixture, each source against its reference."""
        mixture = audio.read(manifest.path_of(item, "mixture"))
        references = torch.stack([audio.read(manifest.path_of(item, role)) for role in item.sources])
        estimates = torch.stack([audio.read(path) for path in predictions.values()])
        measured = metrics.evaluate(mixture, references, estimates, item.sample_rate, self.config.score.metrics)
        sources = dict(zip(item.sources, measured.sources, strict=True))
        assignment = [list(predictions)[index] for index in measured.assignment]
        return {"id": item.id, "sources": sources, "metrics": measured.means, "assignment": assignment}

    def check(self) -> None:
        """See that the model keeps its contract (B, C, T) -> (B, S, C, T), on the meta device."""
        mixture = torch.empty(2, self.model.audio_channels, CHECK_SAMPLES, device="meta")
        try:
            estimate, _ = _outputs(self.model(mixture))
        except (RuntimeError, ValueError) as error:
            raise UserError(f"the model cannot be put together: {' '.join(str(error).split())}") from error
        expected = (2, self.model.sources, *mixture.shape[1:])
        if tuple(estimate.shape) != expected:
            raise UserError(
                f"the model breaks its contract: expected {expected} from {tuple(mixture.shape)}, found {tuple(estimate.shape)}"
            )

    def _segments(self, data: Path, name: str, segment: float | None, **options: Any) -> SegmentDataset:
        manifest = Manifest.open(data / f"{name}.jsonl")
        return SegmentDataset(manifest, segment, sample_rate=self.config.data.sample_rate, **options)


def _outputs(output: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor | None]:
    """A model gives its estimate, or its estimate and the scores of its hypotheses."""
    return output if isinstance(output, tuple) else (output, None)


def _resample(waveform: Tensor, sample_rate: int, new_sample_rate: int) -> Tensor:
    if sample_rate == new_sample_rate:
        return waveform
    return torch.from_numpy(resample(waveform.cpu().numpy(), sample_rate, new_sample_rate)).to(waveform)
