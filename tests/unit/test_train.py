"""The training loop on a toy task: it learns, goes on where it stopped, bears a bad batch, and stops when told."""

import math
import os
import signal
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from toolkit import files, launch
from toolkit.data import manifest
from toolkit.data.examples import Batch, Example, MixtureSource
from toolkit.data.manifest import Item, Manifest
from toolkit.log import UserError
from toolkit.models.base import Model
from toolkit.tasks.base import Examples, Task
from toolkit.tasks.options import Phase, TrainOptions
from toolkit.train import checkpoint, stopping
from toolkit.train.loop import Trainer
from toolkit.train.run import examples_of

CPU = torch.device("cpu")


class Lines(MixtureSource):
    """Noise and its double; the examples in `bad` are not finite."""

    def __init__(self, count: int = 12, bad: tuple[int, ...] = ()) -> None:
        self.count, self.bad = count, bad

    def __len__(self) -> int:
        return self.count

    def example(self, epoch: int, index: int) -> Example:
        noise = torch.randn(1, 8, generator=torch.Generator().manual_seed(1000 * epoch + index))
        if index in self.bad:
            noise = noise * math.nan
        return Example(noise, 2 * noise[None], str(index))


@dataclass
class Config:
    train: TrainOptions
    data: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(workers=0, sample_rate=8000))
    phases: list[Phase] = field(default_factory=list)
    schedule: object = None

    def optimizer(self, parameters):
        return torch.optim.Adam(parameters, lr=0.05)


class Layers(Model):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Doubling(Task):
    def __init__(self, bad: tuple[int, ...] = ()) -> None:
        torch.manual_seed(1)
        self.model = Layers()
        self.bad = bad

    def training(self, data: Path) -> Examples:
        return Examples(Lines(bad=self.bad), 2)

    def validation(self, data: Path) -> Examples:
        return Examples(Lines(5), 2)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return (model(batch.mixture) - batch.references[:, 0]).square().mean((1, 2))

    def validate(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self.loss(model, batch), "estimate": model(batch.mixture)}

    def measure(self, collected: dict[str, Tensor]) -> dict[str, float]:
        return {"examples": float(len(collected["estimate"]))}

    def inputs(self, manifest, item):
        return torch.zeros(1, 8)

    def predict(self, model, inputs, sample_rate):
        return {"s1": model(inputs)}

    def store(self, folder, item, predictions):
        return {}

    def score(self, manifest, item, stored, folder):
        return {"id": item.id}

    def summarise(self, rows):
        return {"metrics": {}}

    def probe(self):
        return torch.empty(1, 8, device="meta"), 1.0

    def check(self) -> None:
        """Nothing can be wrong with it."""


def trainer(exp: Path, bad: tuple[int, ...] = (), key: str = "k", phases: tuple[Phase, ...] = (), **options) -> Trainer:
    config = Config(TrainOptions(**options), phases=list(phases))
    return Trainer(Doubling(bad), config, exp, exp, CPU, key)


def sgd(epoch: int, lr: float) -> Phase:
    return Phase(epoch, lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=0.9))


def weights(exp: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(exp / "model.safetensors")


def test_the_loss_falls_and_is_written_down(tmp_path: Path) -> None:
    trainer(tmp_path, epochs=5).fit()
    rows = files.read_jsonl(tmp_path / "metrics.jsonl")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["step"] for row in rows] == [6, 12, 18, 24, 30]
    assert rows[-1]["valid/loss"] < 0.5 * rows[0]["valid/loss"]
    assert (tmp_path / "tb").is_dir()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", [1, 3, 6, 8, 9])
@pytest.mark.parametrize(
    "options",
    [{}, {"ema": [0.9, 0.99], "ema_epoch": [0.5]}, {"accumulate": 2}, {"accumulate": 4}, {"phases": (sgd(1, 0.01),)}],
    ids=["plain", "averages", "accumulate", "incomplete group", "phases"],
)
def test_a_run_killed_at_any_step_ends_with_equal_weights(tmp_path: Path, step: int, options: dict) -> None:
    settings = {"epochs": 2, "checkpoint_every": 2, **options}
    trainer(tmp_path / "whole", **settings).fit()

    cut = trainer(tmp_path / "cut", **settings)
    learn = cut._learn

    def learn_until_killed(batch: Batch, late: bool) -> tuple[bool, bool]:
        if cut.epoch * 6 + cut.batch == step:
            raise Killed
        return learn(batch, late)

    cut._learn = learn_until_killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        cut.fit()
    torch.manual_seed(99)  # whatever happened between the two runs
    trainer(tmp_path / "cut", **settings).fit()

    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(whole[name].equal(resumed[name]) for name in whole)
    curves = [[row["train/loss"] for row in files.read_jsonl(tmp_path / name / "metrics.jsonl")] for name in ("whole", "cut")]
    assert curves[0] == curves[1]


