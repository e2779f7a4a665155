"""Runs of the command line that may be killed: one process has loaded all there is to load and forks for each run.

As a script it serves requests, one JSON object a line; as a module it has the other end, `Machine`.  A run may be ended with
SIGKILL at a moment, or by itself before the n-th of its file operations (opened for writing, renamed, removed, made), which is
where an interruption hurts.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        code: exit code, negative for a signal.
        told: what it printed, both streams.
        seconds: how long it took.
        operations: file operations, where it came to its end.
    """

    code: int
    told: str
    seconds: float
    operations: int


class Machine:
    """The process that forks.

    Args:
        place: folder for what it prints.
    """

    def __init__(self, place: Path) -> None:
        self.place, self.outs = place, dict[int, Path]()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._answer() == "ready"

    def start(self, *words: str, cwd: Path, **faults: Any) -> int:
        """Begin a run of ``toolkit words``; gives its process.  `faults` are the arguments of `_suffer`."""
        out = self.place / str(len(self.outs))
        process = int(self._ask({"words": words, "cwd": str(cwd), "out": str(out), "faults": faults}))
        self.outs[process] = out
        return process

    def wait(self, process: int, began: float = 0.0) -> Ended:
        """Wait for the end of a run."""
        status = int(self._ask({"wait": process}))
        told = self.outs[process].read_text(errors="replace")
        count = Path(f"{self.outs[process]}.operations")
        operations = int(count.read_text()) if count.exists() else 0
        return Ended(os.waitstatus_to_exitcode(status), told, time.monotonic() - began, operations)

    def run(self, *words: str, cwd: Path, kill_after: float | None = None, **faults: Any) -> Ended:
        """Run ``toolkit words`` to its end, or kill it after some seconds."""
        began = time.monotonic()
        process = self.start(*words, cwd=cwd, **faults)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(process, signal.SIGKILL)
        return self.wait(process, began)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any]) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def _serve() -> None:
    _load()
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            print(os.waitpid(request["wait"], 0)[1], flush=True)
        elif child := os.fork():
            print(child, flush=True)
        else:
            _run(**request)


def _load() -> None:
    import matplotlib.figure  # noqa: F401
    import torch
    import torch.utils.tensorboard

    import toolkit.cli
    import toolkit.corpora.nottingham
    import toolkit.corpora.quadrants
    import toolkit.features.run
    import toolkit.infer.run
    import toolkit.prepare.run
    import toolkit.report
    import toolkit.report.html
    import toolkit.score.run
    import toolkit.tasks.hypotheses
    import toolkit.tasks.separation
    import toolkit.tasks.tagging
    import toolkit.train.run  # noqa: F401

    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)]).step()  # which loads a great deal more


def _run(words: list[str], cwd: str, out: str, faults: dict[str, Any]) -> None:
    """In the forked process: run and exit, whatever happens."""
    import traceback

    from toolkit.cli import main

    stream = os.open(out, os.O_WRONLY | os.O_CREAT)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.chdir(cwd)
    sys.argv = ["toolkit", *words]
    code: Any = 1
    operations = _suffer(**faults)
    try:
        main(words)
        code = 0
    except SystemExit as exit_:
        code = exit_.code
    except BaseException:
        traceback.print_exc()
    finally:
        done = operations[0]
        sys.stdout.flush()
        sys.stderr.flush()
        Path(f"{out}.operations").write_text(str(done))
        os._exit(code if isinstance(code, int) else 1)


def _suffer(
    die_at: int | None = None,
    backwards: bool = False,
    largest_file: int | None = None,
    small_shards: bool = True,
    strike: tuple[str, int, str] | None = None,
) -> list[int]:
    """Let the run suffer.

    Args:
        die_at: it is killed before this file operation, counted from 0.
        backwards: its clock goes back an hour each time that somebody looks.
        largest_file: bytes; stands for a full disk where none may be mounted.
        small_shards: features are stored in shards of two recordings, so that there are several.
        strike: a pattern, a number n and a shell command, which is run before the n-th of the file operations that the pattern
            matches, such as ``os.mkdir exp/checkpoints/.partial-1``.

    Returns:
        A list of the number of its file operations so far.
    """
    count, struck = [0], [0]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
            if count[0] == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            count[0] += 1
            if strike and re.search(strike[0], f"{event} {arguments[0]}"):
                struck[0] += 1
                if struck[0] == strike[1]:
                    os.system(strike[2])

    sys.addaudithook(watch)
    if backwards:
        now = [time.time()]

        def clock() -> float:
            now[0] -= 3600.0
            return now[0]

        local, formatted = time.localtime, time.strftime
        time.time = clock
        time.localtime = lambda seconds=None: local(clock() if seconds is None else seconds)  # type: ignore[assignment]
        time.strftime = lambda form, moment=None: formatted(form, moment or time.localtime())  # type: ignore[assignment]
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if small_shards:
        from toolkit.features import compute

        compute.SHARD_CLIPS = 2
    return count


if __name__ == "__main__":
    _serve()
    os._exit(0)  # at once: there is much to tidy up, and no need to
