"""Codes of melodies and pictures: autoencoders whose dimensions are to stand for attributes.

A manifest's item is a table (see `toolkit.data.tables`).  Its roles:

    tokens or pictures   the items: tokens (N, T), small numbers; or pictures of black and white (N, H, W / 8), eight pixels of
                         a row in a byte as `numpy.packbits` has them
    attributes           (N, A), numbers.  Without the role nothing is tied to attributes, or scored of them

Its labels:

    attributes           the A names
    grid                 of tokens that are melodies: `ticks`, where in a beat they fall, and `tokens`, what each number of the
                         vocabulary stands for (both of `toolkit.dsp.tick_grid`); without it they are not drawn or played

What is predicted of a table is one file, `<item>.safetensors` (see `LatentLearning.predict`).  Figures are `<metric>/mean`, the
mean over the attributes, and `<metric>/mean/<attribute>`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

import toolkit.models  # noqa: F401  (importing them lets a config name their classes)
from toolkit import files
from toolkit.data import tables
from toolkit.data.examples import ExampleSource
from toolkit.data.manifest import Item, Manifest
from toolkit.data.rows import Rows
from toolkit.log import UserError
from toolkit.losses.latent import kl_divergence
from toolkit.metrics.reconstruction import pixel_accuracy, token_accuracy
from toolkit.models.latent import LatentModel
from toolkit.tasks.adversary import Adversary, processes
from toolkit.tasks.base import AGAIN, Cells, Examples, Seen, Task, drawing, trying_out
from toolkit.tasks.latent_options import LatentConfig
from toolkit.tasks.latent_scores import ATTRIBUTES, scores_of

BITS = 8  # pixels of a byte
SEEN = 4  # items that are looked at while training goes on
LABELS = "labels.json"  # of an experiment


class LatentBatch(NamedTuple):
    """Items of a table.

    Attributes:
        items: as they are stored: tokens (B, T), or pictures (B, H, W / 8).
        attributes: (B, A); A is 0 where there are none.
        ids: their rows.
    """

    items: Tensor
    attributes: Tensor
    ids: list[str]


class LatentLearning(Task):
    """Items in, codes and the same items out."""

    Config: ClassVar[type] = LatentConfig
    contract = "items -> (B, Z) -> items"

    def __init__(self, config: LatentConfig) -> None:
        self.config = config
        self.model: LatentModel = config.model
        self._batches, self._steps_per_epoch = 0, 1
        self._restored: dict[str, Any] = {}
        self._adversary: Adversary | None = None
        self._labels: dict[str, Any] = {}

    def training(self, data: Path) -> Examples:
        """All rows."""
        examples = self._examples(data, self.config.data.train)
        at_once = self.config.data.batch_size * processes()
        self._steps_per_epoch = max(len(examples.source) // at_once // self.config.train.accumulate, 1)
        return examples

    def validation(self, data: Path) -> Examples:
        """All rows."""
        return self._examples(data, self.config.data.valid)

    def start_training(self, device: torch.device) -> None:
        """The discriminator goes where the model is."""
        if self.config.total_correlation is not None:
            correlation, optimizer = self.config.total_correlation.to(device), self.config.discriminator_optimizer
            self._adversary = Adversary(correlation, optimizer, self._restored)

    def training_state(self) -> dict[str, Any]:
        """How many batches there were, which the schedules follow; and of FactorVAE's discriminator."""
        other = {} if self._adversary is None else self._adversary.state()
        return {"batches": self._batches, **other}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._batches, self._restored = state["batches"], state

    def keep(self, exp: Path) -> None:
        """What tokens and attributes are called, as `labels.json`."""
        files.write_json(exp / LABELS, {name: self._labels[name] for name in (ATTRIBUTES, "grid") if name in self._labels})

    def start_validation(self, model: nn.Module) -> None:
        """Validate with the schedules where the last step had them."""
        self._schedule(max(self._batches - 1, 0))

    def loss(self, model: nn.Module, batch: LatentBatch) -> Tensor:
        """The configured loss, of the batch or, with a discriminator, of its first half."""
        self._schedule(self._batches)
        self._batches += 1
        items, attributes = self.read(batch.items), batch.attributes
        if self._adversary is None:
            loss: Tensor = self.config.loss(model(items), items, attributes)
            return loss
        self._adversary.learn(self.model)
        own = items[: len(items) // 2]
        encoded = model(own)
        self._adversary.next(encoded.latents.detach(), items[len(own) :])
        return self.config.loss(encoded, own, attributes[: len(own)]) + self._adversary.correlation(encoded.latents)

    def validate(self, model: nn.Module, batch: LatentBatch) -> dict[str, Tensor]:
        """The loss as it is weighed at this step, and its parts; nats of the codes, accuracy, the number of the step.

        Codes are drawn the same way each epoch.  ``train.monitor: valid/step`` keeps the last weights, whatever their loss.
        """
        items = self.read(batch.items)
        with drawing(0, items.device):
            encoded = cast(LatentModel, model)(items)
        loss = self.config.loss(encoded, items, batch.attributes)
        means = {name: value.expand(len(items)) for name, value in {"loss": loss, **self.config.loss.parts}.items()}
        return {
            **means,
            "nats": kl_divergence(*encoded.posterior),
            "reconstruction_accuracy": self._accuracy(encoded.logits, items),
            "step": loss.new_full((len(items),), float(self._batches // self.config.train.accumulate)),
        }

    def look(self, model: nn.Module, source: ExampleSource[LatentBatch], device: torch.device) -> dict[str, Seen]:
        """The first items above what is decoded of them; the first one as one dimension of its code after the other moves."""
        vae, options = cast(LatentModel, model), self.config.infer
        items = self.read(source.batch(0, range(min(SEEN, len(source)))).items.to(device))
        codes = vae.encode(items).mean
        both = torch.stack([self._shown(items), self._shown(vae.reconstruct(codes))])
        steps = torch.linspace(-options.traverse, options.traverse, options.steps, device=device)
        moved = self._shown(torch.stack([vae.traverse(codes[0], d, steps) for d in range(vae.latent)]))
        return {
            "reconstructions": Cells(_side_by_side(both), "items", "decoded below originals"),
            "traversals": Cells(_side_by_side(moved), f"from {-options.traverse:g} to {options.traverse:g}", "dimensions"),
        }

    def inputs(self, manifest: Manifest, item: Item) -> Tensor:
        """The table's items as they are stored, of as many rows as are wanted."""
        rows = tables.read(manifest, item, self.config.data.items)[: self.config.infer.rows]
        return torch.from_numpy(np.array(rows))

    def predict(self, model: nn.Module, inputs: Tensor, sample_rate: int) -> dict[str, Tensor]:
        """What the model makes of the rows of a table, by name.

        `means`, `log_variances`, `drawn` (N, Z): the codes; `reconstruction_accuracy` (N), decoded from what was drawn.  Of n
        rows, evenly far from each other, `originals` and `reconstructions` (n, …), the latter decoded from the means, and
        `traversals` (n, Z, steps, …): as tokens, or as pictures (…, H, W) of 0 to 255.  `steps`: of each dimension.
        """
        vae, options = cast(LatentModel, model), self.config.infer
        found: dict[str, list[Tensor]] = {}
        with drawing(options.seed, inputs.device):
            for stored in inputs.split(options.batch_size):
                items = self.read(stored)
                posterior = vae.encode(items)
                drawn = vae.sample(posterior)
                accuracy = self._accuracy(vae.decode(drawn), items)
                for name, values in {"drawn": drawn, "accuracy": accuracy, **posterior._asdict()}.items():
                    found.setdefault(name, []).append(values)
        codes, deviations = torch.cat(found["mean"]), torch.cat(found["log_variance"])
        count = min(options.examples, len(inputs))
        rows = ((torch.arange(count, device=codes.device) + 0.5) * len(inputs) / max(count, 1)).long()
        originals = self.read(inputs[rows])
        steps = torch.linspace(-options.traverse, options.traverse, options.steps, device=codes.device)
        moved = [torch.stack([vae.traverse(code, d, steps) for d in range(vae.latent)]) for code in codes[rows]]
        return {
            "means": codes,
            "log_variances": deviations,
            "drawn": torch.cat(found["drawn"]),
            "reconstruction_accuracy": torch.cat(found["accuracy"]),
            "originals": self._shown(originals),
            "reconstructions": self._shown(vae.reconstruct(codes[rows])),
            "traversals": self._shown(torch.stack(moved)),
            "steps": steps,
        }

    def store(self, folder: Path, item: Item, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """All predictions go into one safetensors file, which `file` names."""
        name = f"{item.id}.safetensors"
        files.write_tensors(folder / name, predictions)
        return {"file": name}

    def files_of(self, stored: dict[str, Any]) -> list[str]:
        """The one file."""
        return [stored["file"]]

    def score(self, manifest: Manifest, item: Item, stored: dict[str, Any], folder: Path) -> dict[str, Any]:
        """The protocol's metrics of one table, see `scores_of`."""
        found = self.predicted(folder / stored["file"])
        return scores_of(manifest, item, found, self.config.data.items, self.config.score)

    def summarise(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """`mig/mean`, `mig/mean/contour`, …: means over the tables, of which there is one as a rule.

        `reconstruction_accuracy/most_frequent` is what is reached without a model.  `rows` are those of all tables; 0 if lines
        that were kept from before do not tell.
        """
        figures = {"reconstruction_accuracy/most_frequent": _mean([row["most_frequent"] for row in rows])}
        for name in rows[0]["metrics"]:
            figures[f"{name}/mean"] = _mean([row["metrics"][name] for row in rows])
            for attribute in rows[0]["attributes"].get(name, {}):
                figures[f"{name}/mean/{attribute}"] = _mean([row["attributes"][name][attribute] for row in rows])
        return {"metrics": figures, "rows": sum(row.get("rows", 0) for row in rows)}

    def probe(self) -> tuple[Tensor, float]:
        """One item, on the meta device."""
        logits = self.model.decode(torch.empty(1, self.model.latent, device="meta"))
        items = torch.empty(logits.shape, device="meta")
        return (items if self._pictures else torch.empty(logits.shape[:2], dtype=torch.int64, device="meta")), 0.0

    def check(self) -> None:
        """See that items come back in the shape they have, and that attributes and discriminator fit the code.

        Raises:
            UserError: one of these is not so.
        """
        with trying_out():
            items, _ = self.probe()
            encoded = self.model(items)
        found = tuple(encoded.logits.shape if self._pictures else encoded.logits.shape[:2])
        if found != tuple(items.shape) or encoded.logits.ndim != (4 if self._pictures else 3):
            raise UserError(f"the model breaks its contract: expected logits of {self.config.data.items}, found shape {found}")
        dimensions = (self.config.loss.attributes and self.config.loss.attributes.dimensions) or []
        if any(not 0 <= dimension < self.model.latent for dimension in dimensions):
            raise UserError(f"loss.attributes.dimensions: expected numbers below {self.model.latent}, found {dimensions}")
        if (correlation := self.config.total_correlation) is not None:
            if (size := self.config.data.batch_size) < 2:
                raise UserError(f"data.batch_size: expected at least 2, as total_correlation halves batches, found {size}")
            try:
                correlation(encoded.latents)
            except (RuntimeError, ValueError) as error:
                raise UserError(f"total_correlation: {' '.join(str(error).split())}") from error

    def read(self, stored: Tensor) -> Tensor:
        """Items as the model reads them: tokens as they are stored, pictures (B, 1, H, W) of 0 and 1."""
        if not self._pictures:
            return stored
        places = torch.arange(BITS - 1, -1, -1, device=stored.device, dtype=torch.uint8)
        return (stored[..., None] >> places & 1).flatten(-2)[:, None].float()

    @staticmethod
    def predicted(path: Path) -> dict[str, Tensor]:
        """What was stored of a table.

        Raises:
            UserError: it is not there, or no such file.
        """
        return files.read_tensors(path, AGAIN)

    def _schedule(self, batches: int) -> None:
        self.config.loss.start_step(batches // self.config.train.accumulate, self._steps_per_epoch)

    @property
    def _pictures(self) -> bool:
        return self.config.data.items == "pictures"

    def _accuracy(self, logits: Tensor, items: Tensor) -> Tensor:
        return pixel_accuracy(logits, items) if self._pictures else token_accuracy(logits, items)

    def _shown(self, items: Tensor) -> Tensor:
        """Items to be kept: as bytes, pictures without the axis of colours."""
        return (255 * items).round().byte().squeeze(-3) if self._pictures else items.byte()

    def _examples(self, data: Path, name: str) -> Examples:
        manifest = Manifest.open(data / f"{name}.jsonl")
        items = tables.read_all(manifest, self.config.data.items)
        known = all(ATTRIBUTES in item.audio for item in manifest)
        attributes = tables.read_all(manifest, ATTRIBUTES) if known else np.empty((len(items), 0), np.float32)
        most, size = 0 if self._pictures else int(items.max(initial=0)), getattr(self.model, "vocabulary", math.inf)
        if most >= size:
            raise UserError(f"{manifest.path}: expected tokens below {size}, found {most}. Next: --model.vocabulary {most + 1}")
        tied = None if self.config.loss.attributes is None else self.config.loss.attributes.dimensions
        if tied is not None and attributes.shape[1] != len(tied):
            told = f"{len(tied)} attributes, as loss.attributes.dimensions has them"
            raise UserError(f"{manifest.path}: expected {told}, found {attributes.shape[1]}")
        self._labels = manifest[0].labels
        return Examples(Rows(LatentBatch, items, attributes), self.config.data.batch_size)


def _side_by_side(rows: Tensor) -> Tensor:
    """Tokens (R, n, L) or pictures (R, n, H, W) as one picture (R, n L) or (R H, n W)."""
    return rows.flatten(1) if rows.ndim == 3 else rows.transpose(1, 2).flatten(2).flatten(0, 1)


def _mean(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
