"""Command lines of the toolkit as jobs: processes of this machine, or jobs of a cluster.

A launcher is a function that takes jobs and gives their exit codes; it knows nothing of what they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.log import UserError, suggestion

LAUNCHERS = ("local", "slurm")
AGAIN = 75  # exit code of a command that was asked to stop and wants to be run again; EX_TEMPFAIL of sysexits.h


@dataclass(frozen=True)
class Job:
    """One command line.

    Attributes:
        name: what it is called where progress is shown.
        words: the command line after `toolkit`.
        log: file that takes its output, appended to.
        resources: section of utils/cluster.yaml, a stage's name; a launcher of this machine does without.
        environment: variables that are set for it.
    """

    name: str
    words: Sequence[str]
    log: Path
    resources: str = "default"
    environment: Mapping[str, str] = field(default_factory=dict)


def run(jobs: Sequence[Job], launcher: str = "local", at_once: int = 1) -> list[int]:
    """Run jobs to their end; Ctrl-C (and SIGTERM) ends them all.

    Args:
        jobs: in the order in which they are begun.
        launcher: `local`, processes of this machine; `slurm`, jobs of a cluster.
        at_once: how many run at the same time.

    Returns:
        Their exit codes, in the order of `jobs`.

    Raises:
        UserError: there is no such launcher, or no such cluster here, or it refuses the jobs.
    """
    if launcher == "local":
        from toolkit.launch import local

        return local.run(jobs, at_once)
    if launcher == "slurm":
        from toolkit.launch import slurm

        return slurm.run(jobs, at_once)
    raise UserError(f"--launcher {launcher}: there is no such launcher{suggestion(launcher, LAUNCHERS)}")
