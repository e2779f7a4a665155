"""Averages of the weights: what they are, and which weights are kept."""

from pathlib import Path

import pytest
import torch
from test_train import trainer, weights
from torch import nn

from toolkit import files
from toolkit.train.averages import Averages


def trained(model: nn.Module, values: list[float], averages: Averages) -> None:
    for value in values:
        with torch.no_grad():
            model.weight.fill_(value)
        averages.after_step(model)


def test_an_average_weighs_by_age_and_forgets_what_was_before_training() -> None:
    model = nn.Linear(1, 1, bias=False)
    averages = Averages(model, [0.5], [])
    trained(model, [1.0, 2.0, 4.0], averages)
    average = averages.candidates(model)["average 0.5 per step"]
    assert average.weight.item() == pytest.approx((0.25 * 1 + 0.5 * 2 + 1 * 4) / 1.75)


def test_averages_of_epochs_wait_for_their_end() -> None:
    model = nn.Linear(1, 1, bias=False)
    averages = Averages(model, [], [0.9])
    trained(model, [1.0, 2.0], averages)
    averages.after_epoch(model)
    assert averages.candidates(model)["average 0.9 per epoch"].weight.item() == 2


def test_buffers_are_averaged_and_counters_taken_over() -> None:
    model = nn.BatchNorm1d(1)
    averages = Averages(model, [0.5], [])
    for mean in (0.0, 3.0):
        model.running_mean.fill_(mean)
        model.num_batches_tracked += 1
        averages.after_step(model)
    average = averages.candidates(model)["average 0.5 per step"]
    assert average.running_mean.item() == pytest.approx(2)
    assert average.num_batches_tracked == 2


def test_going_on_from_a_saved_state() -> None:
    whole, cut = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    averages, before = Averages(whole, [0.5], [0.9]), Averages(cut, [0.5], [0.9])
    trained(whole, [1.0, 2.0, 4.0], averages)
    trained(cut, [1.0, 2.0], before)
    after = Averages(cut, [0.5], [0.9])
    after.load_state_dict(before.state_dict())
    trained(cut, [4.0], after)
    name = "average 0.5 per step"
    assert after.candidates(cut)[name].weight.equal(averages.candidates(whole)[name].weight)


def test_the_best_of_the_weights_and_their_averages_is_kept(tmp_path: Path) -> None:
    run = trainer(tmp_path, epochs=4, ema=[0.5, 0.999], ema_epoch=[0.9])
    seen: list[dict[str, float]] = []
    validate = run._validate

    def spy(model: nn.Module) -> dict[str, float]:
        seen.append(validate(model))
        return seen[-1]

    run._validate = spy  # type: ignore[method-assign]
    run.fit()
    rows = files.read_jsonl(tmp_path / "metrics.jsonl")
    names = list(run.averages.candidates(run.model))
    assert names == ["weights", "average 0.5 per step", "average 0.999 per step", "average 0.9 per epoch"]
    assert len(seen) == 4 * len(names)
    for epoch, row in enumerate(rows):
        values = dict(zip(names, seen[epoch * len(names) :], strict=False))
        best = min(values, key=lambda name: values[name]["valid/loss"])
        assert (row["chosen"], row["valid/loss"]) == (best, values[best]["valid/loss"])
    last = run.averages.candidates(run.model)[rows[-1]["chosen"]]
    kept = rows[-1]["valid/loss"] == min(row["valid/loss"] for row in rows)
    assert not kept or all(value.equal(weights(tmp_path)[name]) for name, value in last.state_dict().items())


def test_without_averages_nothing_is_chosen(tmp_path: Path) -> None:
    trainer(tmp_path, epochs=1).fit()
    assert "chosen" not in files.read_jsonl(tmp_path / "metrics.jsonl")[0]
