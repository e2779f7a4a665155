"""Command lines of the toolkit as jobs: processes of this machine, or jobs of a cluster.

A launcher is a function that takes jobs and gives their exit codes; it knows nothing of what they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.log import UserError, suggestion

LAUNCHERS = ("local", "slurm")


@dataclass(frozen=True)
class Job:
    """One command line.

    Attributes:
        name: what it is called where progress is shown.
        words: the command line after `toolkit`.
        log: file that takes its output, appended to.
        resources: section of utils/cluster.yaml, a stage's name; a launcher of this machine does without.
    """

    name: str
    words: Sequence[str]
    log: Path
    resources: str = "default"


def run(jobs: Sequence[Job], launcher: str = "local", at_once: int = 1) -> list[int]:
    """Run jobs to their end; Ctrl-C (and SIGTERM) ends them all.

    Args:
        jobs: in the order in which they are begun.
        launcher: `local`, processes of this machine.
        at_once: how many run at the same time.

    Returns:
        Their exit codes, in the order of `jobs`.

    Raises:
        UserError: there is no such launcher.
    """
    if launcher == "local":
        from toolkit.launch import local

        return local.run(jobs, at_once)
    raise UserError(f"--launcher {launcher}: there is no such launcher{suggestion(launcher, LAUNCHERS)}")