@pytest.mark.parametrize(("accumulate", "step"), [(1, 9), (2, 5)], ids=["plain", "within a group"])
def test_a_run_that_is_asked_to_stop_goes_on_from_that_very_step(tmp_path: Path, accumulate: int, step: int) -> None:
    trainer(tmp_path / "whole", epochs=3, accumulate=accumulate).fit()
    stopped = trainer(tmp_path / "stopped", epochs=3, accumulate=accumulate)
    learn = stopped._learn

    def learn_until_asked(batch: Batch, late: bool) -> tuple[bool, bool]:
        if (stopped.epoch, stopped.batch) == (1, 2):
            os.kill(os.getpid(), signal.SIGTERM)
        return learn(batch, late or stopping.asked())

    stopped._learn = learn_until_asked
    with stopping.listening(), pytest.raises(SystemExit) as end:
        stopped.fit()
    assert end.value.code == launch.AGAIN
    assert stopped.step == step
    again = trainer(tmp_path / "stopped", epochs=3, accumulate=accumulate)
    assert again.step == step
    again.fit()
    assert all(torch.equal(value, weights(tmp_path / "whole")[name]) for name, value in weights(tmp_path / "stopped").items())


def test_a_longer_run_goes_on_from_a_shorter_one(tmp_path: Path) -> None:
    trainer(tmp_path / "once", epochs=3).fit()
    trainer(tmp_path / "twice", epochs=1).fit()
    trainer(tmp_path / "twice", epochs=3).fit()
    once, twice = weights(tmp_path / "once"), weights(tmp_path / "twice")
    assert all(once[name].equal(twice[name]) for name in once)


def test_a_second_stage_begins_with_the_weights_of_the_first(tmp_path: Path) -> None:
    trainer(tmp_path / "first", epochs=5).fit()
    first = files.read_jsonl(tmp_path / "first" / "metrics.jsonl")
    second = trainer(tmp_path / "second", epochs=1, init=str(tmp_path / "first" / "model.safetensors"))
    torch.testing.assert_close(dict(second.model.state_dict()), weights(tmp_path / "first"))
    second.fit()
    assert files.read_jsonl(tmp_path / "second" / "metrics.jsonl")[0]["train/loss"] < first[0]["train/loss"] / 2
    going_on = trainer(tmp_path / "second", epochs=2, init=str(tmp_path / "none.safetensors"))  # which needs no first stage
    assert going_on.step == second.step
    with pytest.raises(UserError, match=r"train\.init: expected weights, found no file .*none\.safetensors\. Next: train"):
        trainer(tmp_path / "third", init=str(tmp_path / "none.safetensors"))


def test_checkpoints_of_another_configuration_are_set_aside(tmp_path: Path) -> None:
    trainer(tmp_path, epochs=1, key="old").fit()
    assert trainer(tmp_path, epochs=1, key="new").step == 0
    assert (tmp_path / "checkpoints-of-old").is_dir()


def test_checkpoints_of_other_training_data_are_set_aside(tmp_path: Path) -> None:
    trainer(tmp_path, epochs=1, key="old").fit()
    trainer(tmp_path, epochs=2, key="old-tunes").fit()  # an older checkpoint does not tell its data: it is gone on from
    assert trainer(tmp_path, epochs=2, key="old-tunes").epoch == 2
    assert trainer(tmp_path, epochs=2, key="old-more_tunes").step == 0
    assert (tmp_path / "checkpoints-of-old-tunes").is_dir()


def test_training_data_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    def examples(name: str, rate: int, frames: int, **header: str) -> str:
        manifest.write(tmp_path / f"{name}.jsonl", {"root": "."} | header, [Item("one", "train", rate, frames, 1, {}, {})])
        return examples_of(Manifest.open(tmp_path / f"{name}.jsonl"))

    assert examples("here", 8000, 400, fingerprint="a") == examples("there", 8000, 400, fingerprint="b")
    assert examples("here", 8000, 400) != examples("there", 8000, 500)
    tables = [examples("table", 0, 400, fingerprint=values) for values in "ab"]  # which are in files of their own
    assert tables[0] != tables[1]


def test_nothing_is_set_aside_for_a_training_that_cannot_begin(tmp_path: Path) -> None:
    trainer(tmp_path, epochs=1, key="old").fit()
    with pytest.raises(UserError, match=r"train\.init: expected weights, found no file"):
        trainer(tmp_path, epochs=1, key="new", init=str(tmp_path / "none.safetensors"))
    assert trainer(tmp_path, epochs=2, key="old").epoch == 1


def test_two_checkpoints_are_kept(tmp_path: Path) -> None:
    trainer(tmp_path, epochs=2, checkpoint_every=1).fit()
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == ["step-00000011", "step-00000012"]


def test_a_batch_that_is_not_finite_is_skipped(tmp_path: Path) -> None:
    run = trainer(tmp_path, bad=(3,), epochs=1)
    run.fit()
    assert run.step == 5
    assert all(value.isfinite().all() for value in weights(tmp_path).values())


def test_many_in_a_row_end_the_training_with_advice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"3 losses in a row were not finite.*--optimizer\.lr"):
        trainer(tmp_path, bad=tuple(range(12)), epochs=1, max_bad_steps=3).fit()


