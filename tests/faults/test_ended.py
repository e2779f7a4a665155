"""Runs that are ended, or find no room: the same command again gives what an undisturbed run gives."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import WORDS, House, Row, result
from machine import Ended

from toolkit.stages import alone

pytestmark = pytest.mark.faults
KILLED = -9
QUICK = ("train", "infer")
FULL = "No space left on device"


def same(house: House, stage: str, folder: Path) -> bool:
    found, expected = result(folder), result(house.after(stage))
    differing = {name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)}
    assert not differing, f"{stage}: {sorted(differing)}"
    return True


def last(ended: Ended) -> str:
    """What the user is told, without the paths of this machine."""
    lines = [line for line in ended.told.splitlines() if line.startswith("toolkit ")]
    assert len(lines) == 1, ended.told
    return lines[0]


@pytest.mark.parametrize("stage", WORDS)
def test_a_killed_stage_is_run_again(stage: str, house: House, tmp_path: Path, tries: int, row: Callable[..., Row]) -> None:
    if not tries and stage not in QUICK:
        pytest.skip("only with --faults")
    line = row("SIGKILL before a file operation", stage, told="state `failed`, until the command is run again")
    for number in range(tries or 1):
        folder = house.before(stage, tmp_path / str(number))
        at = random.Random(f"{stage}{number}").randrange(house.ended[stage].operations)
        assert house.run(stage, folder, die_at=at).code == KILLED
        assert house.run(stage, folder).code == 0
        line.count(same(house, stage, folder))
        shutil.rmtree(folder)


@pytest.mark.parametrize("stage", WORDS)
def test_a_stage_that_is_killed_twice_is_run_again(
    stage: str, house: House, tmp_path: Path, tries: int, row: Callable[..., Row]
) -> None:
    if not tries:
        pytest.skip("only with --faults")
    line = row("SIGKILL at a moment, then at another", stage, told="the same")
    for number in range(tries or 1):
        chance = random.Random(f"{stage}{number}")
        folder = house.before(stage, tmp_path / str(number))
        ended = [house.run(stage, folder, kill_after=chance.random() * house.ended[stage].seconds) for _ in range(2)]
        assert {one.code for one in ended} <= {KILLED, 0}
        assert house.run(stage, folder).code == 0
        line.count(same(house, stage, folder))
        shutil.rmtree(folder)


@pytest.mark.parametrize("stage", WORDS)
def test_a_full_disk_is_told_and_gone_on_from(
    stage: str, house: House, disk: Callable[[int], Path | None], tmp_path: Path, tries: int, row: Callable[..., Row]
) -> None:
    if not tries and stage != "train":
        pytest.skip("only with --faults")
    place = disk(64 << 20)
    how = "full disk" if place else "file size limit (no right to mount a small disk)"
    line = row(how, stage)
    written = house.written(stage)
    for number in range(tries or 1):
        chance = random.Random(f"{stage}{number}")
        folder = house.before(stage, (place or tmp_path) / str(number))
        faults: dict[str, Any] = {}
        if place:
            room = int(0.8 * chance.random() * max(written, 1 << 14))
            with (place / "rest").open("wb", buffering=0) as rest:
                free = shutil.disk_usage(place).free - room
                for _ in range(max(0, free) >> 12):
                    rest.write(bytes(1 << 12))
        else:
            faults = {"largest_file": int(100 + 0.5 * chance.random() * written)}
        ended = house.run(stage, folder, **faults)
        (place or tmp_path).joinpath("rest").unlink(missing_ok=True)
        if ended.code == 0:  # it fitted
            same(house, stage, folder)
        else:
            assert ended.code == 2, ended.told
            line.told = "…" + last(ended)[-150:].partition(": ")[2]
            assert FULL in ended.told or not place, ended.told
            assert house.run(stage, folder).code == 0
            line.count(same(house, stage, folder))
        shutil.rmtree(folder)


def test_a_disk_that_is_full_within_a_checkpoint(
    house: House, disk: Callable[[int], Path | None], tries: int, row: Callable[..., Row]
) -> None:
    place = disk(64 << 20)
    if place is None:
        pytest.skip("needs the right to mount a disk")
    line = row("full disk in the middle of a checkpoint", "train")
    rest = place / "rest"
    for number in range(tries or 1):
        folder = house.before("train", place / str(number))
        fill = f"cat /dev/zero >{rest} 2>/dev/null"
        at = random.Random(number).randrange(2, 6)
        ended = house.run("train", folder, strike=(r"os.rename .*/\.partial-\d+/\.model", at, fill))
        rest.unlink()
        line.told = last(ended).replace(str(folder), "…")
        assert ended.code == 2
        assert FULL in line.told
        saved = {2, 4, 6} if at > 3 else {2, 4} if at == 3 else {2}  # the fourth is of step 6 too: an epoch's end
        kept = sorted(path.name for path in (folder / "exp" / "checkpoints").iterdir())
        assert kept == [f"step-{step:08d}" for step in sorted(saved)[-2:]]
        assert house.run("train", folder).code == 0
        line.count(same(house, "train", folder))
        shutil.rmtree(folder)


def test_a_folder_that_may_only_be_read(house: House, disk: Callable[[int], Path | None], row: Callable[..., Row]) -> None:
    place = disk(64 << 20)
    if place is None:
        pytest.skip("needs the right to mount a disk")
    folder = house.before("train", place / "house")
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    line = row("read-only folder", "train")
    ended = house.run("train", folder)
    assert (ended.code, house.run("features", folder, "--status").code) == (2, 0)
    line.told = last(ended).replace(str(folder), "…")
    assert "Read-only file system" in line.told
    assert "Next: mend its permissions, or give a folder that you may write to" in line.told
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
    assert house.run("train", folder).code == 0
    line.count(same(house, "train", folder))


def test_a_clock_that_runs_backwards(house: House, tmp_path: Path, row: Callable[..., Row]) -> None:
    line = row(
        "clock goes back an hour whenever read", "train", told="nothing: durations are monotonic, states are of contents"
    )
    folder = house.before("train", tmp_path / "house")
    assert house.run("train", folder, "--train.max_minutes", "60", backwards=True).code == 0
    line.count(house.run("train", folder, "--train.max_minutes", "60").told.count("done before, nothing has changed") == 1)
    assert line.survived


def test_a_second_run_in_the_same_folder_is_refused(house: House, tmp_path: Path, row: Callable[..., Row]) -> None:
    line = row("two runs in the same folder at once", "train")
    folder = house.before("train", tmp_path / "house")
    first = house.machine.start(*WORDS["train"].split(), cwd=folder)
    lock = folder / "exp" / ".stages" / "train.lock"
    while not (lock.exists() and lock.read_text()):
        pass
    second = house.run("train", folder)
    line.told = last(second)
    assert second.code == 2
    assert f"another process is at it (process {first} on " in second.told
    assert house.machine.wait(first).code == 0
    line.count(same(house, "train", folder))


def test_recordings_that_have_gone_are_waited_for(house: House, tmp_path: Path, tries: int, row: Callable[..., Row]) -> None:
    if not tries:
        pytest.skip("only with --faults; tests/unit/test_features.py has it too")
    line = row("corpus gone since `prepare`", "features")
    folder = house.before("features", tmp_path / "house")
    (folder / "clips" / "c3.flac").rename(folder / "c3.flac")
    ended = house.run("features", folder)
    line.told = last(ended).replace(str(folder), "…")
    assert ended.code == 2
    assert "clips/c3.flac; it was there when its manifest was written" in line.told
    (folder / "c3.flac").rename(folder / "clips" / "c3.flac")
    assert house.run("features", folder).code == 0
    line.count(same(house, "features", folder))


@pytest.mark.parametrize(
    ("stage", "written"),
    [
        ("train of sounds", "os.mkdir .*partial-"),
        ("infer of sounds", "open .*index.jsonl"),
        ("score of sounds", "open .*journal"),
    ],
)
def test_recordings_that_go_away_meanwhile_are_waited_for(
    stage: str, written: str, house: House, tmp_path: Path, tries: int, row: Callable[..., Row]
) -> None:
    if not tries and stage != "train of sounds":
        pytest.skip("only with --faults")
    line = row("corpus gone in the middle", stage)
    for number in range(tries or 1):
        folder = house.before(stage, tmp_path / str(number))
        ended = house.run(stage, folder, strike=(written, 1, "mv clips away"))
        line.told = last(ended).replace(str(folder), "…")
        assert ended.code == 2
        assert "it was there when its manifest was written" in line.told
        (folder / "away").rename(folder / "clips")
        assert house.run(stage, folder).code == 0
        line.count(same(house, stage, folder))
        shutil.rmtree(folder)


def test_a_training_that_outlived_its_books_is_not_joined(house: House, tmp_path: Path, row: Callable[..., Row]) -> None:
    line = row("a killed `--ngpu 2` whose processes go on", "train")
    folder = house.before("train", tmp_path / "house")
    with alone(folder / "exp" / ".stages" / "training.lock", "training"):  # as the first of them holds it
        ended = house.run("train", folder)
    line.told = last(ended)
    assert ended.code == 2
    assert "training in exp: another process is at it" in ended.told
    assert house.run("train", folder).code == 0
    line.count(same(house, "train", folder))


def test_a_port_that_is_in_use(house: House, tmp_path: Path, tries: int, row: Callable[..., Row]) -> None:
    if not tries:
        pytest.skip("only with --faults")
    line = row("torchrun's port 29500 is in use", "train, --ngpu 2", told="nothing: a free one is taken")
    folder = house.before("train", tmp_path / "house")
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # by somebody else: so much the better
            taken.bind(("127.0.0.1", 29500))
            taken.listen()
        ended = house.run("train", folder, "--ngpu", "2")
    assert ended.code == 0, ended.told
    line.count((folder / "exp" / "model.safetensors").is_file())
