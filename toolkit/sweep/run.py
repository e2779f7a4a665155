"""The experiments of a sweep, stage by stage: what is done is skipped, what fails stops nothing but itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import config, launch, log
from toolkit.launch import Job, resources
from toolkit.log import UserError
from toolkit.sweep.axes import Combination

SPLIT = "test"
SEEN = ("task", "data", "score", "model")  # sections that features may depend on

logger = log.get(__name__)


@dataclass(frozen=True)
class How:
    """How the stages are run.

    Attributes:
        launcher: of `toolkit.launch`.
        at_once: experiments that are trained, predicted or scored at the same time; if None, one on this machine, and all of
            them on a cluster, which has a queue.
        device: `auto`, `cpu`, `cuda`.
        nj: processes of the stage `score`; all cores if None, on a cluster those that the job is given.
        ngpu: GPUs of each training; one if None.
    """

    launcher: str = "local"
    at_once: int | None = None
    device: str = "auto"
    nj: int | None = None
    ngpu: int | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables of each process: its share of this machine's cores, or several would wait for each other."""
        at_once = self.at_once or 1
        if self.launcher != "local" or at_once < 2 or "OMP_NUM_THREADS" in os.environ:
            return {}
        return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // at_once))}


@dataclass(frozen=True)
class Outcome:
    """What came of a sweep.

    Attributes:
        scored: folders of the experiments that are scored, in the order of their combinations.
        failed: tag of an experiment to what failed.
        comparison: the tables, if there are two experiments to hold against each other.
    """

    scored: list[Path]
    failed: dict[str, str]
    comparison: str

    def check(self) -> None:
        """See that all went well.

        Raises:
            UserError: tells each experiment that failed, with the exit code and where its output is.
        """
        if self.failed:
            told = "; ".join(f"exp/{tag}: {what}" for tag, what in self.failed.items())
            count = len(self.failed) + len(self.scored)
            raise UserError(
                f"{len(self.failed)} of {count} experiments failed: {told}. "
                "Next: mend that and run the same command again; what is done is kept"
            )


def sweep(
    origin: Path, data: Path, found: Sequence[Combination], how: How, state: Callable[[list[str]], str], out: Path
) -> Outcome:
    """Train, predict and score every combination, then hold them against the first.

    Args:
        origin: the configuration that they are laid over.
        data: folder of everything prepared.
        found: the combinations.
        how: on which machines, how many at once.
        state: tells of a stage's command line what its record says, `done` if there is nothing to do.
        out: where the comparison is written as a page (or as Markdown).

    Raises:
        UserError: a combination is wrong; then nothing has been run.
    """
    trees = check(origin, data, found)
    at_once = how.at_once or (1 if how.launcher == "local" else len(found))
    failed: dict[str, str] = {}

    def stage(name: str, words: dict[str, list[str]], at_once: int) -> None:
        waiting = {tag: line for tag, line in words.items() if state(line) != "done"}
        logger.info("%s: %d of %d done before", name, len(words) - len(waiting), len(words))
        jobs = [
            Job(f"{name}-{tag}", line, Path("exp") / tag / "logs" / f"{name}.job.log", name, how.environment)
            for tag, line in waiting.items()
        ]
        for tag, job, code in zip(waiting, jobs, launch.run(jobs, how.launcher, at_once) if jobs else [], strict=True):
            if code:
                failed[tag] = f"{name} failed with exit code {code}, see {job.log}{_last_line(job.log)}"

    lines = {combination.tag: _lines(origin, data, combination, how) for combination in found}
    shared = _with_equal_features(found, trees)
    stage("features", {tags[0]: lines[tags[0]]["features"] for tags in shared}, at_once=1)
    for first, *others in shared:
        failed |= {tag: failed[first] for tag in others if first in failed}
    for name in ("train", "infer", "score"):
        stage(name, {tag: line[name] for tag, line in lines.items() if tag not in failed}, at_once)
    scored = [Path("exp") / combination.tag for combination in found if combination.tag not in failed]
    return Outcome(scored, failed, _compare(scored, out))


def _with_equal_features(found: Sequence[Combination], trees: Sequence[config.Tree]) -> list[list[str]]:
    """Tags of the combinations that need the same features, which are computed for the first of them."""
    tags: dict[str, list[str]] = {}
    for combination, tree in zip(found, trees, strict=True):
        tags.setdefault(config.fingerprint([tree.get(section) for section in SEEN]), []).append(combination.tag)
    return list(tags.values())


def check(origin: Path, data: Path, found: Sequence[Combination]) -> list[config.Tree]:
    """Resolve every combination, build its model without computing anything, see that its data are there.

    Returns:
        The resolved configurations.

    Raises:
        UserError: tells the overrides of the combination, and what is wrong with it.
    """
    from toolkit.tasks.experiment import Experiment

    trees, built = [], set()
    for combination in found:
        try:
            experiment = Experiment.read(origin, combination.overrides)
            if experiment.fingerprint not in built:  # seeds have the same model
                task, _ = experiment.build("meta")
                task.check()
                built.add(experiment.fingerprint)
        except UserError as error:
            raise UserError(f"{' '.join(combination.overrides)}: {error}") from error
        _check_data(experiment.tree["data"], data)
        trees.append(experiment.tree)
    return trees


def _check_data(section: dict[str, Any], data: Path) -> None:
    for split in ("train", "valid", "test"):
        path = data / f"{section[split]}.jsonl"
        if not path.is_file():
            raise UserError(f"no manifest {path}. Next: ./run.sh --stop-stage prepare, or say by --data where it lies")


def _lines(origin: Path, data: Path, combination: Combination, how: How) -> dict[str, list[str]]:
    """The command line of each stage, as `run.sh` has it."""
    prepared, device = ["--data", str(data)], ["--device", how.device]
    described = ["--config", str(origin), *prepared]
    made = ["--exp", f"exp/{combination.tag}"]
    scored = [*made, *prepared, "--split", SPLIT]
    nj = resources.read("score").cpus if how.nj is None and how.launcher == "slurm" else how.nj
    gpus, workers = (["--" + name, str(value)] if value else [] for name, value in (("ngpu", how.ngpu), ("nj", nj)))
    return {
        "features": ["features", *described, *combination.overrides, *device],
        "train": ["train", *described, *made, *combination.overrides, *device, *gpus],
        "infer": ["infer", *scored, *device],
        "score": ["score", *scored, *workers],
    }


def _last_line(path: Path) -> str:
    """What a process said last, in brackets: mostly what was wrong."""
    told = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.is_file() else []
    return f" ({told[-1].strip()})" if told else ""


def _compare(scored: list[Path], out: Path) -> str:
    from toolkit.report.compare import compare

    if len(scored) < 2:
        return ""
    text = compare(scored, SPLIT, out)
    logger.info("the comparison: %s", out)
    return text
