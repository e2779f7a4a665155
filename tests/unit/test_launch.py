"""Command lines as jobs: processes of this machine, and what a cluster would be told; a real one is in test_slurm.py."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest

from toolkit import files, launch
from toolkit.cli import main, verbs
from toolkit.cli.options import Arguments
from toolkit.data.manifest import Manifest
from toolkit.infer import run as infer
from toolkit.launch import Job, local, resources
from toolkit.launch.parts import WHOLE, Part, is_job
from toolkit.log import UserError
from toolkit.train import stopping


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Says what stands in utils/cluster.yaml."""
    path = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    monkeypatch.setattr(resources, "FILE", path)
    return lambda text: cast(None, path.write_text(text))


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
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored where the tests run in the background
    begun = []
    begin = local._begin
    monkeypatch.setattr(local, "_begin", lambda job: begun.append(begin(job)) or begun[-1])
    threading.Timer(0.5, os.kill, [os.getpid(), how]).start()
    with pytest.raises(KeyboardInterrupt):
        launch.run([Job(str(i), ["sleep", "60"], commands / f"{i}.log") for i in range(3)], at_once=2)
    assert len(begun) == 2
    assert all(process.returncode is not None for process in begun)


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with local.terminated_as_interrupted():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_unknown_launcher_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'slurm'"):
        launch.run([Job("one", [], tmp_path / "log")], "slrum")


def test_a_part_takes_every_so_manieth_item(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [[index for index in range(7) if Part(number, 3).takes(index)] for number in (1, 2, 3)]
    assert taken == [[0, 3, 6], [1, 4], [2, 5]]
    assert Part.here() == WHOLE
    assert not is_job()
    monkeypatch.setenv("TOOLKIT_PART", "2/8")
    assert Part.here() == Part(2, 8)
    assert is_job()


def test_resources_of_a_stage_lie_over_the_default(cluster: Callable[[str], None]) -> None:
    cluster("default: {partition: cpu, time: '12:00:00', options: {account: a}}\ntrain: {nodes: 2, gpus: 4, options: {qos: b}}")
    train, score = resources.read("train"), resources.read("score")
    assert (train.partition, train.nodes, train.devices, train.minutes) == ("cpu", 2, "gpu:4", 720)
    assert train.options == {"account": "a", "qos": "b"}
    assert (score.nodes, score.devices, score.shards) == (1, None, 1)
    cluster("default: {partition: cpu, memory: 4G}\ntrain: {partition: null, memory: null}")
    train = resources.read("train")
    assert (train.partition, train.memory) == (None, None)  # as the cluster has it


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("train: {partion: gpu}", "train: unknown key 'partion'; did you mean 'partition'"),
        ("trian: {gpus: 1}", "no section 'trian'; did you mean 'train'"),
        ("train: {time: 24:00:00}", 'expected hours in quotes, "24:00:00"'),  # which YAML reads as 86400
        ("train: {gpus: two}", "train.gpus: expected a whole number, found 'two'"),
        ("train: {nodes: 0}", "train.nodes: expected a whole number, found 0"),
        ("train: {memory: 16}", "train.memory: expected a word, found 16"),
        ("train: 3", "train: expected keys and values"),
    ],
)
def test_mistakes_in_the_resources_are_told(cluster: Callable[[str], None], text: str, told: str) -> None:
    cluster(text)
    with pytest.raises(UserError, match=told):
        resources.read("train")


def test_the_resources_as_they_come_are_right() -> None:
    assert all(resources.read(section).minutes == 24 * 60 for section in resources.SECTIONS)


