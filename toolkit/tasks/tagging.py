"""Tagging: a recording in, a probability for each tag out; trained on labels of which many may be missing."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

import toolkit.blocks
import toolkit.models
import toolkit.tasks.teacher  # noqa: F401  (importing them lets a config name their classes)
from toolkit import files
from toolkit.blocks.features import Feature, Waveform
from toolkit.blocks.mixup import Mixup
from toolkit.data import clips, store
from toolkit.data.clips import Ambiguous, ClipBatch, ClipDataset
from toolkit.data.examples import ExampleSource, to_device
from toolkit.data.manifest import Item, Manifest
from toolkit.data.shards import Shuffle
from toolkit.log import UserError
from toolkit.losses.tagging import BinaryCrossEntropy, Labelled, TaggingLoss
from toolkit.metrics import tagging as metrics
from toolkit.models.base import TaggingModel
from toolkit.models.tagger import Tagger
from toolkit.models.taps import tap
from toolkit.tasks.base import Cells, Examples, Seen, Task, trying_out
from toolkit.tasks.options import Training

PROBE = 10.0  # seconds of audio that the model is checked with where the configuration takes whole clips
DECIMALS = 6  # of stored probabilities
TAGS = "tags.json"
SEEN = 12  # clips whose probabilities are looked at while training goes on


@dataclass
class TaggingData:
    """Which clips, and how batches are made of them.

    Args:
        train: manifest to train on, named below the data folder, e.g. ``openmic2018/attention_mil/train``.
        valid: manifest that chooses the best weights.
        test: manifest that results are reported on.
        input: what the model reads of a recording.
        batch_size: clips in a batch.
        segment: seconds of a training example, cut at a random place; null for whole clips.
        ambiguous: what a rating of exactly 0.5 counts as.
        teacher: whose stored embeddings go with each clip; null for none.
        mixup: alpha of the beta distribution by which training clips are mixed; 0 for none.
        workers: processes that load.
        shuffle: whether any training clip may follow any other, or shards of `input` are read one after another in a random
            order, a few of them mixed with each other: for stores that are larger than memory on a disk that is slow to read
            here and there.

    Raises:
        ValueError: an option is out of its range, or `segment` does not go with the features.
    """

    train: str
    valid: str
    test: str
    input: Feature
    batch_size: int
    segment: float | None = None
    ambiguous: Ambiguous = "dropped"
    teacher: Feature | None = None
    mixup: float = 0.0
    workers: int = 2
    shuffle: Shuffle = "examples"

    def __post_init__(self) -> None:
        if self.segment is not None and not self.segment > 0:
            raise ValueError(f"data.segment: expected more than 0 seconds, or null for whole clips, found {self.segment}")
        if not self.mixup >= 0:
            raise ValueError(f"data.mixup: expected 0 for none, or more, found {self.mixup}")
        if self.segment is not None and self.input.frame_rate is None:
            raise ValueError("data.segment: expected null, as the feature data.input has one vector a clip")
        if self.segment is not None and self.teacher is not None:
            raise ValueError("data.segment: expected null where there is a data.teacher, whose embeddings are of whole clips")

    def frames(self, seconds: float) -> int:
        """Frames of the input in so many seconds."""
        return max(1, round(seconds * (self.input.frame_rate or 0.0)))


@dataclass
class TaggingInfer:
    """How predictions are made.

    Args:
        chunk: seconds that the model hears at once, zeros behind a shorter clip; null for whole clips.
        chunks: so many, from beginnings spread evenly over a clip, are heard, and the mean of their probabilities counts.

    Raises:
        ValueError: a number is out of its range, or there are several chunks of no length.
    """

    chunk: float | None = None
    chunks: int = 1

    def __post_init__(self) -> None:
        if self.chunk is not None and not self.chunk > 0:
            raise ValueError(f"infer.chunk: expected more than 0 seconds, or null for whole clips, found {self.chunk}")
        if self.chunks < 1 or (self.chunk is None and self.chunks > 1):
            raise ValueError(f"infer.chunks: expected 1, or more with infer.chunk, found {self.chunks}")


@dataclass
class TaggingScore:
    """What is measured.

    Args:
        metrics: `average_precision`, `roc_auc`, and `f1`, `precision`, `recall` at a threshold: `f1@0.5`.
    """

    metrics: list[str] = field(default_factory=lambda: ["average_precision", "roc_auc"])


@dataclass(kw_only=True)
class TaggingConfig(Training):
    """Everything an experiment of this task is made of.

    Args:
        data: clips and batches.
        model: what is read of a clip to logits (B, K).
        loss: logits against labels.
        infer: how predictions are made.
        score: what is measured.
        task: this task's name.
    """

    data: TaggingData
    model: TaggingModel
    loss: TaggingLoss
    infer: TaggingInfer = field(default_factory=TaggingInfer)
    score: TaggingScore = field(default_factory=TaggingScore)
    task: Literal["tagging"] = "tagging"


class Tagging(Task):
    """Multi-label classification of clips whose labels may be known in part."""

    Config: ClassVar[type] = TaggingConfig
    contract = "(B, T) or (B, L, D) -> (B, K)"

    def __init__(self, config: TaggingConfig) -> None:
        self.config = config
        self.model: TaggingModel = config.model
        self.tags: list[str] = []  # known from the manifest of the training clips
        self._stores: dict[str, store.Store] = {}
        metrics.check_names(config.score.metrics)
        if config.loss.needs_teacher and config.data.teacher is None:
            raise UserError(f"data.teacher: expected whose embeddings {type(config.loss).__name__} shall read, found null")
        if config.data.mixup and not isinstance(self.model, Tagger):
            raise UserError(f"data.mixup: expected a Tagger, whose spectrograms are mixed, found {type(self.model).__name__}")

    def features(self) -> list[Feature]:
        """The input and the teacher's embeddings."""
        return [feature for feature in (self.config.data.input, self.config.data.teacher) if feature is not None]

    def made_with(self) -> list[str]:
        """The features by name, which tells what they were computed with, and the weights of the loss's teacher."""
        names = [feature.name for feature in self.features()]
        return [*names, *(files.sha256(path) for path in self.config.loss.weights if path.is_file())]

    def training(self, data: Path) -> Examples:
        """Clips, or a piece from any place of each."""
        c = self.config.data
        segment = None if c.segment is None else c.frames(c.segment)
        source = self._clips(data, c.train, segment, c.shuffle)
        self.tags = source.tags
        return Examples(source, c.batch_size)

    def validation(self, data: Path) -> Examples:
        """Whole clips.

        Raises:
            UserError: as of `Task.training`, or their tags are not those of the training clips.
        """
        source, c = self._clips(data, self.config.data.valid, None), self.config.data
        if self.tags and source.tags != self.tags:
            raise UserError(f"data.valid: expected a manifest with the tags of {c.train}, in their order, found {c.valid}")
        return Examples(source, c.batch_size)

    def prepare_training(self, data: Path) -> None:
        """Let a model that is not learned by gradient see all training clips."""
        if self.model.needs_statistics:
            source = cast(ClipDataset, self.training(data).source)
            self.model.fit(source.batch(0, range(len(source))).inputs, source.labels.float(), source.mask.float())

    def start_training(self, device: torch.device) -> None:
        """Give the loss what it needs of other experiments."""
        from toolkit.tasks.experiment import load

        self.config.loss.prepare(lambda exp: load(exp, device)[0].model)

    def keep(self, exp: Path) -> None:
        """The names of the tags."""
        files.write_json(exp / TAGS, self.tags)

    def loss(self, model: nn.Module, batch: ClipBatch) -> Tensor:
        """The configured loss of what the model makes of the clips, mixed if they are to be."""
        if not self.config.data.mixup:
            return self._loss(model, batch)[0]
        mixup = Mixup.draw(len(batch.ids), self.config.data.mixup)
        batch = batch._replace(labels=mixup(batch.labels), embeddings=mixup(batch.embeddings), mask=mixup.either(batch.mask))
        with mixup.after(cast(Tagger, self.model).frontend):
            return self._loss(model, batch)[0]

    def validate(self, model: nn.Module, batch: ClipBatch) -> dict[str, Tensor]:
        """Loss with its parts, and the probabilities with their labels.

        Where clips are heard in chunks, the loss is the cross-entropy of each chunk with its clip's labels.
        """
        if self.config.infer.chunk is None:
            loss, logits = self._loss(model, batch)
            probabilities, parts = logits.sigmoid(), self.config.loss.parts
        else:
            logits, parts = self._chunk_logits(model, batch.inputs), {}
            probabilities = logits.sigmoid().mean(1)
            chunks = logits.shape[1]
            each = batch._replace(
                labels=batch.labels.repeat_interleave(chunks, 0), mask=batch.mask.repeat_interleave(chunks, 0)
            )
            loss = BinaryCrossEntropy()(logits.flatten(0, 1), self._labelled(each, {}))
        values = {name: value.expand(len(batch.ids)) for name, value in {"loss": loss, **parts}.items()}
        return {**values, "probabilities": probabilities.float(), "labels": batch.labels, "mask": batch.mask}

    def measure(self, collected: dict[str, Tensor]) -> dict[str, float]:
        """The means of the configured metrics over the tags."""
        values = metrics.evaluate(collected["probabilities"], collected["labels"], collected["mask"], self.config.score.metrics)
        return {name: float(per_tag.nanmean()) for name, per_tag in values.items()}

    def look(self, model: nn.Module, source: ExampleSource[ClipBatch], device: torch.device) -> dict[str, Seen]:
        """Probabilities of the first clips beside their labels, which are 0.5 where nothing is known."""
        batch = to_device(source.batch(0, range(min(SEEN, len(source)))), device)
        labels = torch.where(batch.mask.bool(), batch.labels.float(), 0.5)
        return {
            "probabilities": Cells(self.probabilities(model, batch.inputs), "tag", "clip"),
            "labels": Cells(labels, "tag", "clip"),
        }

    def inputs(self, manifest: Manifest, item: Item) -> Tensor:
        """What is stored of a clip: (T,) or (L, D)."""
        feature, name = self.config.data.input, manifest.name
        if name not in self._stores:
            self._stores[name] = store.Store(store.folder_of(manifest.data, feature.name, name))
        return torch.from_numpy(self._stores[name].read(item.id).astype("float32")) * feature.scale

    def predict(self, model: nn.Module, inputs: Tensor, sample_rate: int) -> dict[str, Tensor]:
        """Probabilities (K,) of one clip's stored features, and where it is known, what each tag listens to, (K, L)."""
        found = {"probabilities": self.probabilities(model, inputs[None])[0]}
        attention = cast(TaggingModel, model).attention(inputs[None]) if self.config.infer.chunk is None else None
        return found if attention is None else {**found, "attention": attention[0]}

    def probabilities(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """Probabilities (B, K) of stored features (B, T) or (B, L, D), scaled; the mean over chunks if there are any."""
        if self.config.infer.chunk is None:
            return model(inputs).sigmoid()
        return self._chunk_logits(model, inputs).sigmoid().mean(1)

    def store(self, folder: Path, item: Item, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Everything stands in the item's line."""
        return {name: _rounded(values) for name, values in predictions.items()}

    def score(self, manifest: Manifest, item: Item, stored: dict[str, Any], folder: Path) -> dict[str, Any]:
        """The probabilities beside the labels: 0, 1, or null where there is none.

        Raises:
            UserError: the manifest has not as many tags as the model.
        """
        tags, found = clips.tags_of(manifest), len(stored["probabilities"])
        if len(tags) != found:
            raise UserError(f"{manifest.path}: expected {found} tags, as the model has, found {len(tags)}")
        labels, mask = clips.binary([item.labels["tags"]], self.config.data.ambiguous)
        known = [int(label) if there else None for label, there in zip(labels[0].tolist(), mask[0].tolist(), strict=True)]
        return {"id": item.id, "tags": tags, "probabilities": stored["probabilities"], "labels": known}

    def summarise(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Every metric, for each tag and as mean over the tags, with confidence intervals of the means."""
        names, tags = self.config.score.metrics, rows[0]["tags"]
        return {
            "tags": tags,
            "metrics": metrics.summarise(rows, names, tags),
            "intervals": metrics.intervals(rows, names),
        }

    def probe(self) -> tuple[Tensor, float]:
        """What the model reads of one clip, on the meta device, and how many seconds that is."""
        c = self.config.data
        seconds = c.segment or self.config.infer.chunk or PROBE
        frames = c.frames(seconds) if c.input.frame_rate else 1
        shape = (1, frames) if isinstance(c.input, Waveform) else (1, frames, self._width)
        return torch.empty(shape, device="meta"), seconds

    @property
    def _width(self) -> int:
        """D, what the model reads of a stored frame."""
        frontend = getattr(self.model, "frontend", self.model)
        return getattr(frontend, "features", getattr(frontend, "bins", 1))

    def check(self) -> None:
        """See that the model gives a logit for each tag, on the meta device.

        Raises:
            UserError: it does not.
        """
        inputs, _ = self.probe()
        inputs = inputs.expand(2, *inputs.shape[1:])
        with trying_out(), tap(self.model, self.config.loss.taps):
            logits = self.model(inputs)
        if logits.shape != (2, self.model.tags):
            raise UserError(
                f"the model breaks its contract: expected {(2, self.model.tags)} from {tuple(inputs.shape)}, "
                f"found {tuple(logits.shape)}"
            )

    def _clips(self, data: Path, name: str, segment: int | None, shuffle: Shuffle = "examples") -> ClipDataset:
        c = self.config.data
        manifest = Manifest.open(data / f"{name}.jsonl")
        source = ClipDataset(manifest, data, c.input, c.teacher, segment, c.ambiguous, self.config.train.seed, shuffle)
        if len(source.tags) != self.model.tags:
            raise UserError(f"model.tags: expected the {len(source.tags)} tags of {name}, found {self.model.tags}")
        return source

    def _loss(self, model: nn.Module, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Loss and logits."""
        with tap(self.model, self.config.loss.taps) as activations:
            logits = model(batch.inputs)
        return self.config.loss(logits, self._labelled(batch, activations)), logits

    def _chunk_logits(self, model: nn.Module, inputs: Tensor) -> Tensor:
        """Logits (B, chunks, K)."""
        options = self.config.infer
        assert options.chunk is not None
        pieces = _chunks(inputs, self.config.data.frames(options.chunk), options.chunks)
        return model(pieces.flatten(0, 1)).unflatten(0, (inputs.shape[0], -1))

    @staticmethod
    def _labelled(batch: ClipBatch, activations: dict[str, Tensor]) -> Labelled:
        return Labelled(batch.labels, batch.mask, batch.embeddings, activations)


def _chunks(inputs: Tensor, frames: int, count: int) -> Tensor:
    """Pieces (B, count, frames, …) of (B, L, …), whose beginnings are spread evenly."""
    missing = frames - inputs.shape[1]
    if missing > 0:
        inputs = torch.cat([inputs, inputs.new_zeros(len(inputs), missing, *inputs.shape[2:])], dim=1)
    hop = (inputs.shape[1] - frames) // count
    count = count if hop else 1  # all of them would be the same
    return torch.stack([inputs[:, begin * hop : begin * hop + frames] for begin in range(count)], dim=1)


def _rounded(values: Tensor) -> list[Any]:
    return torch.round(values.double().cpu(), decimals=DECIMALS).tolist()
