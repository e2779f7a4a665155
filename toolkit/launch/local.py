"""The launcher `local`: jobs as processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from toolkit import log

if TYPE_CHECKING:
    from toolkit.launch import Job

LOOK_EVERY = 0.1  # seconds between two looks at which are done
PATIENCE = 20.0  # seconds that a process has to end when it is asked to

logger = log.get(__name__)


def run(jobs: Sequence[Job], at_once: int) -> list[int]:
    """As `toolkit.launch.run`: each job is `python -m toolkit` in a group of processes of its own."""
    waiting = deque(enumerate(jobs))
    running: dict[int, subprocess.Popen[bytes]] = {}
    codes: dict[int, int] = {}
    with terminated_as_interrupted():
        try:
            while waiting or running:
                while waiting and len(running) < max(at_once, 1):
                    number, job = waiting.popleft()
                    running[number] = _begin(job)
                time.sleep(LOOK_EVERY)
                for number in [number for number, process in running.items() if process.poll() is not None]:
                    codes[number] = running.pop(number).returncode
                    _tell(jobs[number], codes[number], len(codes), len(jobs))
        finally:
            _end(list(running.values()))
    return [codes[number] for number in range(len(jobs))]


def _begin(job: Job) -> subprocess.Popen[bytes]:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    logger.info("%s: begun, its output goes to %s", job.name, job.log)
    with job.log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "toolkit", *job.words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **job.environment},
            start_new_session=True,  # so that all that it starts can be ended with it
        )


def _tell(job: Job, code: int, done: int, total: int) -> None:
    if code:
        logger.warning("%s: failed with exit code %d, see %s (%d of %d)", job.name, code, job.log, done, total)
    else:
        logger.info("%s: done (%d of %d)", job.name, done, total)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Interrupt processes as Ctrl-C does; those that have not ended after a while are killed."""
    for how in (signal.SIGINT, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, how)
        deadline = time.monotonic() + PATIENCE
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.0))


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM and a terminal that goes away end the block as Ctrl-C does, so that what it has begun is ended too."""
    if threading.current_thread() is not threading.main_thread():  # which alone may say what signals do
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
