"""Two processes train as one with the double batch, stop at the same step, and go on bit for bit."""

import math
import multiprocessing
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from test_train import Config, Doubling, Killed, Lines
from torch import Tensor, nn

from toolkit.data.examples import Batch, Example
from toolkit.tasks.base import Examples
from toolkit.tasks.options import TrainOptions
from toolkit.train import distributed
from toolkit.train.loop import Trainer

PAIR = {"epochs": 2, "checkpoint_every": 1, "monitor": "train/loss"}
CASES: dict[str, dict] = {
    "plain": {"clip_grad_norm": None},
    "clipped": {"clip_grad_norm": 0.05},
    "accumulated": {"accumulate": 2, "clip_grad_norm": 0.05},
    "incomplete group": {"accumulate": 4},
    "one batch is bad": {"bad": (5,)},
    "late": {"max_minutes": 1e-9},
    "idle parameters": {"idle": True},
    "idle parameters, accumulated": {"idle": True, "accumulate": 2},
}


class Apart(Lines):
    """Noise and its double; every second example is much louder, so that processes differ."""

    def example(self, epoch: int, index: int) -> Example:
        example = super().example(epoch, index)
        return example._replace(mixture=example.mixture * (1 + 9 * (index % 2)))


class Learning(Doubling):
    """Batches of any size, with or without what draws random numbers and keeps running statistics."""

    def __init__(self, batch_size: int, noisy: bool = False, bad: tuple[int, ...] = (), idle: bool = False) -> None:
        super().__init__(bad)
        self.batch_size, self.noisy = batch_size, noisy
        if idle:
            self.model.scores = nn.Linear(8, 1)  # which no loss looks at
        self.model.layers = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
        if noisy:
            self.model.layers.append(nn.Dropout(0.3)).append(nn.BatchNorm1d(1))
        self.learned: list[Tensor] = []

    def training(self, data: Path) -> Examples:
        return Examples(Apart(20, self.bad), self.batch_size)

    def validation(self, data: Path) -> Examples:
        return Examples(Apart(1), 2)  # nothing for a second process

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        self.learned.append(torch.rand(1) if self.noisy else torch.zeros(1))
        return super().loss(model, batch)


def trainer(
    exp: Path, batch_size: int, noisy: bool = False, bad: tuple[int, ...] = (), idle: bool = False, **options
) -> Trainer:
    task = Learning(batch_size, noisy, bad, idle)
    return Trainer(task, Config(TrainOptions(**{**PAIR, **options})), exp, exp, torch.device("cpu"), "k")


def killed_and_resumed(exp: Path) -> None:
    cut = trainer(exp, 2, noisy=True)
    learn = cut._learn

    def learn_until_killed(batch: Batch, late: bool) -> tuple[bool, bool]:
        if cut.step == 7:
            raise Killed
        return learn(batch, late)

    cut._learn = learn_until_killed  # type: ignore[method-assign]
    try:
        cut.fit()
    except Killed:
        distributed.wait()  # for what the first process writes
    torch.manual_seed(99)  # whatever happened between the two runs
    going_on = trainer(exp, 2, noisy=True)
    assert going_on.step == 7
    going_on.fit()


def averaged_with_gaps(number: int) -> None:
    """Three parameters: with a gradient in both processes, in the first only, in none."""
    both, one, none = (nn.Parameter(torch.zeros(2, 3)) for _ in range(3))
    both.grad = torch.full((3, 2), 1.0 + number).t()  # however it lies in memory
    one.grad = None if number else torch.ones(2, 3)
    assert not distributed.average([both, one, none])
    assert both.grad.equal(torch.full((2, 3), 1.5))
    assert one.grad is not None
    assert one.grad.equal(torch.full((2, 3), 0.5))
    assert none.grad is None
    assert distributed.average([both, one])


def one_of_two(number: int, port: int, exp: Path) -> None:
    """All that one process does; the first one's weights are kept."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", world_size=2, rank=number)
    averaged_with_gaps(number)
    wrapped = {}
    for name, options in CASES.items():
        trained = trainer(exp / name, 2, **options)
        trained.fit()
        wrapped[name] = isinstance(trained.together.forward, nn.parallel.DistributedDataParallel)
    assert wrapped == {name: "idle" not in name for name in CASES}
    whole = trainer(exp / "whole", 2, noisy=True)
    whole.fit()
    drawn = distributed.each(torch.cat(whole.task.learned))
    assert not drawn[0].equal(drawn[1])
    killed_and_resumed(exp / "resumed")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of what two processes have learned together."""
    exp = tmp_path_factory.mktemp("pair")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=one_of_two, args=(number, port, exp)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    ended = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert ended == [0, 0]
    return exp


def weights(exp: Path) -> dict[str, Tensor]:
    return load_file(max((exp / "checkpoints").iterdir()) / "model.safetensors")


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one_with_the_double_batch(pair: Path, tmp_path: Path, name: str) -> None:
    single = trainer(tmp_path, 4, **CASES[name])
    single.fit()
    steps = {"accumulated": 4, "idle parameters, accumulated": 4, "incomplete group": 2, "one batch is bad": 8, "late": 1}
    assert single.step == steps.get(name, 10)
    torch.testing.assert_close(weights(pair / name), weights(tmp_path), rtol=1e-4, atol=1e-6)
    assert [path.name for path in sorted((pair / name / "checkpoints").iterdir())] == [
        path.name for path in sorted((tmp_path / "checkpoints").iterdir())
    ]


def test_a_run_of_two_processes_goes_on_bit_for_bit(pair: Path) -> None:
    whole, resumed = weights(pair / "whole"), weights(pair / "resumed")
    assert all(whole[name].equal(resumed[name]) for name in whole)
    assert (pair / "whole/model.safetensors").read_bytes() == (pair / "resumed/model.safetensors").read_bytes()


def test_a_reading_of_one_process_is_its_own() -> None:
    assert distributed.Reading(torch.tensor(1.5), late=True).read() == (1.5, False, True)
    value, bad, late = distributed.Reading(torch.tensor(math.inf), late=False).read()
    assert (value, bad, late) == (math.inf, True, False)