def test_a_dry_run_prints_a_script_for_each_turn(
    cluster: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("submitit")
    cluster("default: {partition: cpu, memory: 4G}\nscore: {shards: 3, cpus: 8, options: {account: music}}")
    main(["score", "--exp", str(tmp_path), "--launcher=slurm", "--dry-run", "--force"])
    parts, whole = capsys.readouterr().out.split("#!/bin/bash")[1:]
    assert "--array=0-2%3" in parts
    for words in ("--partition=cpu", "--mem=4G", "--cpus-per-task=8", "--account=music", "--requeue", "--signal=USR2@90"):
        assert f"#SBATCH {words}" in parts
        assert f"#SBATCH {words}" in whole
    assert f"# 1: TOOLKIT_PART=2/3 toolkit score --exp {tmp_path} --nj 8" in parts
    assert f"# 0: TOOLKIT_PART=1/1 toolkit score --exp {tmp_path} --nj 8" in whole
    assert not list(tmp_path.iterdir())


def test_what_is_missing_for_slurm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("one", ["exit", "0"], tmp_path / "log")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "submitit", ModuleType("submitit"))
    with pytest.raises(UserError, match="expected Slurm's command sbatch"):
        launch.run([job], "slurm")
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match="Next: pip install submitit"):
        launch.run([job], "slurm")


def test_the_launching_process_keeps_the_books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts and the rest, each as `toolkit score` with a word of its own in its environment; one record."""
    began: list[list[str]] = []

    def run(jobs: list[Job], launcher: str, at_once: int) -> list[int]:
        began.append([job.environment["TOOLKIT_PART"] for job in jobs])
        assert all(list(job.words) == ["score", "--exp", str(tmp_path), "--nj", "2"] for job in jobs)
        for path in (tmp_path / "scores" / "test.jsonl", tmp_path / "scores" / "test.summary.json"):
            path.parent.mkdir(exist_ok=True)
            path.touch()
        return [0] * len(jobs)

    monkeypatch.setattr(resources, "read", lambda section: resources.Resources(shards=2, cpus=4))
    monkeypatch.setattr(launch, "run", run)
    words = ["score", "--exp", str(tmp_path), "--launcher", "slurm", "--nj", "2"]
    main(words)
    assert began == [["1/2", "2/2"], ["1/1"]]
    assert files.read_json(tmp_path / ".stages" / "score.json")["state"] == "done"
    main(words)
    assert len(began) == 2


def test_a_failed_part_is_named_and_nothing_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resources, "read", lambda section: resources.Resources(shards=2))
    monkeypatch.setattr(launch, "run", lambda jobs, launcher, at_once: [0, 1])
    with pytest.raises(SystemExit):
        main(["score", "--exp", str(tmp_path), "--launcher", "slurm"])
    assert "1 of 2 jobs failed, see" in (told := capsys.readouterr().err)
    assert "score-2-of-2.job.log" in told
    assert files.read_json(tmp_path / ".stages" / "score.json")["state"] == "failed"


def test_several_processes_that_are_asked_to_stop_are_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not hear of it gets SIGTERM after a while, as torchrun, which is deaf to what a cluster sends."""
    assert stopping.run_together(["sh", "-c", "exit 3"]) == 3
    monkeypatch.setattr(stopping, "PATIENCE", 0.5)
    for how in ("TERM", "USR2"):
        with pytest.raises(SystemExit) as end:
            stopping.run_together(["sh", "-c", f"kill -{how} $PPID; kill -USR2 $$; exec sleep 60"])
        assert end.value.code == launch.AGAIN


def test_each_of_several_processes_is_given_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[list[str]] = []
    monkeypatch.setattr(stopping, "run_together", lambda command: began.append(command) or 0)
    words = ["train", "--config", "conf/paper.yaml", "--ngpu", "2"]
    verbs.train(Arguments(ngpu=2, words=words))
    assert began[0][-len(words) - 1 :] == ["toolkit", *words]


def test_lines_of_parts_are_put_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    manifest = cast(Manifest, [SimpleNamespace(id=name) for name in "abcd"])
    for name, ids in (("index", "b"), ("index-1-of-2", "da"), ("index-2-of-2", "c")):
        for identity in ids:
            files.append_jsonl(tmp_path / f"{name}.jsonl", {"id": identity})
    infer._put_together(tmp_path, manifest)
    assert [row["id"] for row in files.read_jsonl(tmp_path / "index.jsonl")] == list("abcd")
    assert [path.name for path in tmp_path.iterdir()] == ["index.jsonl"]
