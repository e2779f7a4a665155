"""The launcher `slurm`: jobs of a cluster, submitted through submitit, waited for, cancelled by Ctrl-C.

Jobs with the same resources are one array.  A minute and a half before a job's time is up, Slurm sends SIGUSR2 to all its
processes; the job waits until its command has ended and queues itself again, and the command goes on where it stopped.  What is
preempted is queued again by Slurm.  States are asked of `squeue`, which needs no accounting.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit import log
from toolkit.launch import AGAIN, parts, resources
from toolkit.launch.local import terminated_as_interrupted
from toolkit.launch.resources import Resources
from toolkit.log import UserError

if TYPE_CHECKING:
    from toolkit.launch import Job

LOOK_EVERY = 2.0  # seconds between two questions to the cluster
GRACE = 600.0  # seconds that a cluster may leave between SIGTERM and the end
LATE = 15.0  # seconds that a shared disk may take to show what a job has written
TURNS = 1000  # how often a job may be queued again because its time was up
ACTIVE = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED")
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE", "GONE")

logger = log.get(__name__)


class Command:
    """What a job executes on each of its nodes: one command line.

    Args:
        words: of the command line.
        log: file that takes its output, appended to.
        environment: set for it.
    """

    def __init__(self, words: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.words, self.log, self.environment = list(words), log, dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Run it; the exit code."""
        environment = {**os.environ, **self.environment, **_for_torchrun()}
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(self.words, stdout=output, stderr=subprocess.STDOUT, env=environment)
            while self._process.poll() is None:  # not `wait`, whose lock would be held when `checkpoint` waits
                time.sleep(0.1)
        code = self._process.returncode
        if code == AGAIN:  # told by SIGTERM alone: the cluster takes the job away itself, to cancel it or to queue it again
            time.sleep(GRACE)
        return code

    def checkpoint(self) -> Any:
        """Called by submitit when the job's time is almost up: what is to be done in its next turn, None if there is none.

        Every process of the job has got the signal, so the command is about to end.
        """
        import submitit

        if self._process is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        if _squeue("%T", f"--jobs={submitit.JobEnvironment().job_id}") != ["RUNNING"]:  # it has been cancelled meanwhile
            return None
        return submitit.helpers.DelayedSubmission(Command(self.words, self.log, self.environment))


def run(jobs: Sequence[Job], at_once: int) -> list[int]:
    """As `toolkit.launch.run`."""
    submitit = _submitit()
    if shutil.which("sbatch") is None:
        raise UserError(
            "--launcher slurm: expected Slurm's command sbatch, found none on this machine. "
            "Next: run it where jobs can be submitted, or take --launcher local"
        )
    submitted: list[Any] = [None] * len(jobs)
    with terminated_as_interrupted():
        try:
            for section, numbers in _by_resources(jobs).items():
                wanted = resources.read(section)
                folder = _folder(jobs[numbers[0]])
                parameters = _parameters(wanted, jobs[numbers[0]], len(numbers), at_once)
                _refuse_twice(parameters["comment"])
                executor = submitit.SlurmExecutor(folder, max_num_timeout=TURNS)
                executor.update_parameters(**parameters)
                commands = [_command(jobs[number], wanted) for number in numbers]
                for number, one in zip(numbers, _submit(executor, commands), strict=True):
                    submitted[number] = one
            return _wait(jobs, submitted)
        except BaseException:
            _cancel([one for one in submitted if one is not None])
            raise


def scripts(jobs: Sequence[Job], at_once: int) -> str:
    """What `run` would give to sbatch, one script an array."""
    _submitit()
    from submitit.slurm.slurm import _make_sbatch_string

    texts = []
    for section, numbers in _by_resources(jobs).items():
        first, folder = jobs[numbers[0]], _folder(jobs[numbers[0]])
        parameters = _parameters(resources.read(section), first, len(numbers), at_once)
        told = [f"# {index}: {_spelt(jobs[number])}" for index, number in enumerate(numbers)]
        run_it = shlex.join([sys.executable, "-u", "-m", "submitit.core._submit", str(folder)])
        count = len(numbers) if len(numbers) > 1 else None
        script = _make_sbatch_string(command=run_it, folder=folder, map_count=count, **parameters)
        texts.append("\n".join([script.rstrip(), "", *told, ""]))
    return "\n".join(texts)


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UserError("--launcher slurm needs submitit. Next: pip install submitit") from error
    return submitit


def _by_resources(jobs: Sequence[Job]) -> dict[str, list[int]]:
    """Numbers of the jobs by their section of `utils/cluster.yaml`."""
    found: dict[str, list[int]] = {}
    for number, job in enumerate(jobs):
        found.setdefault(job.resources, []).append(number)
    return found


def _folder(job: Job) -> Path:
    """Where submitit keeps its files: beside the log."""
    return (job.log.parent / "slurm").absolute()


def _command(job: Job, wanted: Resources) -> Command:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    told = {"PET_NPROC_PER_NODE": str(wanted.gpus)} if wanted.gpus > 1 else {}  # read by torchrun
    return Command([sys.executable, "-m", "toolkit", *job.words], job.log.absolute(), {**told, **job.environment})


def _spelt(job: Job) -> str:
    return shlex.join([*(f"{key}={value}" for key, value in job.environment.items()), "toolkit", *job.words])