@pytest.mark.parametrize("clip", [None, 5.0])
def test_a_gradient_that_is_not_finite_is_skipped_though_the_loss_is(tmp_path: Path, clip: float | None) -> None:
    run = trainer(tmp_path, epochs=1, clip_grad_norm=clip)
    weight = next(run.model.parameters())
    weight.register_hook(lambda gradient: gradient * math.nan if run.batch in (2, 4) else gradient)
    run.fit()
    assert run.step == 4
    assert all(value.isfinite().all() for value in weights(tmp_path).values())
    assert math.isfinite(files.read_jsonl(tmp_path / "metrics.jsonl")[0]["train/loss"])


def test_many_such_gradients_in_a_row_end_the_training_too(tmp_path: Path) -> None:
    run = trainer(tmp_path, epochs=1, max_bad_steps=3)
    next(run.model.parameters()).register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(UserError, match=r"3 gradients in a row were not finite.*--optimizer\.lr"):
        run.fit()
    assert all(value.isfinite().all() for value in run.model.state_dict().values())


def test_patience_ends_a_training_that_does_not_improve(tmp_path: Path) -> None:
    run = trainer(tmp_path, epochs=50, patience=2)
    run.optimizer.param_groups[0]["lr"] = 0.0
    run.fit()
    assert run.epoch == 3


def test_patience_may_wait_for_another_value_than_the_best_weights(tmp_path: Path) -> None:
    run = trainer(tmp_path, epochs=50, patience=3, monitor="valid/loss", plateau="valid/examples")  # which never changes
    run.fit()
    assert run.epoch == 4
    assert files.read_jsonl(tmp_path / "metrics.jsonl")[-1]["valid/examples"] == 5


def test_a_phase_goes_on_from_the_best_weights_with_another_optimizer(tmp_path: Path) -> None:
    run = trainer(tmp_path, epochs=2, phases=(sgd(2, 0.25), sgd(3, 0.125)))
    run.fit()
    assert isinstance(run.optimizer, torch.optim.SGD)  # of the epoch that comes next
    assert all(value.equal(weights(tmp_path)[name]) for name, value in run.model.state_dict().items())
    run = trainer(tmp_path, epochs=4, phases=(sgd(2, 0.25), sgd(3, 0.125)))
    assert isinstance(run.optimizer, torch.optim.SGD)
    run.fit()
    assert [row["lr"] for row in files.read_jsonl(tmp_path / "metrics.jsonl")] == [0.05, 0.05, 0.25, 0.125]


def test_the_minutes_end_a_training(tmp_path: Path) -> None:
    run = trainer(tmp_path, epochs=50, max_minutes=1e-9)
    run.fit()
    assert run.step == 1


def test_values_that_are_no_numbers_leave_weights_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Doubling, "measure", lambda task, collected: {"sdr": math.nan})
    run = trainer(tmp_path, epochs=2, monitor="valid/sdr")
    run.fit()
    assert all(value.equal(weights(tmp_path)[name]) for name, value in run.model.state_dict().items())


def test_an_unknown_monitor_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.monitor: expected one of .*valid/loss"):
        trainer(tmp_path, epochs=1, monitor="valid/sdr").fit()


def test_a_schedule_is_tried_for_all_epochs_before_the_first(tmp_path: Path) -> None:
    one_cycle = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=2)
    with pytest.raises(UserError, match=r"schedule: .* each of 3 epochs, found ValueError: Tried to step 3 times"):
        Trainer(Doubling(), Config(TrainOptions(epochs=3), schedule=one_cycle), tmp_path, tmp_path, CPU, "k")
    assert not any(tmp_path.iterdir())
    then_another = Config(TrainOptions(epochs=3), schedule=one_cycle, phases=[sgd(2, 0.25)])
    Trainer(Doubling(), then_another, tmp_path, tmp_path, CPU, "k").fit()
    assert [row["lr"] for row in files.read_jsonl(tmp_path / "metrics.jsonl")][2] == 0.25


def test_a_phase_whose_optimizer_makes_no_sense_is_told_before_the_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"optimizer: Invalid learning rate: -1"):
        trainer(tmp_path, epochs=50, phases=(sgd(40, -1.0),))


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match=r"train\.epochs: expected at least 1, found 0"):
        TrainOptions(epochs=0)
    with pytest.raises(ValueError, match=r"train\.ema_epoch: expected decays between 0 and 1, found 1"):
        TrainOptions(ema=[0.9], ema_epoch=[1.0])
    with pytest.raises(ValueError, match=r"train\.monitor: expected a name such as valid/loss, .* found 'val_loss'"):
        TrainOptions(monitor="val_loss")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    checkpoint.save_weights(nn.Linear(3, 2), tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"belongs to another model: weight: expected \(2, 4\), found \(2, 3\)"):
        checkpoint.load_weights(nn.Linear(4, 2), tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="Next: run the stage `train`"):
        checkpoint.load_weights(nn.Linear(4, 2), tmp_path / "none.safetensors")
