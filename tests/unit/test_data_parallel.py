"""Many jobs in several processes, restartable, with bad files named."""

import json
import os
from pathlib import Path

import pytest

from toolkit import files
from toolkit.data import parallel
from toolkit.data.parallel import Job, Skipped, run
from toolkit.log import UserError


def double(argument: tuple[Path, int]) -> int:
    """A worker's function: importable by name. Odd numbers stand for unusable files."""
    path, number = argument
    if number % 2:
        raise UserError("odd")
    files.write_text(path, str(2 * number))
    with (path.parent / "calls").open("a") as stream:
        stream.write(f"{number}\n")
    (path.parent / f"process {os.getpid()} threads {os.environ.get('OMP_NUM_THREADS')}").touch()
    return 2 * number


def die(number: int) -> None:
    os._exit(1)


def fill_the_disk(number: int) -> None:
    raise OSError(28, "No space left on device")


def jobs(folder: Path, numbers: range | list[int], signature: str = "") -> list[Job]:
    return [Job(str(n), (folder / str(n), n), signature, (folder / str(n),)) for n in numbers]


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text().split() if path.exists() else []


def test_results_stand_in_the_order_of_the_jobs_and_bad_files_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = run(double, jobs(tmp_path, [4, 2, 3, 0]), "numbers", nj=1)
    assert list(outcome.results.items()) == [("4", 8), ("2", 4), ("0", 0)]
    assert outcome.skipped == [Skipped("3", "odd")]
    assert [record.getMessage() for record in caplog.records] == [
        "skipped 3: odd",
        "numbers: 1 of 4 skipped, each named above",
    ]


def test_strict_makes_a_bad_file_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"numbers: 3: odd. Next"):
        run(double, jobs(tmp_path, [2, 3, 4]), "numbers", nj=1, strict=True)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    first = run(double, jobs(tmp_path, [2, 4]), "numbers", nj=1, journal=journal)
    second = run(double, jobs(tmp_path, [2, 4, 6]), "numbers", nj=1, journal=journal)
    assert (first.reused, second.reused) == (0, 2)
    assert second.results == {"2": 4, "4": 8, "6": 12}
    assert calls(tmp_path) == ["2", "4", "6"]


def test_a_changed_signature_or_a_lost_output_is_done_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    run(double, jobs(tmp_path, [2, 4, 6]), "numbers", nj=1, journal=journal)
    (tmp_path / "4").unlink()
    changed = [*jobs(tmp_path, [2, 4]), *jobs(tmp_path, [6], "other options")]
    assert run(double, changed, "numbers", nj=1, journal=journal).reused == 1
    assert calls(tmp_path) == ["2", "4", "6", "4", "6"]


def test_a_journal_cut_short_by_a_crash_loses_its_last_line_only(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    run(double, jobs(tmp_path, [2, 4]), "numbers", nj=1, journal=journal)
    journal.write_text(journal.read_text()[:-7])
    assert run(double, jobs(tmp_path, [2, 4]), "numbers", nj=1, journal=journal).reused == 1
    assert [json.loads(line)["id"] for line in journal.read_text().splitlines()] == ["2", "4"]


def test_bad_files_are_tried_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    for _ in range(2):
        assert run(double, jobs(tmp_path, [3]), "numbers", nj=1, journal=journal).skipped == [Skipped("3", "odd")]


def test_workers_give_what_one_process_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "WORKERS_START", 0)
    wanted = [0, 2, 3, 4, 6, 8, 10, 12]
    alone = run(double, jobs(tmp_path / "alone", wanted), "numbers", nj=1)
    together = run(double, jobs(tmp_path / "together", wanted), "numbers", nj=2)
    assert list(together.results.items()) == list(alone.results.items())
    assert together.skipped == alone.skipped
    processes = {path.name.split()[1]: path.name.split()[3] for path in (tmp_path / "together").glob("process *")}
    assert str(os.getpid()) not in processes
    assert set(processes.values()) == {"1"}


def test_workers_are_kept_from_run_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "WORKERS_START", 0)
    before = os.environ.get("OMP_NUM_THREADS")
    with parallel.Workers(2) as workers:
        for _ in range(3):
            run(double, jobs(tmp_path, [2, 4, 6, 8]), "numbers", workers=workers)
    assert len(list(tmp_path.glob("process *"))) <= 2
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_a_moments_work_starts_no_worker(tmp_path: Path) -> None:
    run(double, jobs(tmp_path, [2, 4]), "numbers", nj=8)
    assert [path.name.split()[1] for path in tmp_path.glob("process *")] == [str(os.getpid())]


def test_a_dead_worker_is_the_users_error_and_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "WORKERS_START", 0)
    with pytest.raises(UserError, match=r"numbers: a worker process died.*smaller --nj"):
        run(die, [Job("1", 1), Job("2", 2)], "numbers", nj=2)


def test_a_full_disk_ends_the_run() -> None:
    with pytest.raises(UserError, match=r"1: .*No space left.*Next"):
        run(fill_the_disk, [Job("1", 1)], "numbers")


def test_signature_follows_name_size_time_and_options(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.wav"
    files.write_text(path, "sound")
    before = parallel.files_signature([path], tmp_path, "min", 8000)
    assert before.startswith("min|8000|a/b.wav 5 ")
    os.utime(path, ns=(0, 0))
    after = parallel.files_signature([path], tmp_path, "min", 8000)
    assert after == "min|8000|a/b.wav 5 0"
    assert before != after
