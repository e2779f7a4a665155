"""The learning curve that a configuration of a recipe is known to have, and whether a run leaves it.

`reference/<config>.json` in a recipe's folder holds, of each epoch, the mean and the deviation over some seeds of the value by
which the best weights are chosen, or of the loss where the last ones are kept. A run of the same configuration (as its YAML
says; another seed, other limits of its length) on the same edition of the data is held against it:

- Of several seeds, one more should lie within the prediction interval that holds 99.9 % of them: Student's t times the
  deviation, pooled over `NEAR` epochs to both sides, and at least a tenth of the way that the whole curve goes.
- Of a single seed nobody knows how far another lies: half of that way, which a run that learns nothing leaves, and at least
  five times the curve's roughness. It is a rough guard: two seeds are worth more.
- It may be an epoch early or late: the bounds are the outermost of an epoch and its two neighbours.
"""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import config, files, log
from toolkit.data import records
from toolkit.log import UserError

LENGTH = ("epochs", "patience", "max_minutes", "checkpoint_every")  # of `train`: how long it takes, not where it goes
ALIKE = ("train.seed", "data.workers", "data.test", *(f"train.{key}" for key in LENGTH))  # overrides that leave the curve alone
NEEDED = {"config_hash", "edition", "overrides", "seed", "commit"}  # of `run.json`
LEVEL = 0.999
NEAR = 2  # epochs to both sides
LEAST, LEAST_OF_ONE = 0.1, 0.5  # shares of the way that the curve goes
ROUGH = 5.0
LAST = "valid/step"  # what is monitored to keep the last weights: the same in every run

logger = log.get(__name__)


@dataclass
class ReferenceCurve:
    """A stored curve, and whether the run that is held against it is outside.

    Attributes:
        path: its file.
        made_from: what it says of the configuration it was made with; the same as long as that is.
        edition: of the data.
        metric: what is compared: `valid/loss`.
        seeds: whose curves it is made of.
        mean: of each epoch, counted from 1.
        deviation: over the seeds, of each epoch; zeros for a single seed.
        outside: whether the run was outside in the last epoch.
    """

    path: Path
    made_from: str
    edition: str
    metric: str
    seeds: list[int]
    mean: dict[int, float]
    deviation: dict[int, float]
    outside: bool = False

    @classmethod
    def read(cls, path: Path) -> ReferenceCurve:
        """Read a stored curve.

        Raises:
            UserError: the file is not one.
        """
        try:
            stored = files.read_json(path)
            rows = stored["curve"]
            mean, deviation = ({row["epoch"]: float(row[name]) for row in rows} for name in ("mean", "deviation"))
            return cls(path, stored["made_from"], stored["edition"], stored["metric"], stored["seeds"], mean, deviation)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is no reference curve ({error}). Next: make it again, toolkit reference EXP ..."
            ) from error

    @classmethod
    def of_config(cls, origin: Path, overrides: list[str], edition: str) -> ReferenceCurve | None:
        """The curve that a run is to be held against; None where there is none of its configuration.

        Args:
            origin: the configuration it is started from, `conf/mini.yaml`.
            overrides: words such as ``--train.seed 1``.
            edition: of the training data.

        Raises:
            UserError: the file is no curve.
        """
        path = _place(origin)
        if not path.is_file() or any(key not in ALIKE for key, _ in config.parse_overrides(overrides)):
            return None
        found = cls.read(path)
        if found.edition != edition:
            return None
        if found.made_from != _made_from(origin):
            logger.info("%s has changed since %s was made: this run is not held against it", origin, path)
            return None
        return found

    def band(self, epoch: int) -> tuple[float, float] | None:
        """The bounds that an epoch's value is expected between; None for an epoch that the curve does not have."""
        if epoch not in self.mean:
            return None
        near = [other for other in (epoch - 1, epoch, epoch + 1) if other in self.mean]
        bounds = [(self.mean[other] - self._width(other), self.mean[other] + self._width(other)) for other in near]
        return min(low for low, _ in bounds), max(high for _, high in bounds)

    def _width(self, epoch: int) -> float:
        way = max(self.mean.values()) - min(self.mean.values())
        if len(self.seeds) < 2:
            return max(LEAST_OF_ONE * way, ROUGH * self._roughness())
        from scipy.special import stdtrit

        pooled = [self.deviation[other] for other in range(epoch - NEAR, epoch + NEAR + 1) if other in self.deviation]
        spread = math.sqrt(statistics.fmean(value**2 for value in pooled) * (1 + 1 / len(self.seeds)))
        quantile = float(stdtrit((len(self.seeds) - 1) * len(pooled), (1 + LEVEL) / 2))
        return max(LEAST * way, quantile * spread)

    def _roughness(self) -> float:
        """How far an epoch mostly lies from the middle of its neighbours."""
        inner = [epoch for epoch in self.mean if epoch - 1 in self.mean and epoch + 1 in self.mean]
        return statistics.median(
            [abs(self.mean[epoch] - (self.mean[epoch - 1] + self.mean[epoch + 1]) / 2) for epoch in inner] or [0.0]
        )

    def see(self, row: dict[str, Any]) -> None:
        """Hold an epoch's line of `metrics.jsonl` against the curve; warn when the run leaves it, say when it is back."""
        value, band = row.get(self.metric), self.band(int(row["epoch"]))
        if value is None or band is None:
            return
        inside = band[0] <= value <= band[1]  # what is no number is outside
        told = f"epoch {row['epoch']}: {self.metric} is {value:.4g}"
        source = f"({self.path}, seeds {', '.join(map(str, self.seeds))})"
        if not inside and not self.outside:
            logger.warning("%s, expected %.4g to %.4g %s: the run leaves the recipe's learning curve", told, *band, source)
        elif inside and self.outside:
            logger.info("%s, back between %.4g and %.4g %s", told, *band, source)
        self.outside = not inside


