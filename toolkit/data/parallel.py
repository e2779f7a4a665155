"""A pure function over many files: several processes, results in the order of the jobs, restartable, bad files named.

What a job returned is kept in a journal beside its outputs (`toolkit.data.journal`). A job is done again only when its
signature (what its result depends on) changed or an output is gone; since files are written atomically (`toolkit.files`), one
that is there is whole.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import log, progress
from toolkit.data.journal import Chosen, Results
from toolkit.log import UserError

WORKERS_START = 4.0  # seconds that workers need for their imports
CHUNK, AHEAD = 32, 8  # jobs that a worker is given at once, at most; such chunks that wait for each worker
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

logger = log.get(__name__)


@dataclass(frozen=True)
class Job:
    """One call of the function.

    Attributes:
        id: names the job in logs and in the journal.
        argument: what the function is called with; it and the function must be able to go to another process.
        signature: changes whenever the result would; see `files_signature`.
        outputs: files that the function writes, each atomically.
    """

    id: str
    argument: Any
    signature: str = ""
    outputs: tuple[Path, ...] = ()


class Jobs(Sequence[Job]):
    """Jobs that are made whenever they are asked for, so that a million of them need not be held.

    Args:
        ids: of the jobs.
        make: the job of an id.
    """

    def __init__(self, ids: Sequence[str], make: Callable[[str], Job]) -> None:
        self._ids, self._make = ids, make

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, number: Any) -> Any:
        return self._make(self._ids[number])


@dataclass(frozen=True)
class Skipped:
    """A job that could not be done since a file is unusable, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What came of all jobs.

    Attributes:
        results: job id to what the function returned, in the order of the jobs; read from the journal where there is one.
        skipped: the jobs without result.
        reused: how many results were taken from the journal.
    """

    results: Mapping[str, Any] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    reused: int = 0

    def done(self, jobs: Iterable[Job]) -> list[Job]:
        """The jobs among these that have a result."""
        return [job for job in jobs if job.id in self.results]

    def some(self, ids: Iterable[str]) -> Outcome:
        """What came of some of the jobs, in their order here."""
        wanted = dict.fromkeys(ids)
        results = Chosen(self.results, wanted)
        return Outcome(results, [one for one in self.skipped if one.id in wanted], min(self.reused, len(results)))


class Workers:
    """Worker processes: started when there is enough to do for them, kept until the `with` block ends.

    Attributes:
        nj: how many; by default as many as this process may use processors.
    """

    def __init__(self, nj: int | None = None) -> None:
        self.nj = processors() if nj is None else nj
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None
        self._environment = contextlib.ExitStack()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._environment.close()

    def calls(self, function: Callable[[Any], Any], jobs: Iterator[Any], count: int, what: str) -> Generator[Any, None, None]:
        """Yield ``function(job)`` for each of `count` jobs in order; few of them are taken ahead of those that are done.

        Raises:
            UserError: a worker died.
        """
        began = time.monotonic()
        for done in range(count):
            if self._are_worth_it(time.monotonic() - began, done, count - done):
                yield from self._pooled_calls(function, jobs, count - done, what)
                return
            yield function(next(jobs))

    def _are_worth_it(self, elapsed: float, done: int, left: int) -> bool:
        """Whether what is left would take this process so long that starting workers saves time."""
        if self.nj <= 1 or left <= 1:
            return False
        return self._pool is not None or (elapsed >= WORKERS_START / 4 and elapsed * left >= 4 * WORKERS_START * done)

    def _pooled_calls(
        self, function: Callable[[Any], Any], jobs: Iterator[Any], count: int, what: str
    ) -> Generator[Any, None, None]:
        if self._pool is None:
            self._environment.enter_context(_single_threaded_children())
            context = multiprocessing.get_context("spawn")  # a fork would copy the locks of torch's threads
            self._pool = concurrent.futures.ProcessPoolExecutor(self.nj, context, initializer=begin_worker)
        size = max(1, min(CHUNK, count // (4 * self.nj)))
        waiting: deque[concurrent.futures.Future[list[Any]]] = deque()
        try:
            while chunk := list(itertools.islice(jobs, size)):
                waiting.append(self._pool.submit(_all, function, chunk))
                if len(waiting) > AHEAD * self.nj:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            raise UserError(
                f"{what}: a worker process died, perhaps for want of memory. Next: run the same command with a smaller --nj, "
                "what is finished is kept; a script of your own needs `if __name__ == '__main__':`, or nj=1"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def run(
    function: Callable[[Any], Any],
    jobs: Sequence[Job],
    what: str,
    *,
    nj: int | None = None,
    workers: Workers | None = None,
    journal: Path | None = None,
    strict: bool = False,
) -> Outcome:
    """Call `function` once a job; a job whose call raises `UserError` is skipped, named and counted.

    Args:
        function: importable by name; depends on its argument alone.
        jobs: with ids that differ.
        what: plural noun for the progress line, e.g. "mixtures".
        nj: worker processes (default: processors of this process); with 1, or for a few seconds' work, this very process.
        workers: processes that are shared with other runs, in place of `nj`.
        journal: JSON Lines file that makes the run restartable.
        strict: a job that would be skipped is an error.

    Raises:
        UserError: a file is unusable and `strict`, an output cannot be written, or a worker died.
    """
    results = Results(journal)
    pending = array("q", (number for number, job in enumerate(jobs) if not _is_current(job, results)))
    skipped = []
    with contextlib.ExitStack() as stack:
        stack.callback(results.close)
        workers = workers or stack.enter_context(Workers(nj))
        left = (jobs[number] for number in pending)
        calls = stack.enter_context(contextlib.closing(workers.calls(partial(_guarded, function), left, len(pending), what)))
        for id, signature, result in progress.track(calls, what, total=len(pending)):
            if isinstance(result, Skipped):
                skipped.append(_skip(result, what, strict))
                results.drop(id)
            else:
                results.enter(id, signature, result)
    if skipped:
        logger.warning("%s: %d of %d skipped, each named above", what, len(skipped), len(jobs))
    return Outcome(results, skipped, len(jobs) - len(pending))


def files_signature(paths: Iterable[Path], root: Path, *options: object) -> str:
    """What a result that is made from `paths` with `options` depends on: names below `root`, sizes, times of change."""
    parts = [str(option) for option in options]
    for path in paths:
        status = path.stat()
        parts.append(f"{os.path.relpath(path, root)} {status.st_size} {status.st_mtime_ns}")
    return "|".join(parts)


def _is_current(job: Job, results: Results) -> bool:
    return results.expect(job.id, job.signature) and all(map(os.path.exists, job.outputs))


def _skip(skipped: Skipped, what: str, strict: bool) -> Skipped:
    if strict:
        raise UserError(f"{what}: {skipped.id}: {skipped.reason}. Next: mend the file, or run without --strict to leave it out")
    logger.warning("skipped %s: %s", skipped.id, skipped.reason)
    return skipped


def _all(function: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Any]:
    return [function(job) for job in jobs]


def _guarded(function: Callable[[Any], Any], job: Job) -> tuple[str, str, Any]:
    """Id and signature of a job as it was made for this call, and what the function returned."""
    try:
        return job.id, job.signature, function(job.argument)
    except UserError as error:
        return job.id, job.signature, Skipped(job.id, str(error))
    except OSError as error:
        raise UserError(
            f"{job.id}: {error}. Next: see to it and run the same command again; what is finished is kept"
        ) from error


def processors() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def begin_worker() -> None:
    """A worker leaves being stopped to its parent, computes on one thread, and ends when its parent is killed."""
    if "torch" in sys.modules:  # loaded before the environment could tell it
        sys.modules["torch"].set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def _single_threaded_children() -> Iterator[None]:
    """Children read these when they load NumPy and torch: one thread a process."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
