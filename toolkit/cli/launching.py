"""A stage's work as jobs of a cluster: the process that launches them keeps the books and waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit import files, launch
from toolkit.cli.options import Arguments
from toolkit.launch import parts, resources
from toolkit.log import UserError
from toolkit.stages import Stage


def run(stage: Stage, arguments: Arguments, cut: bool) -> list[Path]:
    """Run a stage's work: its parts side by side if it can be cut, then whatever is left as one job.

    Args:
        stage: what is to be done.
        arguments: of the command line, with its `words`.
        cut: whether parts of the work can be done side by side.

    Returns:
        Files that were made besides those of the books.

    Raises:
        UserError: a job has failed; what the others have done is kept.
    """
    made = _made(stage)
    made.unlink(missing_ok=True)
    for jobs in turns(stage, arguments, cut):
        codes = launch.run(jobs, arguments.launcher, at_once=len(jobs))
        failed = [str(job.log) for job, code in zip(jobs, codes, strict=True) if code]
        if failed:
            raise UserError(
                f"{len(failed)} of {len(jobs)} jobs failed, see {', '.join(failed[:3])}. "
                "Next: run the same command again; what is finished is kept"
            )
    return [Path(path) for path in _taken(made)]


def turns(stage: Stage, arguments: Arguments, cut: bool) -> list[list[launch.Job]]:
    """The jobs of a stage; those of a turn run side by side, when those of the turn before are done."""
    given = resources.read(stage.name)
    count = given.shards if cut else 1
    words = _words(arguments, given)

    def job(part: parts.Part) -> launch.Job:
        name = stage.name if part.is_whole else f"{stage.name}-{part}"
        environment = {parts.VARIABLE: f"{part.number}/{part.of}"}
        return launch.Job(name, words, stage.folder / "logs" / f"{name}.job.log", stage.name, environment)

    side_by_side = [job(parts.Part(number, count)) for number in range(1, count + 1)] if count > 1 else []
    return [turn for turn in (side_by_side, [job(parts.WHOLE)]) if turn]


def keep_made(stage: Stage, made: Any) -> None:
    """Within a job: leave word of the files that were made besides those of the books."""
    if made:
        files.write_json(_made(stage), [str(path) for path in made])


def scripts(stage: Stage, arguments: Arguments, cut: bool) -> str:
    """What would be submitted, as sbatch would read it.

    Raises:
        UserError: the launcher is not that of a cluster.
    """
    if arguments.launcher != "slurm":
        raise UserError("--dry-run: expected --launcher slurm beside it; --status says whether there is anything to do")
    from toolkit.launch import slurm

    return "\n".join(slurm.scripts(jobs, at_once=len(jobs)) for jobs in turns(stage, arguments, cut))


def _words(arguments: Arguments, given: resources.Resources) -> list[str]:
    """The command line of the job itself."""
    words, rest = [], iter(arguments.words)
    for word in rest:
        if word == "--launcher":
            next(rest)
        elif word not in ("--dry-run", "--force") and not word.startswith("--launcher="):
            words.append(word)
    if getattr(arguments, "nj", 0) is None:
        words += ["--nj", str(given.cpus)]
    return words


def _made(stage: Stage) -> Path:
    return stage.record_path.with_suffix(".made.json")


def _taken(path: Path) -> list[str]:
    if not path.is_file():
        return []
    made: list[str] = files.read_json(path, list[str])
    path.unlink()
    return made