def write(exps: list[Path]) -> Path:
    """Make the reference curve of a configuration from experiments with it, and put it into the recipe's folder.

    Args:
        exps: folders of trained experiments, `exp/<tag>` in the recipe's, that differ in their seed alone.

    Returns:
        The file, `reference/<config>.json`.

    Raises:
        UserError: an experiment is not trained, is of another configuration, or has an override that changes the curve.
    """
    infos = [_info(exp) for exp in exps]
    for key in ("config", "config_hash", "edition"):
        if len({info[key] for info in infos}) > 1:
            found = ", ".join(f"{exp} {info[key]}" for exp, info in zip(exps, infos, strict=True))
            raise UserError(f"expected experiments of one configuration and edition, found {found}")
    seeds = [info["seed"] for info in infos]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"expected different seeds, found {', '.join(map(str, seeds))}")
    monitor = str(config.section(config.read(exps[0] / "config.yaml"), "train").get("monitor"))
    metric = "valid/loss" if monitor == LAST else monitor
    curves = [{row["epoch"]: row[metric] for row in records.epochs(exp) if metric in row} for exp in exps]
    rows = []
    for epoch in sorted(set.intersection(*map(set, curves))):
        values = [curve[epoch] for curve in curves]
        if all(map(math.isfinite, values)):
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            rows.append({"epoch": epoch, "mean": round(statistics.fmean(values), 6), "deviation": round(deviation, 6)})
    if not rows:
        raise UserError(f"expected epochs with {metric} in {exps[0]}/metrics.jsonl, found none that all have")
    origin = exps[0].absolute().parent.parent / infos[0]["config"]
    head = {
        "config": infos[0]["config"],
        "made_from": _made_from(origin),
        "edition": infos[0]["edition"],
        "metric": metric,
        "seeds": seeds,
        "commit": ", ".join(dict.fromkeys(info["commit"] for info in infos)),
    }
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    path = _place(origin)
    files.write_text(path, f'{json.dumps(head, indent=1)[:-2]},\n "curve": [\n{lines}\n ]\n}}\n')
    return path


def _info(exp: Path) -> dict[str, Any]:
    """What `run.json` says of an experiment that a reference may be made of."""
    if not (exp / "run.json").is_file() or not (exp / "metrics.jsonl").is_file():
        raise UserError(f"{exp}: expected a trained experiment with its metrics.jsonl. Next: toolkit train --exp {exp} ...")
    info = records.info(exp)
    if unknown := sorted(NEEDED - info.keys()):
        raise UserError(f"{exp}/run.json: the key {unknown[0]!r} is missing. Next: {files.AGAIN}")
    other = [key for key, _ in config.parse_overrides(info["overrides"]) if key not in ALIKE]
    if other:
        raise UserError(
            f"{exp}: expected a configuration as its file says, but for the seed; found --{other[0]}. "
            "Next: put that into a file below conf/, and train with it"
        )
    return info


def _place(origin: Path) -> Path:
    return origin.parent.parent / "reference" / f"{origin.stem}.json"


def _made_from(origin: Path) -> str:
    """The same as long as nothing in the YAML changes that the curve depends on."""
    tree = {key: value for key, value in config.read(origin).items() if key not in ("infer", "score")}
    train = {key: value for key, value in (tree.get("train") or {}).items() if key not in ("seed", *LENGTH)}
    data = {key: value for key, value in (tree.get("data") or {}).items() if key not in ("workers", "test")}
    return config.fingerprint({**tree, "train": train, "data": data})