def _parameters(wanted: Resources, first: Job, count: int, at_once: int) -> dict[str, Any]:
    """Parameters for submitit's executor; by the comment the jobs are found again."""
    given = {
        "job_name": first.resources if count > 1 else first.name,
        "partition": wanted.partition,
        "time": wanted.minutes,
        "nodes": wanted.nodes,
        "ntasks_per_node": 1,
        "cpus_per_task": wanted.cpus,
        "mem": wanted.memory,
        "gres": wanted.devices,
        "array_parallelism": at_once,
        "comment": f"{_folder(first)}:{first.resources}",
        "additional_parameters": {"requeue": True, **wanted.options},
    }
    return {key: value for key, value in given.items() if value is not None}


def _submit(executor: Any, commands: list[Command]) -> list[Any]:
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        return executor.submit_array(commands) if len(commands) > 1 else [executor.submit(commands[0])]
    except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
        reasons = [line for line in str(error).splitlines() if "error" in line] or [str(error)]
        raise UserError(f"sbatch has refused the job: {reasons[-1].strip()}. Next: see {resources.FILE}") from error


def _wait(jobs: Sequence[Job], submitted: Sequence[Any]) -> list[int]:
    """Exit codes, when all have ended; how many wait, run and have ended is told whenever it changes."""
    codes: dict[int, int] = {}
    told = ""
    while len(codes) < len(jobs):
        time.sleep(LOOK_EVERY)
        states = _states()
        if states is None:
            continue
        for number, one in enumerate(submitted):
            state, _ = states.get(one.job_id, ("GONE", ""))
            if number not in codes and state in ENDED:
                codes[number] = _code(one, state)
                how = f"failed with exit code {codes[number]} ({state.lower()})" if codes[number] else "done"
                level = logging.WARNING if codes[number] else logging.INFO
                logger.log(level, "%s: job %s %s, see %s", jobs[number].name, one.job_id, how, jobs[number].log)
        left = [states[one.job_id] for number, one in enumerate(submitted) if number not in codes]
        reasons = [reason for state, reason in left if state not in ACTIVE]
        why = f" ({', '.join(sorted(set(reasons)))})" if any(reasons) else ""
        line = f"{len(reasons)} pending{why}, {len(left) - len(reasons)} running, {len(codes)} of {len(jobs)} done"
        if line != told:
            logger.info("%s", line)
            told = line
    return [codes[number] for number in range(len(jobs))]


def _states() -> dict[str, tuple[str, str]] | None:
    """State of each of the user's jobs that the cluster remembers, and what it waits for; None while it does not answer."""
    listed = _squeue("%i|%T|%r")
    if listed is None:
        return None
    cut = (line.split("|", 2) for line in listed)
    return {number: (state, "" if reason == "None" else reason) for number, state, reason in cut}


def _squeue(form: str, *which: str) -> list[str] | None:
    """A line for each of the user's jobs, or of those that are asked for; None while the cluster does not answer."""
    which = which or (f"--user={getpass.getuser()}",)
    command = ["squeue", "--noheader", "--array", "--states=all", f"--format={form}", *which]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout.splitlines() if found.returncode == 0 else None


def _code(submitted: Any, state: str) -> int:
    """The exit code that a job's command left, the largest of its nodes; 1 where a job ended without leaving any."""
    from submitit.core.utils import UncompletedJobError

    deadline = time.monotonic() + (LATE if state in ("COMPLETED", "GONE") else 0.0)
    tasks = [submitted.task(number) for number in range(submitted.num_tasks)]
    while not all(task.paths.result_pickle.exists() for task in tasks):
        if time.monotonic() > deadline:
            return 1
        time.sleep(0.5)
    try:
        return max((task.result() for task in tasks), key=abs)
    except UncompletedJobError:  # the command could not even be begun
        return 1


def _refuse_twice(comment: str) -> None:
    """Refuse while jobs of an earlier launch are still there: two in one folder would spoil each other's work."""
    for line in _squeue("%i|%T|%k") or []:
        number, state, told = line.split("|", 2)
        if told == comment and state not in ENDED:
            raise UserError(
                f"{comment}: job {number} of an earlier launch is still {state.lower()}. "
                f"Next: wait for it, or scancel {number.partition('_')[0]}"
            )


def _cancel(submitted: Sequence[Any]) -> None:
    numbers = sorted({one.job_id.partition("_")[0] for one in submitted})
    if numbers:
        logger.warning("cancelling %s", log.listing(numbers))
        subprocess.run(["scancel", *numbers])


def _for_torchrun() -> dict[str, str]:
    """What torchrun reads from its environment: where the processes of several nodes meet; nothing on a single node.

    The first node, where srun was called, opens the meeting place at a port that follows from the job's number.
    """
    import submitit

    here = submitit.JobEnvironment()
    if here.num_nodes == 1:
        return {}
    return {
        "PET_NNODES": str(here.num_nodes),
        "PET_NODE_RANK": str(here.node),
        "PET_MASTER_ADDR": os.environ.get("SLURM_LAUNCH_NODE_IPADDR", here.hostnames[0]),
        **({parts.VARIABLE: "1/1"} if here.node else {}),  # the first node keeps the books
        "PET_MASTER_PORT": str(29000 + int(here.raw_job_id) % 3000),
    }
