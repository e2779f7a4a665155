"""Several hypotheses of what may be true given a few numbers, held against samples of what is true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import toolkit.losses
import toolkit.models  # noqa: F401  (importing them lets a config name their classes)
from toolkit.corpora import quadrants, three_gaussians
from toolkit.corpora._quadrants import Draws
from toolkit.data import tables
from toolkit.data.examples import ExampleSource
from toolkit.data.manifest import Item, Manifest
from toolkit.data.rows import Drawn
from toolkit.log import UserError
from toolkit.metrics import hypotheses
from toolkit.metrics.earth_mover import earth_movers_distance
from toolkit.metrics.summary import summarise
from toolkit.models.hypothesis_mlp import Hypotheses, HypothesisModel
from toolkit.tasks.base import AGAIN, Examples, Lines, Seen, Task, drawing, trying_out
from toolkit.tasks.hypothesis_options import HypothesisConfig

RULES: dict[str, Callable[[Item, Sequence[int]], Draws]] = {  # corpus to what draws the samples of an item
    quadrants.NAME: quadrants.draw,
    three_gaussians.NAME: three_gaussians.draw,
}
WAYS = "ways.npy"  # of an experiment: the hypotheses after each epoch
ALONE = 8  # inputs
APART = 0.01  # hypotheses that are nearer to each other are counted as one


class HypothesisBatch(NamedTuple):
    """Several samples.

    Attributes:
        inputs: (B, 1).
        targets: (B, n, D).
        mask: (B, n), true where there is a target.
        ids: of the samples.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor
    ids: list[str]


