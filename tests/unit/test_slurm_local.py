"""`tools/slurm_local.sh install` ends in time and says in one line why there is no Slurm, whatever it finds."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "slurm_local.sh"
PROGRAMS = ("bash", "sh", "cat", "dirname", "grep", "head", "mktemp", "rm", "sed", "sleep", "tail", "timeout")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder of the few programs that are to be found; of Slurm there are none."""
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("user", "apt", "told"),
    [
        (1000, "true", "expected root and apt-get. Next: install slurm-wlm and munge yourself"),
        (0, None, "expected root and apt-get. Next: install slurm-wlm and munge yourself"),
        (0, "echo noise; echo E: Unable to locate package; exit 100", "apt-get failed: E: Unable to locate package"),
        (0, "echo noise; sleep 60", "apt-get was given up after 0.5 s"),
        (0, '[ "$1" = update ] || echo all is well', ""),
    ],
)
def test_installing_ends_in_time_and_tells_why_not(bare: Path, user: int, apt: str | None, told: str) -> None:
    program(bare, "id", f"echo {user}")
    if apt is not None:
        program(bare, "apt-get", apt)
    environment = {**os.environ, "PATH": str(bare)}
    ended = subprocess.run([SCRIPT, "install", "0.5"], env=environment, capture_output=True, text=True, timeout=30)
    assert (ended.stdout, ended.stderr) == ("", f"slurm_local.sh: {told}\n" if told else "")
    assert (ended.returncode == 0) == (told == "")


def test_starting_without_it_says_what_is_missing(bare: Path) -> None:
    program(bare, "id", "echo 0")
    ended = subprocess.run([SCRIPT, "start"], env={**os.environ, "PATH": str(bare)}, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "expected Slurm and munge, found no" in ended.stderr
    assert ended.stderr.endswith("slurm_local.sh install\n")
