"""Jobs of a real Slurm: one of this machine's own (`eval "$(tools/slurm_local.sh start)"`), or a cluster's."""

import getpass
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit import files, launch
from toolkit.cli import main
from toolkit.launch import Job, resources, slurm
from toolkit.launch.slurm import Command
from toolkit.log import UserError
from toolkit.sweep import run as sweeping
from toolkit.sweep.axes import combinations
from toolkit.sweep.run import How

pytestmark = pytest.mark.slurm


@pytest.fixture(autouse=True)
def _a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    if shutil.which("sbatch") is None or subprocess.run(["sinfo"], capture_output=True, timeout=30).returncode:
        pytest.skip("no Slurm answers here. Next: tools/slurm_local.sh")
    (tmp_path / "cluster.yaml").write_text("default: {time: '00:05:00', memory: 500M}")
    monkeypatch.setattr(resources, "FILE", tmp_path / "cluster.yaml")
    monkeypatch.setattr(slurm, "LOOK_EVERY", 0.5)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Job]:
    """A job of a name whose words are a shell's."""
    monkeypatch.setattr(slurm, "_command", lambda job, wanted: Command(["sh", "-c", *job.words], job.log, job.environment))
    return lambda name, words: Job(name, [words], tmp_path / f"{name}.log", environment={"NAME": name})


def after(path: Path, act: Callable[[], object]) -> None:
    """Do something as soon as there is a file."""

    def wait() -> None:
        while not path.exists():
            time.sleep(0.1)
        act()

    threading.Thread(target=wait, daemon=True).start()


def jobs_of(user_format: str) -> list[str]:
    return slurm._squeue(user_format) or []


def test_an_array_of_jobs_tells_how_each_has_ended(shell: Callable[[str, str], Job], tmp_path: Path) -> None:
    jobs = [shell(f"job{code}", f"echo $NAME; exit {code}") for code in (0, 3, 0)]
    jobs.append(shell("killed", "kill -9 $$"))
    assert launch.run(jobs, "slurm", at_once=4) == [0, 3, 0, -9]
    assert (tmp_path / "job3.log").read_text() == "job3\n"


def test_a_job_that_is_told_to_go_is_queued_again(shell: Callable[[str, str], Job], tmp_path: Path) -> None:
    """As at the end of its time; on this machine Slurm begins it again after some seconds."""
    endless = "trap 'sleep 0.5; echo told; exit 75' USR2; touch began; while :; do sleep 0.1; done"

    def signal_it() -> None:
        number = next(line.split("|")[0] for line in jobs_of("%i|%k") if line.endswith(f"{tmp_path}/slurm:default"))
        subprocess.run(["scancel", "--signal=USR2", number], check=True)

    after(tmp_path / "began", signal_it)
    assert launch.run([shell("turns", f"echo turn; [ ! -f began ] || exit 0; {endless}")], "slurm") == [0]
    lines = (tmp_path / "turns.log").read_text().splitlines()
    assert [line for line in lines if line in ("turn", "told")] == ["turn", "told", "turn"]


def test_who_stops_the_launcher_cancels_its_jobs(shell: Callable[[str, str], Job], tmp_path: Path) -> None:
    """Even those that end as if they wanted to be run again; and a launcher that comes too early is sent away."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored where the tests run in the background
    told: list[str] = []

    def launch_another_and_stop() -> None:
        try:
            slurm._refuse_twice(f"{tmp_path}/slurm:default")
        except UserError as error:
            told.append(str(error))
        os.kill(os.getpid(), signal.SIGINT)

    job = shell("endless", "trap 'exit 75' TERM; touch began; while :; do sleep 0.1; done")
    after(tmp_path / "began", launch_another_and_stop)
    with pytest.raises(KeyboardInterrupt):
        launch.run([job], "slurm")
    assert "of an earlier launch is still running. Next: wait for it, or scancel" in told[0]
    ours = [line.split("|")[0] for line in jobs_of("%T|%k") if line.endswith(f"{tmp_path}/slurm:default")]
    assert ours in (["COMPLETING"], ["CANCELLED"])


def test_what_slurm_refuses_is_told(shell: Callable[[str, str], Job], tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("default: {partition: nowhere}")
    with pytest.raises(UserError, match=r"refused the job: .*Invalid partition.*Next: see .*cluster.yaml"):
        launch.run([shell("one", "true")], "slurm")


def test_what_a_job_waits_for_is_told(
    shell: Callable[[str, str], Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def tell(form: str, *values: object) -> None:
        told.append(form % values)
        if "(" in told[-1]:
            subprocess.run(["scancel", "--state=PENDING", f"--user={getpass.getuser()}"])

    monkeypatch.setattr(slurm.logger, "info", tell)
    (tmp_path / "cluster.yaml").write_text("default: {cpus: 64}")  # more than any node here has
    assert launch.run([shell("one", "true")], "slurm") == [1]
    assert "1 pending (PartitionConfig), 0 running, 0 of 1 done" in told


def test_a_sweep_is_an_array_a_stage_of_those_that_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(job: Job, wanted: resources.Resources) -> Command:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        return Command(["sh", "-c", f"echo {job.name}; [ {job.name} != train-mini_seed-1 ] || exit 3"], job.log.absolute(), {})

    for split in ("train", "valid", "test"):
        files.write_text(tmp_path / "data" / "quadrants" / f"{split}.jsonl", "")
    monkeypatch.setattr(slurm, "_command", command)
    origin = Path(__file__).resolve().parents[2] / "egs/synthetic/rmcl/conf/mini.yaml"
    found = combinations(origin, [], ["train.seed: [0, 1]"])
    done = {"features": "done", "infer": "done"}
    outcome = sweeping.sweep(
        origin, tmp_path / "data", found, How("slurm"), lambda words: done.get(words[0], ""), Path("a.html")
    )
    assert outcome.scored == [Path("exp/mini_seed-0")]
    assert "train failed with exit code 3" in outcome.failed["mini_seed-1"]
    assert "(train-mini_seed-1)" in outcome.failed["mini_seed-1"]
    assert Path("exp/mini_seed-0/logs/score.job.log").read_text() == "score-mini_seed-0\n"


def test_a_stage_is_run_by_a_job_and_recorded_once(tmp_path: Path) -> None:
    words = ["three_gaussians", "--corpus", "mini", "--data", str(tmp_path / "data")]
    main(["fetch", *words])
    main(["prepare", *words, "--launcher", "slurm"])
    record = next((tmp_path / "data" / ".stages").glob("prepare-*.json"))
    assert files.read_json(record)["state"] == "done"
    assert [path for path in files.read_json(record)["outputs"] if path.endswith("train.jsonl")]
    assert (tmp_path / "data" / "logs" / "prepare.job.log").is_file()