class HypothesisLearning(Task):
    """A number in, weighted points out."""

    Config: ClassVar[type] = HypothesisConfig
    contract = "(B, inputs) -> (B, K, D), (B, K)"

    def __init__(self, config: HypothesisConfig) -> None:
        self.config = config
        self.model: HypothesisModel = config.model
        self._epoch = 0
        self._ways: dict[int, Tensor] = {}  # epochs trained to the hypotheses then, (shown, K, D)

    def training(self, data: Path) -> Examples:
        """Samples that are drawn anew in each epoch, other ones with another seed; or the same ones."""
        options = self.config.data
        return self._drawn(data, options.train, self.config.train.seed, fixed=not options.redrawn, draws=options.draws)

    def validation(self, data: Path) -> Examples:
        """Samples that are the same whatever the epoch and the seed."""
        return self._drawn(data, self.config.data.valid, 0, fixed=True)

    def training_state(self) -> dict[str, Any]:
        """The ways of the hypotheses so far."""
        return {"ways": dict(self._ways)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._ways = dict(state["ways"])

    def start_epoch(self, epoch: int) -> None:
        """Tell the loss, whose temperature may fall."""
        self._epoch = epoch
        self.config.loss.start_epoch(epoch)
        if epoch == 0 and not self._ways:
            self._ways[0] = self._shown(self.model.eval())

    def start_validation(self, model: nn.Module) -> None:
        """See where the hypotheses are."""
        self._ways[self._epoch + 1] = self._shown(model)

    def keep(self, exp: Path) -> None:
        """Write the ways of the hypotheses, an array an epoch."""
        ways = np.stack([self._ways[epoch].numpy() for epoch in sorted(self._ways)])
        tables.write(exp / WAYS, ways)

    def loss(self, model: nn.Module, batch: HypothesisBatch) -> Tensor:
        """The configured loss (B,)."""
        return self._loss(model(batch.inputs), batch)

    def validate(self, model: nn.Module, batch: HypothesisBatch) -> dict[str, Tensor]:
        """The loss, the mean squared distance of what is true from the nearest hypothesis, and the temperature if there is one.

        What is drawn for the loss is the same each epoch.
        """
        with drawing(0, batch.inputs.device):
            found = model(batch.inputs)
            values = {"loss": self._loss(found, batch)}
        values["distortion"] = hypotheses.distortion(found.points, batch.targets, batch.mask)
        if (temperature := getattr(self.config.loss, "temperature", None)) is not None:
            values["temperature"] = torch.full_like(values["loss"], temperature)
        return values

    def measure(self, collected: dict[str, Tensor]) -> dict[str, float]:
        """How many hypotheses of the inputs that are shown do not lie on one another, and how far they spread."""
        points = self._ways[self._epoch + 1]
        apart = (points - points.mean(1, keepdim=True)).square().sum(-1).mean(1).sqrt()
        return {"distinct": float(np.mean([distinct(one) for one in points.numpy()])), "spread": apart.mean().item()}

    def look(self, model: nn.Module, source: ExampleSource[HypothesisBatch], device: torch.device) -> dict[str, Seen]:
        """Where the hypotheses of the inputs that are shown lie, if that is in a plane."""
        if self.model.outputs != 2:
            return {}
        found = {
            f"t = {t:g}": (points[:, 0], points[:, 1])
            for t, points in zip(self.config.data.shown, self._shown(model), strict=True)
        }
        return {"hypotheses": Lines(found, "first number", "second number", dots=True)}

    def inputs(self, manifest: Manifest, item: Item) -> Tensor:
        """The one input of an item (1, 1), or those of all its samples (N, 1)."""
        t = samples_of(manifest, item).t
        return torch.from_numpy(t[:1] if "t" in item.labels else t)[:, None]

    def predict(self, model: nn.Module, inputs: Tensor, sample_rate: int) -> dict[str, Tensor]:
        """Hypotheses (N, K, D) and their weights (N, K)."""
        found = cast(Hypotheses, model(inputs))
        return {"points": found.points, "weights": found.weights()}

    def store(self, folder: Path, item: Item, predictions: dict[str, Tensor]) -> dict[str, Any]:
        """Hypotheses and weights, each as a NumPy file."""
        names = {name: f"{item.id}.{name}.npy" for name in predictions}
        for name, values in predictions.items():
            tables.write(folder / names[name], values.cpu().numpy())
        return names

    def files_of(self, stored: dict[str, Any]) -> list[str]:
        """The NumPy files of hypotheses and weights."""
        return [stored[name] for name in ("points", "weights")]

    def score(self, manifest: Manifest, item: Item, stored: dict[str, Any], folder: Path) -> dict[str, Any]:
        """The configured metrics of one input; of an item whose samples have inputs of their own, the distortion alone.

        Returns:
            `id`, `metrics`; where there is one input, `t` and how many samples each hypothesis `won`.
        """
        draws = samples_of(manifest, item)
        points, weights = (read(folder, stored, name) for name in ("points", "weights"))
        if "t" not in item.labels:
            parts = torch.from_numpy(points), torch.from_numpy(draws.targets), torch.from_numpy(draws.mask)
            return {"id": item.id, "metrics": {"distortion": hypotheses.distortion(*parts).mean().item()}}
        samples = draws.targets[draws.mask]
        won = hypotheses.wins(*(torch.from_numpy(x)[None] for x in (points[0], samples)))[0]
        found = {name: measured(name, points[0], weights[0], samples, won.numpy()) for name in self.config.score.metrics}
        return {"id": item.id, "metrics": found, "t": item.labels["t"], "won": won.int().tolist()}

    def summarise(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Every metric aggregated over the inputs, and the share of hypotheses that won no sample of any of them.

        The earth mover's distance also stands for eight inputs by itself, from the first to the last: `earth_mover/t=0.14`.
        """
        figures = summarise(rows)
        for place in np.unique(np.linspace(0, len(rows) - 1, ALONE).round().astype(int)):
            if "earth_mover" in rows[place]["metrics"]:
                figures[f"earth_mover/t={rows[place]['t']:.2g}"] = rows[place]["metrics"]["earth_mover"]
        if "won" in rows[0]:
            figures["dead_share/all"] = hypotheses.dead_share(torch.tensor([row["won"] for row in rows]))
        return {"metrics": figures}

    def probe(self) -> tuple[Tensor, float]:
        """One input, on the meta device."""
        return torch.empty(1, 1, device="meta"), 0.0

    def check(self) -> None:
        """See that the model gives hypotheses, on the meta device.

        Raises:
            UserError: it does not, or the loss or the batch size does not fit it.
        """
        inputs, _ = self.probe()
        with trying_out():
            found = self.model.eval()(inputs)
        expected = (1, self.model.hypotheses, self.model.outputs)
        if found.points.shape != expected:
            raise UserError(f"the model breaks its contract: expected {expected}, found {tuple(found.points.shape)}")
        if getattr(self.config.loss, "scoring", 0) and found.scores is None:
            raise UserError("loss.scoring: expected a model with scores. Next: --model.scored true, or --loss.scoring 0")
        if getattr(self.model, "apart", False) and self.config.data.batch_size % self.model.hypotheses:
            raise UserError(
                f"data.batch_size: expected a multiple of the {self.model.hypotheses} networks that are trained apart, "
                f"found {self.config.data.batch_size}"
            )

    def _loss(self, found: Hypotheses, batch: HypothesisBatch) -> Tensor:
        loss: Any = self.config.loss  # those of multiple choice and of single members take a mask
        return loss(found.points.float(), batch.targets, found.scores, batch.mask)

    def _drawn(self, data: Path, name: str, seed: int, fixed: bool, draws: int = 1) -> Examples:
        draw = partial(_draw, Manifest.open(data / f"{name}.jsonl"), draws)
        return Examples(Drawn(HypothesisBatch, draw, seed, fixed), self.config.data.batch_size)

    @torch.no_grad()
    def _shown(self, model: nn.Module) -> Tensor:
        device = next(model.parameters()).device
        inputs = torch.tensor(self.config.data.shown, device=device)[:, None]
        return model(inputs).points.float().cpu()


def _draw(manifest: Manifest, draws: int, seeds: Sequence[int]) -> list[NDArray[Any]]:
    """The rows of all items, of a function that loading processes can be given: inputs, targets, which of them there are."""
    drawn = [samples_of(manifest, item, (*seeds, draw) if draw else seeds) for draw in range(draws) for item in manifest]
    t, targets, mask = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return [t[:, None], targets, mask]


def samples_of(manifest: Manifest, item: Item, seeds: Sequence[int] = ()) -> Draws:
    """The samples of an item, drawn by the rule of its corpus.

    Args:
        manifest: that it stands in.
        item: it.
        seeds: added to its own.

    Raises:
        UserError: its corpus is no such rule.
    """
    corpus = manifest.header.get("corpus")
    if corpus not in RULES:
        raise UserError(f"{manifest.path}: expected a corpus of {', '.join(RULES)}, found {corpus!r}")
    return RULES[corpus](item, seeds)


def read(folder: Path, stored: dict[str, Any], name: str) -> NDArray[Any]:
    """What was stored of an item.

    Raises:
        UserError: it is not there, or damaged.
    """
    return tables.load(folder / stored[name], AGAIN)


def measured(name: str, points: NDArray[Any], weights: NDArray[Any], samples: NDArray[Any], won: NDArray[Any]) -> float:
    """One of `toolkit.tasks.hypothesis_options.METRICS`.

    Args:
        name: which.
        points: hypotheses (K, D).
        weights: theirs (K).
        samples: (N, D).
        won: how many of the samples are the nearest to each hypothesis, (K).
    """
    measures = {
        "earth_mover": lambda: earth_movers_distance(points, samples, weights),
        "distortion": lambda: hypotheses.distortion(*(torch.from_numpy(x)[None] for x in (points, samples))),
        "k_means": lambda: hypotheses.k_means(samples, len(points)).risk,
        "variance": lambda: samples.var(0, dtype=np.float64).sum(),
        "weight_error": lambda: np.abs(weights - won / won.sum()).sum() / 2,
        "idle_weight": lambda: weights[won == 0].sum(),
        "critical_temperature": lambda: hypotheses.critical_temperature(hypotheses.covariance(samples)),
    }
    return float(measures[name]())


def distinct(points: NDArray[Any]) -> int:
    """How many of the points (K, D) are left if each one takes away all that lie nearer to it than 0.01."""
    left, count = points, 0
    while len(left):
        left = left[np.linalg.norm(left - left[0], axis=-1) >= APART]
        count += 1
    return count
