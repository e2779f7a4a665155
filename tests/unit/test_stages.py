"""A stage runs again exactly when something that it was made from has changed."""

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest

from toolkit import files
from toolkit.log import UserError
from toolkit.stages import Stage


def copying(tmp_path: Path, section: object = None) -> Stage:
    source, made = tmp_path / "source", tmp_path / "made.txt"
    source.mkdir(exist_ok=True)
    if not any(source.iterdir()):
        (source / "a.txt").write_text("a")
    return Stage("train", tmp_path, ["train", "--exp", "x"], section, [source, tmp_path / "list.txt"], [made])


def run(stage: Stage) -> None:
    with stage.record():
        stage.outputs[0].write_text("made")


def test_a_stage_is_missing_then_done_then_stale(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("one")
    assert copying(tmp_path).state() == "missing"
    run(copying(tmp_path))
    assert copying(tmp_path).state() == "done"
    (tmp_path / "list.txt").write_text("two")
    assert copying(tmp_path).state() == "stale"


def test_a_file_written_anew_with_the_same_content_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("one")
    run(copying(tmp_path))
    os.utime(tmp_path / "list.txt", (1, 1))
    assert copying(tmp_path).state() == "done"


def test_a_touched_file_of_a_folder_makes_it_stale(tmp_path: Path) -> None:
    run(copying(tmp_path))
    os.utime(tmp_path / "source" / "a.txt", (1, 1))
    assert copying(tmp_path).state() == "stale"


def test_a_link_to_nothing_is_a_file_like_others(tmp_path: Path) -> None:
    stage = copying(tmp_path)
    (tmp_path / "source" / "link.wav").symlink_to("nowhere.wav")  # as git-annex leaves what was not fetched
    run(stage)
    assert copying(tmp_path).state() == "done"
    (tmp_path / "source" / "nowhere.wav").write_text("fetched")
    assert copying(tmp_path).state() == "stale"


def test_another_section_of_the_config_makes_it_stale(tmp_path: Path) -> None:
    run(copying(tmp_path, {"lr": 1}))
    assert copying(tmp_path, {"lr": 1}).state() == "done"
    assert copying(tmp_path, {"lr": 2}).state() == "stale"


def test_a_lost_output_is_made_again(tmp_path: Path) -> None:
    stage = copying(tmp_path)
    run(stage)
    stage.outputs[0].unlink()
    assert copying(tmp_path).state() == "missing"


def test_an_interrupted_stage_never_looks_finished(tmp_path: Path) -> None:
    stage = copying(tmp_path)
    stage.outputs[0].write_text("half")
    with pytest.raises(KeyboardInterrupt), stage.record():
        raise KeyboardInterrupt
    assert stage.state() == "failed"


def test_a_stage_whose_process_was_killed_has_failed(tmp_path: Path) -> None:
    stage = copying(tmp_path)
    run(stage)
    record = json.loads(stage.record_path.read_text())
    stage.record_path.write_text(json.dumps({**record, "state": "running"}))
    assert stage.state() == "failed"


def test_what_it_left_half_written_goes_with_the_next_run(tmp_path: Path) -> None:
    run(copying(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "deep").mkdir()
    left = [tmp_path / "deep" / f".a.{gone.pid}-{files.HERE}.partial.wav"]
    kept = [tmp_path / f".a.{pid}-{where}.partial.wav" for pid, where in [(os.getpid(), files.HERE), (gone.pid, "elsewh")]]
    for path in left + kept:
        path.touch()
    run(copying(tmp_path))
    assert left[0].exists()  # nothing was cut off: nobody looks
    record = json.loads(copying(tmp_path).record_path.read_text())
    copying(tmp_path).record_path.write_text(json.dumps({**record, "state": "running"}))
    run(copying(tmp_path))
    assert [path.exists() for path in left + kept] == [False, True, True]


def test_two_processes_cannot_be_at_the_same_stage(tmp_path: Path) -> None:
    with copying(tmp_path).record():
        assert copying(tmp_path).state() == "running"
        with (
            pytest.raises(UserError, match=rf"another process is at it \(process {os.getpid()} on "),
            copying(tmp_path).record(),
        ):
            pass
        (tmp_path / "made.txt").write_text("made")
    assert copying(tmp_path).state() == "done"


def test_whoever_only_looks_writes_nothing(tmp_path: Path) -> None:
    assert copying(tmp_path).state() == "missing"
    stage = copying(tmp_path)
    assert not stage.record_path.parent.exists()
    run(stage)
    record = json.loads(stage.record_path.read_text())
    stage.record_path.write_text(json.dumps({**record, "state": "running"}))
    stage.record_path.with_suffix(".lock").unlink()
    assert stage.state() == "failed"
    assert not stage.record_path.with_suffix(".lock").exists()


def test_a_full_disk_that_keeps_no_record_is_not_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(what: object, value: object = None) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(what))

    def work() -> None:
        monkeypatch.setattr(files, "write_json", full)
        full("the output")

    stage = copying(tmp_path)
    with pytest.raises(OSError, match="the output"), stage.record():
        work()
    assert stage.state() == "failed"


def test_a_stage_that_did_not_write_its_outputs_says_so(tmp_path: Path) -> None:
    stage = copying(tmp_path)
    with pytest.raises(UserError, match=r"without its outputs: .*made\.txt"), stage.record():
        pass
    assert stage.state() == "failed"


def test_one_line_describes_it(tmp_path: Path) -> None:
    line = copying(tmp_path).describe()
    assert line.startswith("train")
    assert "missing" in line
    assert "->" in line
