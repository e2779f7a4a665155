"""Results of many jobs are read from a journal when they are asked for; jobs are made when they are needed."""

import json
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from toolkit.data import parallel
from toolkit.data.journal import Results
from toolkit.data.parallel import Job, Jobs, Outcome, Skipped, Workers, run


def entries(journal: Path) -> list[tuple[str, str, int]]:
    return [tuple(json.loads(line).values()) for line in journal.read_text().splitlines()]


def test_results_come_in_the_order_in_which_they_were_expected(tmp_path: Path) -> None:
    found = Results(tmp_path / "journal")
    assert not any(found.expect(id, "8k") for id in "cab")
    for id in "abc":
        found.enter(id, "8k", {"frames": ord(id)})
    found.drop("a")
    assert list(found.items()) == [("c", {"frames": 99}), ("b", {"frames": 98})]
    assert "a" not in found
    assert found.entry("b")["signature"] == "8k"
    found.close()


def test_some_of_the_results_are_read_where_all_are(tmp_path: Path) -> None:
    skipped = [Skipped("d", "odd"), Skipped("e", "odd")]
    found = Results(tmp_path / "journal")
    for id in "abc":
        found.expect(id, "8k")
        found.enter(id, "8k", {"frames": ord(id)})
    some = Outcome(found, skipped, reused=3).some(["c", "e", "a", "z"])
    assert list(some.results.items()) == [("c", {"frames": 99}), ("a", {"frames": 97})]
    assert (some.skipped, some.reused) == (skipped[1:], 2)
    assert "b" not in some.results
    with pytest.raises(KeyError):
        some.results["b"]
    assert [job.id for job in some.done(Job(id, None) for id in "abcd")] == ["a", "c"]
    found.close()


def test_what_an_earlier_run_entered_is_there_if_it_was_made_from_the_same(tmp_path: Path) -> None:
    first = Results(tmp_path / "journal")
    for id in "ab":
        first.expect(id, "8k")
        first.enter(id, "8k", 1)
    first.close()
    second = Results(tmp_path / "journal")
    assert second.expect("a", "8k")
    assert not second.expect("b", "16k")
    second.enter("b", "16k", 2)
    assert dict(second) == {"a": 1, "b": 2}
    second.close()
    third = Results(tmp_path / "journal")
    assert third.expect("b", "16k")
    assert third["b"] == 2
    assert entries(tmp_path / "journal") == [("a", "8k", 1), ("b", "16k", 2)]  # what is outdated goes


@pytest.mark.parametrize("missing", [9, 1])  # bytes; of one, all but the end of the line is there
def test_a_line_cut_short_is_no_entry(missing: int, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    whole = '{"id": "ä", "signature": "8k", "result": 1}\n'
    journal.write_text(whole + whole.replace("ä", "b")[:-missing], encoding="utf-8")
    found = Results(journal)
    assert found.expect("ä", "8k")
    assert not found.expect("b", "8k")
    found.enter("b", "8k", 2)
    assert dict(found) == {"ä": 1, "b": 2}
    found.close()
    assert entries(journal) == [("ä", "8k", 1), ("b", "8k", 2)]


def test_jobs_are_not_held(tmp_path: Path) -> None:
    made: list[weakref.ref[Job]] = []
    most = 0

    def make(id: str) -> Job:
        nonlocal most
        job = Job(id, int(id), "8k")
        made.append(weakref.ref(job))
        most = max(most, sum(one() is not None for one in made))
        return job

    outcome = run(abs, Jobs([str(n) for n in range(40)], make), "numbers", nj=1, journal=tmp_path / "journal")
    assert outcome.results == {str(n): n for n in range(40)}
    assert most <= 3
    assert run(abs, Jobs([str(n) for n in range(40)], make), "numbers", nj=1, journal=tmp_path / "journal").reused == 40


def test_few_jobs_wait_for_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CHUNK", 2)
    taken: list[int] = []
    jobs = (taken.append(n) or n for n in range(100))
    with Workers(2) as workers:
        workers._pool = ThreadPoolExecutor(2)  # type: ignore[assignment]
        calls = workers.calls(str, jobs, 100, "numbers")
        assert next(calls) == "0"
        assert len(taken) <= 2 * (2 * parallel.AHEAD + 1)
        assert [*calls] == [str(n) for n in range(1, 100)]
