"""Experiments as their folders tell them, and those of one configuration taken together."""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from toolkit import config, files, log
from toolkit.data import records
from toolkit.report import display
from toolkit.report.table import NOTHING

FULL = "full"
SIZE = "model_mb/size"  # the one metric that no stage scores
KEPT = "RESULTS.json"  # beside RESULTS.md: the runs on full corpora that it was made from, wherever they were made
RESULTLESS = ("train.seed", "data.workers")  # overrides that make no other experiment of a run

logger = log.get(__name__)


@dataclass(frozen=True)
class Run:
    """One training with one seed.

    Attributes:
        folder: `exp/<tag>`; of a run that is kept as figures alone, a path where nothing is.
        info: its `run.json`.
        summaries: its `scores/<split>.summary.json`, by split.
    """

    folder: Path
    info: dict[str, Any]
    summaries: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read an experiment's folder; figures of weights that it had before it was trained anew are left out, and told of.

        Raises:
            UserError: it has not been trained, or a file in it is damaged.
        """
        info, summaries = records.info(folder), records.summaries(folder)
        of_others = [split for split, summary in summaries.items() if _differ(summary.get("weights"), info.get("weights"))]
        for split in of_others:
            logger.warning(
                "%s: the scores of the split %s are left out, they are of weights that it had before it was trained anew. "
                "Next: run the stages `infer` and `score`",
                folder,
                split,
            )
            del summaries[split]
        return cls(folder, info, summaries)

    @property
    def tag(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def is_full(self) -> bool:
        """Whether it has figures of full corpora."""
        return any(self.edition(split) == FULL for split in self.summaries)

    @property
    def task(self) -> str | None:
        """Name of its task; None where its configuration is lost."""
        path = self.folder / "config.yaml"
        return config.read(path).get("task") if path.is_file() else None

    @property
    def config(self) -> str:
        """Path of the config it was started from, relative to the recipe."""
        return re.sub(r"^(.*/)?egs/[^/]+/[^/]+/", "", str(PurePosixPath(self.info.get("config", ""))))

    @property
    def overrides(self) -> dict[str, Any]:
        """Overrides of its command line that make it another experiment."""
        return without_resultless(self.info.get("overrides", []))

    @property
    def description(self) -> str:
        """`conf/paper.yaml --model.separator DPRNN`."""
        return " ".join([self.config, *(f"--{key} {value}" for key, value in self.overrides.items())])

    def value(self, split: str, metric: str) -> float | None:
        """A metric of a split, or what is measured of the model itself; None where there is none."""
        if metric == SIZE:
            return self.info.get("model_mb")
        return self.summaries[split]["metrics"].get(metric)

    def edition(self, split: str) -> str:
        """`full` only if it was trained and tested on full corpora, else what they were."""
        seen = [self.info.get("edition", "unknown"), self.summaries[split].get("edition", "unknown")]
        lesser = list(dict.fromkeys(edition for edition in seen if edition != FULL))
        return " / ".join(lesser) or FULL


@dataclass(frozen=True)
class Group:
    """Runs of one configuration on the same test data of the same edition: they differ in their seed.

    Attributes:
        runs: in the order of their seeds.
        split: which of their summaries is meant.
        data: name of the test data.
        edition: `full`, `mini` or what part of the corpus it is.
    """

    runs: list[Run]
    split: str
    data: str
    edition: str

    @property
    def first(self) -> Run:
        """One of them, for whatever they share."""
        return self.runs[0]

    @property
    def seeds(self) -> str:
        """`0, 1, 2`."""
        return ", ".join(str(run.info.get("seed", NOTHING)) for run in self.runs)

    @property
    def metrics(self) -> list[str]:
        """Ids of all metrics that any of the runs has."""
        return list(dict.fromkeys(metric for run in self.runs for metric in run.summaries[self.split]["metrics"]))

    def values(self, metric: str) -> list[float]:
        """The metric in every run that has it."""
        found = (run.value(self.split, metric) for run in self.runs)
        return [value for value in found if value is not None and not math.isnan(value)]

    def mean(self, metric: str) -> float | None:
        """Mean over the seeds."""
        return statistics.fmean(values) if (values := self.values(metric)) else None

    def deviation(self, metric: str) -> float | None:
        """Standard deviation over the seeds (of a sample: n - 1); None for a single one."""
        return statistics.stdev(values) if len(values := self.values(metric)) > 1 else None

    def median(self, metric: str) -> float | None:
        """Median over the seeds; None for fewer than three, of which it says nothing that the mean does not."""
        return statistics.median(values) if len(values := self.values(metric)) > 2 else None

    def best(self, metric: str) -> tuple[float, Any] | None:
        """The best of several seeds, and which it was; None for a single one."""
        found = [(run.value(self.split, metric), run.info.get("seed")) for run in self.runs]
        usable = [(value, seed) for value, seed in found if value is not None and not math.isnan(value)]
        return max(usable, key=lambda pair: display.merit(pair[0], metric)) if len(usable) > 1 else None

    def collected(self, key: str) -> str:
        """A value of `run.json`; several where the runs differ."""
        return ", ".join(dict.fromkeys(str(run.info[key]) for run in self.runs if run.info.get(key) is not None)) or NOTHING

    @property
    def finished(self) -> str:
        """When the last of the runs ended."""
        return max(_finished(run) for run in self.runs)

    def average(self, key: str) -> float | None:
        """Mean of a number of `run.json`."""
        numbers = [run.info[key] for run in self.runs if run.info.get(key) is not None]
        return statistics.fmean(numbers) if numbers else None


def collect(recipe: Path, *further: Path) -> tuple[list[Run], list[str]]:
    """All experiments of a recipe.

    Args:
        recipe: folder of the recipe, `exp/*/` in it.
        further: experiments that lie elsewhere.

    Returns:
        Runs that have scores, by tag, and those on full corpora that were kept with the recipe and have not been run here
        since; and the tags of experiments that are not that far.
    """
    folders = {path.resolve(): path for path in [*(recipe / "exp").glob("*/"), *further]}
    scored, unfinished = [], []
    for folder in sorted(folders.values(), key=lambda path: (path.name, str(path))):
        run = Run.read(folder) if (folder / "run.json").is_file() else None
        if run is not None and run.summaries:
            scored.append(run)
        elif (folder / "config.yaml").is_file():
            unfinished.append(folder.name)
    return [*scored, *_kept(recipe, {run.tag for run in scored if run.is_full})], unfinished


def _differ(one: str | None, other: str | None) -> bool:
    """Whether two sums are known, and are not the same: older files have none."""
    return None not in (one, other) and one != other


def keep(recipe: Path, runs: list[Run]) -> None:
    """Write what is known of the runs on full corpora beside `RESULTS.md`, so that their figures outlive their folders."""
    full = {run.folder: run for run in runs if run.is_full}  # each once: of several splits it is in several groups
    if full:
        ordered = sorted(full.values(), key=lambda run: run.tag)
        rows = [{"tag": run.tag, "info": run.info, "summaries": run.summaries} for run in ordered]
        files.write_json(recipe / KEPT, rows)


def _kept(recipe: Path, but: set[str]) -> list[Run]:
    """The runs that were kept, but those of some tags.

    A folder of the same name may hold something else by now, a mini one, say, which neither stands for them nor is theirs.
    """
    path = recipe / KEPT
    rows = files.read_json(path, list[records.Kept]) if path.is_file() else []
    return [Run(path / row["tag"], row["info"], row["summaries"]) for row in rows if row["tag"] not in but]


def group(runs: list[Run]) -> list[Group]:
    """Put runs of one configuration together; of two with the same seed the one that finished last stands for it."""
    members: dict[tuple[str, str, str, str], dict[Any, Run]] = {}
    for run in sorted(runs, key=_finished):
        for split, summary in run.summaries.items():
            key = (run.info.get("config_hash", run.tag), split, summary["data"], run.edition(split))
            members.setdefault(key, {})[run.info.get("seed")] = run
    groups = [
        Group(sorted(seeds.values(), key=lambda run: (run.info.get("seed") or 0, run.tag)), split, data, edition)
        for (_, split, data, edition), seeds in members.items()
    ]
    return sorted(groups, key=lambda group: (group.data, group.edition, group.first.tag))


def _finished(run: Run) -> str:
    return str(run.info.get("finished", ""))


def without_resultless(words: list[str]) -> dict[str, Any]:
    """Overrides by their keys, sorted, each with the value that was given last; the seed and the like are left out."""
    said = dict(config.parse_overrides(words))
    return {key: said[key] for key in sorted(said) if key not in RESULTLESS}
