"""Command lines as jobs: processes of this machine."""

import os
import signal
import threading
from pathlib import Path

import pytest

from toolkit import launch
from toolkit.launch import Job, local
from toolkit.log import UserError


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the package that `python -m toolkit` finds: it does what its words say."""
    program = tmp_path / "toolkit.py"
    program.write_text(
        "import os, signal, sys, time\n"
        "kind, value = sys.argv[1:]\n"
        "print(kind, value, flush=True)\n"
        "if kind == 'sleep': time.sleep(float(value))\n"
        "if kind == 'signal': os.kill(os.getpid(), int(value))\n"
        "sys.exit(int(value) if kind == 'exit' else 0)\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_jobs_run_to_their_end_and_tell_how_it_was(commands: Path) -> None:
    jobs = [Job(f"job{code}", ["exit", str(code)], commands / "logs" / f"{code}.log") for code in (0, 3, 0)]
    jobs.append(Job("killed", ["signal", "9"], commands / "logs" / "killed.log"))
    assert launch.run(jobs, at_once=2) == [0, 3, 0, -9]
    assert (commands / "logs" / "3.log").read_text() == "exit 3\n"


def test_no_more_run_at_once_than_were_asked_for(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = []
    begin = local._begin
    monkeypatch.setattr(local, "_begin", lambda job: at_once.append(0) or begin(job))
    monkeypatch.setattr(local, "_tell", lambda *told: at_once.append(1))
    launch.run([Job(str(i), ["exit", "0"], commands / "log") for i in range(3)])
    assert at_once == [0, 1] * 3


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_the_launcher_stops_all_jobs(commands: Path, how: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    begin = local._begin
    monkeypatch.setattr(local, "_begin", lambda job: begun.append(begin(job)) or begun[-1])
    threading.Timer(0.5, os.kill, [os.getpid(), how]).start()
    with pytest.raises(KeyboardInterrupt):
        launch.run([Job(str(i), ["sleep", "60"], commands / f"{i}.log") for i in range(3)], at_once=2)
    assert len(begun) == 2
    assert all(process.returncode is not None for process in begun)


def test_an_unknown_launcher_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'slurm'"):
        launch.run([Job("one", [], tmp_path / "log")], "slrum")
